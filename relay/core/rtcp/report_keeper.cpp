// SPDX-License-Identifier: Apache-2.0
#include "relay/core/rtcp/report_keeper.hpp"

#include "relay/base/memory.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// A time from half of `mean` to one and a half of it (RFC 3550 §6.2).
Duration spread_around(Duration mean, std::uint64_t random) noexcept {
  constexpr std::int64_t kSteps = 65536;
  return mean / 2 + mean / kSteps * static_cast<std::int64_t>(random % kSteps);
}

}  // namespace

ReportKeeper::Heard* ReportKeeper::heard(Ssrc ssrc) noexcept {
  const auto known = std::ranges::find(heard_, ssrc, &Heard::ssrc);
  if (known != heard_.end()) return &*known;
  if (heard_.size() >= kMostReportBlocks) {
    Heard& oldest = *std::ranges::min_element(heard_, {}, &Heard::noted);
    oldest = {};
    oldest.ssrc = ssrc;
    return &oldest;
  }
  Heard made;
  made.ssrc = ssrc;
  return had_memory([&] { heard_.push_back(made); }) ? &heard_.back() : nullptr;
}

void ReportKeeper::on_sender_report(Ssrc stream, std::uint32_t ntp_middle, Instant now) noexcept {
  Heard* of = heard(stream);
  if (of == nullptr) return;
  of->sr_middle = ntp_middle;
  of->sr_at = of->noted = now;
}

void ReportKeeper::begin_with(const SsrcCounters& stream) noexcept {
  Heard* of = heard(stream.ssrc);
  if (of == nullptr) return;
  of->expected = stream.expected();
  of->lost = stream.lost();
  of->noted = stream.last_packet;
}

ReportBlock ReportKeeper::block_about(const SsrcCounters& stream, Instant now) noexcept {
  constexpr std::uint64_t kMostLost = 0x7fffff;
  ReportBlock block;
  block.about = stream.ssrc;
  block.highest_sequence = stream.highest_extended;
  block.jitter = stream.jitter_q4 >> 4;
  block.cumulative_lost = static_cast<std::int32_t>(std::min(stream.lost(), kMostLost));
  Heard* of = heard(stream.ssrc);
  if (of == nullptr) return block;
  const std::uint64_t expected = stream.expected() - std::min(of->expected, stream.expected());
  // A late packet may have taken losses back.
  const std::uint64_t lost = stream.lost() - std::min(of->lost, stream.lost());
  if (expected != 0)
    block.fraction_lost = static_cast<std::uint8_t>(std::min<std::uint64_t>(lost * 256 / expected, 255));
  of->expected = stream.expected();
  of->lost = stream.lost();
  of->noted = now;
  if (of->sr_at != Instant{}) {
    block.last_sr = of->sr_middle;
    // In units of 1/65,536 s. A sender report of long ago stays at the largest value.
    const std::int64_t held = (now - of->sr_at).count();
    constexpr std::int64_t kSecond = 1'000'000'000;
    const std::int64_t units = held / kSecond * 65536 + held % kSecond * 65536 / kSecond;
    block.delay_since_last_sr = static_cast<std::uint32_t>(std::clamp<std::int64_t>(units, 0, 0xffffffff));
  }
  return block;
}

void ReportKeeper::schedule_first(Instant now, std::uint64_t random) noexcept {
  due_ = now + spread_around(kInterval / 2, random);
}

void ReportKeeper::schedule_next(Instant now, std::uint64_t random) noexcept {
  before_last_ = last_;
  last_ = now;
  due_ = now + spread_around(kInterval, random);
}

}  // namespace ferry
