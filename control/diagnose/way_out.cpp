// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/way_out.hpp"

#include "control/diagnose/drop_causes.hpp"
#include "control/diagnose/hearing.hpp"
#include "control/diagnose/spoken.hpp"

#include <algorithm>
#include <chrono>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// True for reasons for which the relay drops packets while a call is set up, when it can send them to nobody
/// yet.
bool is_of_set_up(DropReason reason) {
  return reason == DropReason::kNoDestination || reason == DropReason::kNoKey ||
         reason == DropReason::kNoSink;
}

/// Packets a second of the sender while it speaks, at least: its longest pause does not count.
double usual_rate(const MediaEvidence& sender) {
  const SsrcCounters& c = sender.seen.newest_stream()->counters;
  return static_cast<double>(c.expected()) /
         std::max(1.0, seconds_of(c.last_packet - c.first_packet - c.longest_gap()));
}

}  // namespace

WayOut way_out_to(const CallEvidence& call, const MediaEvidence& listener) {
  WayOut out;
  const RecentDrops& recent = listener.seen.recent_drops;
  const bool is_known = recent.span != Duration{0};
  const bool is_new = call.now - call.last_signal < recent.span + 1s;
  for (const DropCauseRow& row : kDropCauseRows) {
    if (row.leaving == Cause::kFine || row.owner == DropOwner::kBeside) continue;
    // A port without marks has counts of the whole call only, and these mix both directions. They count
    // only for reasons that never drop arriving packets.
    double packets = is_known                       ? recent.of(DropSide::kLeaving, row.reason)
                     : row.arriving == Cause::kFine ? listener.seen.drops[row.reason]
                                                    : 0;
    // Nobody misses a copy.
    packets -= recent.of(DropSide::kLeaving, row.reason, DropTrait::kCopy);
    if (packets <= 0) continue;
    if (row.owner == DropOwner::kWanted) {
      out.wanted += packets;
      if (packets > out.of_wanted) {
        out.of_wanted = packets;
        out.wanted_reason = row.reason;
      }
      continue;
    }
    // Packets that the host refused had left the relay already, and only some of those whose numbers repeat
    // are missing.
    if (row.reason != DropReason::kSendFailed && row.reason != DropReason::kReplayed) out.raw += packets;
    if (is_new && is_of_set_up(row.reason)) {
      out.set_up += packets;
      if (out.reason != DropReason::kNone) continue;
    } else if (row.reason != DropReason::kReplayed) {
      out.own += packets;
    }
    if (packets <= out.of_reason) continue;
    out.of_reason = packets;
    out.reason = row.reason;
  }
  return out;
}

void count_commands(WayOut& out, const CallEvidence& call, const RecentDrops& sender) {
  for (const DropCauseRow& row : kDropCauseRows) {
    if (row.owner != DropOwner::kWanted || row.arriving == Cause::kFine) continue;
    const double packets = sender.of(DropSide::kArriving, row.reason);
    if (is_of_set_up(row.reason) && call.now - call.last_signal < sender.span + 1s) continue;
    out.wanted_before += packets;
    if (packets <= out.of_wanted) continue;
    out.of_wanted = packets;
    out.wanted_reason = row.reason;
  }
}

bool has_prompt(const CallEvidence& call, const MediaEvidence& listener, const MediaEvidence& sender) {
  const Refusal* refusal = sender.seen.refusal(DropReason::kPromptPlaying);
  return (refusal != nullptr && refusal->last != Instant{} && call.now - refusal->last < kRecent) ||
         sender.seen.recent_drops.of(DropSide::kArriving, DropReason::kPromptPlaying) != 0 ||
         listener.seen.recent_drops.of(DropSide::kLeaving, DropReason::kPromptPlaying) != 0;
}

double missing_without_reason(const WayOut& out, const CallEvidence& call, const MediaEvidence& listener,
                              const MediaEvidence& sender, double spoken) {
  if (listener.sources.size() != 1 || has_prompt(call, listener, sender)) return 0;
  double octets_in = 0;
  double packets_in = 0;
  double in = 0;
  Duration span{0};
  for (const MediaView::Stream& stream : sender.seen.ingress) {
    // Late copies are counted as new packets, so the advance of the sequence numbers is the limit.
    in += std::min(stream.recent.unique(), stream.recent.counts.expected);
    packets_in += stream.recent.counts.packets;
    octets_in += stream.recent.counts.bytes;
    span = std::max(span, stream.recent.span);
  }
  double octets_out = 0;
  double packets_out = 0;
  double sent = 0;
  Duration sent_span{0};
  for (const MediaView::OutStream& stream : listener.seen.egress) {
    sent += stream.recent.unique();
    packets_out += stream.recent.counts.packets;
    octets_out += stream.recent.counts.bytes;
    sent_span = std::max(sent_span, stream.recent.span);
  }
  if (in < static_cast<double>(kEnough) || sent == 0 || span == Duration{0} || sent_span == Duration{0})
    return 0;
  const double size_in = octets_in / packets_in;
  const double size_out = octets_out / packets_out;
  if (size_out < 0.8 * size_in || size_out > 1.25 * size_in) return 0;
  // Drops between the two counts.
  const RecentDrops& arriving = sender.seen.recent_drops;
  double dropped = out.raw + out.wanted + numbers_repeated(listener);
  for (const DropCauseRow& row : kDropCauseRows) {
    if (row.is_counted && row.owner != DropOwner::kBeside && row.arriving != Cause::kFine)
      dropped += arriving.of(DropSide::kArriving, row.reason);
  }
  const double rest = in - dropped - sent;
  // Both sides were not marked at one moment. Compared by rate, a stream that only began or ended in
  // between is not short, and neither is one that paused until the edge of the shorter time; the smallest
  // of the results counts.
  const double by_rate = (in - dropped) - sent * (seconds_of(span) / seconds_of(sent_span));
  const double at_edge = 1.25 * usual_rate(sender) * std::max(0.0, seconds_of(span - sent_span));
  const double least = std::min({rest, by_rate, rest - at_edge});
  return least < std::max(kPacketsUnderWay, spoken * kLossyPercent / 100.0) ? 0.0 : least;
}

}  // namespace ferry
