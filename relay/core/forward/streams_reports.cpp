// SPDX-License-Identifier: Apache-2.0
// RTCP reports of the relay's own about the streams of a transport (RFC 3550 §6.4). `ReportKeeper` remembers
// what was reported, `SentStream` follows what leaves, and here a compound is made of both.

#include "relay/base/random.hpp"
#include "relay/core/forward/streams.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace ferry {

namespace {

/// Most sender reports in one compound; further streams have theirs in the next ones. With a report block for
/// each of 31 streams and names, a compound then fits into one frame of Ethernet.
constexpr std::size_t kMostSenders = 8;

/// Octets in front of the payload of an RTP packet that has been sent. Its payload may be encrypted.
std::size_t header_of(Bytes rtp) noexcept {
  const std::uint8_t first = read_u8(rtp, 0);
  std::size_t header = kRtpFixedHeaderSize + std::size_t{4} * (first & 0x0f);
  if ((first & 0x10) != 0 && rtp.size() >= header + 4)
    header += 4 + std::size_t{4} * read_u16(rtp, header + 2);
  return std::min(header, rtp.size());
}

}  // namespace

void Streams::follow_reports() {
  const bool wants = plan_->own_reports != nullptr;
  if (wants == (keeper_ != nullptr)) return;
  if (!wants) {
    keeper_.reset();
    return;
  }
  // Without memory there are no reports until the next plan (C-12).
  keeper_ = make_unique_or_null<ReportKeeper>(Ssrc{static_cast<std::uint32_t>(random_u64())});
  if (!keeper_) return;
  for_each_stream([&](const SsrcCounters& stream) { keeper_->begin_with(stream); });
}

void Streams::follow_sent(SentStream& stream, std::size_t source, Bytes rtp, Instant now) const noexcept {
  const PayloadType type{static_cast<std::uint8_t>(read_u8(rtp, 1) & 0x7f)};
  const PayloadEntry* known = payload_in(plan_->sources[source], type);
  std::uint32_t clock_rate_hz = known != nullptr ? known->clock_rate_hz : 0;
  if (known == nullptr) {
    const StaticType* row = static_type(type.value);
    clock_rate_hz = row != nullptr ? row->clock_rate_hz : 0;
  }
  // An event keeps the timestamp of its begin, so it says nothing about the line.
  if (known != nullptr && known->is_event) clock_rate_hz = 0;
  stream.follow(type, read_u32(rtp, 4), header_of(rtp), clock_rate_hz, now);
}

std::size_t Streams::write_report(MutableBytes into, const ReportTime& time) noexcept {
  if (!keeper_) return 0;
  std::array<ReportBlock, kMostReportBlocks> blocks;
  std::size_t heard = 0;
  for_each_stream([&](const SsrcCounters& stream) {
    if (heard < blocks.size() && keeper_->is_heard(stream))
      blocks[heard++] = keeper_->block_about(stream, time.now);
  });
  std::span<const ReportBlock> about = std::span(blocks).first(heard);
  CompoundWriter writer(into);
  std::array<Ssrc, kMostSenders> senders;
  std::size_t sent = 0;
  std::size_t place = 0;
  const SentStream* newest = nullptr;
  const auto add = [&](const SentStream& stream) {
    const SsrcCounters& counters = stream.counters();
    const auto timestamp = stream.line() != nullptr ? stream.line()->at(time.now) : std::nullopt;
    if (!timestamp || sent == senders.size()) return;
    const SenderInfo info{ntp_of(time.wall), *timestamp, static_cast<std::uint32_t>(counters.packets),
                          static_cast<std::uint32_t>(stream.payload_octets())};
    // The first report has the blocks of all (RFC 8108 §5).
    if (!writer.add_report(counters.ssrc, &info, sent == 0 ? about : std::span<const ReportBlock>())) return;
    senders[sent++] = counters.ssrc;
  };
  std::size_t sending = 0;
  for_each_egress([&](const SentStream& stream) {
    const SsrcCounters& counters = stream.counters();
    if (newest == nullptr || counters.last_packet >= newest->counters().last_packet) newest = &stream;
    sending += keeper_->is_sent(counters) ? 1 : 0;
  });
  // Where there are more streams than places, they take turns.
  const std::size_t first = sending > kMostSenders ? next_sender_ % sending : 0;
  for (const bool wraps : {false, true}) {
    place = 0;
    for_each_egress([&](const SentStream& stream) {
      if (!keeper_->is_sent(stream.counters())) return;
      if ((place++ < first) == wraps) add(stream);
    });
  }
  next_sender_ = first + sent;
  if (sent == 0) {
    senders[sent++] = newest != nullptr ? newest->counters().ssrc : keeper_->own();
    if (!writer.add_report(senders[0], nullptr, about)) return 0;
  }
  if (!writer.add_cname(std::span(senders).first(sent), plan_->own_reports->cname)) return 0;
  return writer.size();
}

}  // namespace ferry
