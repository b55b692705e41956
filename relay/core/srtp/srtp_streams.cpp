// SPDX-License-Identifier: Apache-2.0
#include "relay/core/srtp/srtp_streams.hpp"

#include "relay/base/memory.hpp"

#include <algorithm>
#include <memory>

namespace ferry {

namespace {

// Packets in the replay lists of RTCP.
constexpr std::size_t kRtcpWindow = 128;

template <class Streams>
auto* find_in(Streams& streams, Ssrc ssrc) noexcept {
  const auto found = std::ranges::find(streams, ssrc, &SrtpStream::ssrc);
  return found == streams.end() ? nullptr : std::to_address(found);
}

void expect_gap(SrtpStream& stream) noexcept {
  stream.rtp.expect_gap();
  stream.rtcp.expect_gap();
}

SsrcRecord record_of(const SrtpStream& stream) noexcept {
  SsrcRecord record;
  record.ssrc = stream.ssrc;
  record.has_rtp = stream.rtp.started();
  record.has_rtcp = stream.rtcp.started();
  record.is_relayed = stream.is_relayed;
  record.is_closed = stream.is_closed;
  record.timestamp = stream.timestamp;
  record.highest_rtcp = static_cast<std::uint32_t>(stream.rtcp.highest());
  record.first = stream.first;
  record.highest_rtp = stream.rtp.highest();
  return record;
}

}  // namespace

SrtpStream SrtpStreams::brought_back(const SsrcRecord& record) const noexcept {
  SrtpStream stream{record.ssrc,  ReplayWindow(window_), ReplayWindow(kRtcpWindow), record.is_relayed,
                    record.first, record.timestamp,      record.is_closed,          0};
  // Its replay list is lost, so everything up to the highest index counts as used.
  if (record.has_rtp) stream.rtp.forbid_until(record.highest_rtp);
  if (record.has_rtcp) stream.rtcp.forbid_until(record.highest_rtcp);
  // After an export packets may have come that no list here knows of.
  if (has_gap_) expect_gap(stream);
  return stream;
}

void SrtpStreams::widen(std::size_t window) noexcept {
  window_ = std::max(window_, window);
  for (SrtpStream& each : live_) each.rtp.widen(window);
}

const SrtpStream* SrtpStreams::look(Ssrc ssrc, std::optional<SrtpStream>& past) const noexcept {
  if (const SrtpStream* known = find_in(live_, ssrc)) return known;
  const SsrcRecord* record = memory_.find(ssrc);
  if (record == nullptr) return nullptr;
  return &past.emplace(brought_back(*record));
}

bool SrtpStreams::knows(Ssrc ssrc) const noexcept {
  return find_in(live_, ssrc) != nullptr || memory_.find(ssrc) != nullptr || memory_.is_forgotten(ssrc);
}

SrtpStream* SrtpStreams::use(Ssrc ssrc) noexcept {
  SrtpStream* stream = find_in(live_, ssrc);
  if (stream == nullptr) stream = bring(ssrc);
  if (stream != nullptr) stream->used = ++clock_;
  return stream;
}

SrtpStream* SrtpStreams::bring(Ssrc ssrc) noexcept {
  const SsrcRecord* record = memory_.find(ssrc);
  const SrtpStream made = brought_back(record != nullptr ? *record : SsrcRecord{.ssrc = ssrc});
  SrtpStream* stream = nullptr;
  if (live_.size() < kLive) {
    if (!had_memory([&] { live_.push_back(made); })) return nullptr;
    stream = &live_.back();
  } else {
    stream = std::to_address(std::ranges::min_element(live_, {}, &SrtpStream::used));
    // Its indices must be remembered before it is gone.
    if (!memory_.keep(record_of(*stream))) return nullptr;
    *stream = made;
  }
  // It has replay lists again; two states of one SSRC could contradict each other.
  memory_.remove(ssrc);
  return stream;
}

SsrcMemory::State SrtpStreams::compact() const {
  SsrcMemory::State state = memory_.state();
  std::vector<SrtpStream> live = live_;
  std::ranges::sort(live, {}, &SrtpStream::used);
  for (const SrtpStream& each : live) state.records.push_back(record_of(each));
  return state;
}

void SrtpStreams::close_all() noexcept {
  for (SrtpStream& each : live_) each.is_closed = true;
  memory_.close_all();
}

void SrtpStreams::restore(const State& state, bool has_gap) {
  has_gap_ = has_gap;
  live_ = state.live;
  memory_.restore(state.past);
  // The state may hold more of them than this build keeps; the surplus becomes records.
  for (; live_.size() > kLive; live_.pop_back()) {
    if (!memory_.keep(record_of(live_.back()))) throw std::bad_alloc();
  }
  for (SrtpStream& each : live_) {
    clock_ = std::max(clock_, each.used);
    if (has_gap_) expect_gap(each);
  }
}

}  // namespace ferry
