#include "relay/core/srtp/srtp_streams.hpp"

#include <algorithm>
#include <memory>

namespace ferry {

namespace {

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
  if (record.has_rtp) stream.rtp.forbid_until(record.highest_rtp);
  if (record.has_rtcp) stream.rtcp.forbid_until(record.highest_rtcp);
  if (has_gap_) expect_gap(stream);
  return stream;
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

SrtpStream& SrtpStreams::use(Ssrc ssrc) {
  SrtpStream* stream = find_in(live_, ssrc);
  if (stream == nullptr) {
    const SsrcRecord* record = memory_.find(ssrc);
    SrtpStream made = brought_back(record != nullptr ? *record : SsrcRecord{.ssrc = ssrc});
    if (record != nullptr) memory_.remove(ssrc);
    if (live_.size() < kLive) {
      stream = &live_.emplace_back(std::move(made));
    } else {
      stream = std::to_address(std::ranges::min_element(live_, {}, &SrtpStream::used));
      memory_.keep(record_of(*stream));
      *stream = std::move(made);
    }
  }
  stream->used = ++clock_;
  return *stream;
}

void SrtpStreams::close_all() {
  for (SrtpStream& each : live_) {
    each.is_closed = true;
    memory_.keep(record_of(each));
  }
  live_.clear();
  for (SsrcRecord record : memory_.state().records) {
    record.is_closed = true;
    memory_.keep(record);
  }
}

void SrtpStreams::restore(const State& state, bool has_gap) {
  has_gap_ = has_gap;
  live_ = state.live;
  memory_.restore(state.past);
  for (; live_.size() > kLive; live_.pop_back()) memory_.keep(record_of(live_.back()));
  for (SrtpStream& each : live_) {
    clock_ = std::max(clock_, each.used);
    if (has_gap_) expect_gap(each);
  }
}

}  // namespace ferry
