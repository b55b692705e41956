// SPDX-License-Identifier: Apache-2.0
// Measures how much of what a party spoke is missing when it comes to the relay.
//
// Three things are missing: sequence numbers that went by without a packet, packets that were refused, and
// the time in which a stream stands still. They overlap. A refused packet may leave a gap in the numbers
// (`DropTrait::kInGap`), and a stream may stand still because all of it is refused. `spoken_by` counts each
// packet once. Refused copies are no missing speech, and packets of strangers are not either.
#include "control/diagnose/spoken.hpp"

#include "control/diagnose/drop_causes.hpp"
#include "control/diagnose/hearing.hpp"
#include "control/diagnose/mos.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <chrono>

namespace ferry {

namespace {

using namespace std::chrono_literals;

/// Time without a packet after which a running stream stands still: no network holds back fifteen packets of
/// 20 ms and delivers them all.
constexpr Duration kStandstill = 300ms;
/// Packets a second below which a stream does not run, but speaks now and then.
constexpr double kRunning = 10;
constexpr std::uint8_t kG729 = 18;
/// Fewer packets than this do not count: one or two are refused whenever a stream begins or changes its SSRC.
constexpr double kFew = 3;

}  // namespace

bool is_speech(const MediaEvidence& media) {
  return media.is_rtp && (media.type.empty() || media.type == "audio");
}

bool says_pause(const SsrcCounters& stream) {
  const std::uint32_t size = stream.last_payload_size;
  // G.729 annex B may put its silence frame of two octets behind frames of speech, which have ten.
  const bool is_behind_speech = (stream.last_payload_type & 127) == kG729 && size % 10 == 2;
  const bool is_frame = (size != 0 && size <= kDescriptor) || is_behind_speech;
  return stream.idle_by_bye || (stream.last_payload_type & 127) == kComfortNoiseType || is_frame;
}

bool says_pause_in_refused(const MediaView& seen, Instant last_packet) {
  return std::ranges::any_of(kDropCauseRows, [&](const DropCauseRow& row) {
    const Refusal* newest = seen.refusal(row.reason);
    return newest != nullptr && newest->component == 0 && newest->last > last_packet &&
           newest->type.value == kComfortNoiseType;
  });
}

/// The last seconds tell the rate best. Time after the last packet does not count: the question is how fast
/// the stream runs while it runs. A pause in these seconds makes it look slow; then its rate over the call
/// counts, without the longest pause.
double packet_rate(const MediaView::Stream& stream, Instant now) {
  const SsrcCounters& c = stream.counters;
  const Duration quiet = now - c.last_packet;
  const Duration age = c.last_packet - c.first_packet;
  const bool has_mean = c.packets >= kEnough && age >= 500ms;
  const double expected = static_cast<double>(c.expected());
  const double rate = stream.recent.span > quiet + 1s && stream.recent.counts.expected >= 2 * kRunning
                          ? stream.recent.counts.expected / seconds_of(stream.recent.span - quiet)
                          : (has_mean ? expected / seconds_of(age) : 0.0);
  if (rate >= kRunning || !has_mean) return rate;
  const double without_pause = expected / seconds_of(std::max<Duration>(age - c.longest_gap(), 1s));
  return without_pause >= kRunning ? without_pause : rate;
}

Dropped dropped(const CallEvidence& call, const MediaEvidence& media, DropReason reason) {
  const MediaView& seen = media.seen;
  const RecentDrops& recent = seen.recent_drops;
  const Refusal* newest = seen.refusal(reason);
  Dropped result;
  if (recent.span != Duration{0}) {
    result.foreign = recent.of(DropSide::kArriving, reason, DropTrait::kForeign);
    result.copies = recent.of(DropSide::kArriving, reason, DropTrait::kCopy);
    const double all = recent.of(DropSide::kArriving, reason);
    result.own = std::max(0.0, all - result.foreign - result.copies);
  } else if (newest != nullptr && call.now - newest->last < kRecent) {
    // Then only the newest refusal is known.
    const Endpoint learned = seen.active == nullptr ? Endpoint{} : seen.active->latch[0].peer;
    const bool is_other =
        newest->from.is_set() && learned.is_set() && newest->from.address != learned.address;
    const bool is_foreign = is_other || newest->component != 0 || newest->is_rtcp;
    (is_foreign ? result.foreign : result.own) = newest->times;
  }
  return result;
}

double dropped_percent(const MediaEvidence& media, DropReason reason, double packets) {
  if (packets == 0) return 0;
  double taken = 0;
  if (media.seen.recent_drops.span != Duration{0}) {
    for (const MediaView::Stream& stream : media.seen.ingress) taken += stream.recent.counts.packets;
  } else {
    taken = static_cast<double>(media.seen.counters[0].packets_in);
  }
  const double all = row_of(reason).is_counted ? std::max(taken, packets) : taken + packets;
  return 100.0 * packets / all;
}

double numbers_repeated(const MediaEvidence& receiver) {
  const RecentDrops& recent = receiver.seen.recent_drops;
  const double refused = recent.of(DropSide::kLeaving, DropReason::kReplayed);
  return std::max(0.0, refused - recent.of(DropSide::kLeaving, DropReason::kReplayed, DropTrait::kCopy));
}

/// Three steps: sums over the party's streams, the time in which the newest stream stands still, and the
/// packets that were refused. At the end each packet is counted as missing once.
Spoken spoken_by(const CallEvidence& call, const MediaEvidence& media) {
  Spoken s;
  const MediaView& seen = media.seen;
  const MediaView::Stream* newest = seen.newest_stream();
  if (newest == nullptr || !media.is_rtp) return s;
  const bool knows_recent = newest->recent.span != Duration{0};
  double expected = 0;
  double expected_of_call = 0;
  double lost_of_call = 0;
  std::uint32_t burst = 0;
  for (const MediaView::Stream& stream : seen.ingress) {
    expected_of_call += static_cast<double>(stream.counters.expected());
    lost_of_call += static_cast<double>(stream.counters.lost());
    const RecentStream& recent = stream.recent;
    s.ear.span = std::max(s.ear.span, recent.span);
    expected += recent.counts.expected;
    s.lost += recent.lost();
    s.taken += recent.counts.packets;
    s.duplicates += recent.counts.duplicates;
    s.resets += recent.counts.resets;
    burst = std::max(burst, recent.longest_burst);
  }
  if (!knows_recent) {
    // A stream that came by an export has figures of the whole call only.
    s.taken = static_cast<double>(seen.counters[0].packets_in);
    s.duplicates = static_cast<double>(newest->counters.duplicates);
    expected = s.taken;
  }
  if (expected_of_call >= static_cast<double>(kEnough))
    s.ear.missing_of_call = 100.0 * lost_of_call / expected_of_call;

  const double rate = packet_rate(*newest, call.now);
  const Duration quiet = call.now - newest->counters.last_packet;
  // A party may stop without a word if it pauses, may not send, was not answered, or has hung up.
  const bool hung_up = call.is_over && quiet <= kHungUp + kHole;
  const bool says = says_pause(newest->counters) || says_pause_in_refused(seen, newest->counters.last_packet);
  const bool may_pause = says || !media.may_send || !call.is_answered || hung_up;
  const bool runs = is_speech(media) && rate >= kRunning;
  const Duration window = knows_recent ? newest->recent.span : kRecentTime;
  if (runs && !may_pause && quiet >= kStandstill) {
    s.halted = newest->counters.last_packet;
    s.still = rate * seconds_of(std::min(quiet, window));
  }

  // Refused packets whose numbers are among the lost ones.
  double in_gaps = seen.recent_drops.of(DropSide::kArriving, DropReason::kNone, DropTrait::kInGap);
  double in_no_gap = 0;
  double refused = 0;
  double counted = 0;
  for (const DropCauseRow& row : kDropCauseRows) {
    // Drops that somebody asked for are no missing speech, though their numbers are missing.
    if (row.owner == DropOwner::kWanted && !row.is_counted)
      s.lost = std::max(0.0, s.lost - dropped(call, media, row.reason).packets());
    if (row.owner != DropOwner::kOwn || row.arriving == Cause::kFine) continue;
    const Dropped each = dropped(call, media, row.reason);
    s.duplicates += each.copies;
    double own = each.own;
    if (row.reason == DropReason::kRateLimited && knows_recent) {
      // A flooding sender repeats its packets many times. Only those whose number is missing are speech.
      s.duplicates += std::max(0.0, own - in_gaps);
      own = std::min(own, in_gaps);
    }
    if (own < kFew) {
      if (!row.is_counted) in_gaps = std::max(0.0, in_gaps - own);
      continue;
    }
    // The first packet of each new run was refused, and the run begins behind it.
    if (row.reason == DropReason::kSequenceJump) in_no_gap = std::min(own, static_cast<double>(s.resets));
    (row.is_counted ? counted : refused) += own;
    s.refused += own;
    if (own <= s.of_reason) continue;
    s.of_reason = own;
    s.reason = row.reason;
  }
  // A stream may stand still because its packets are refused, so only the larger of the two counts.
  const double beside = std::max(s.still, refused - std::min({in_gaps, s.lost, refused - in_no_gap}));
  s.ear.spoken = expected + beside;
  s.ear.missing = std::min(std::max(s.lost, counted) + beside, s.ear.spoken);
  if (rate > 0) s.ear.hole = Duration{static_cast<Duration::rep>(1e9 * burst / rate)};
  // The time since the last packet is a hole, too.
  if (s.halted != Instant{}) s.ear.hole = std::max(s.ear.hole, quiet);
  s.ear.jitter = knows_recent ? newest->recent.jitter : newest->counters.jitter();
  if (is_speech(media)) {
    RecentStream heard = newest->recent;
    heard.counts.expected += static_cast<std::uint32_t>(beside);
    s.ear.mos = mos_of(heard, newest->counters.last_payload_type);
  }
  return s;
}

}  // namespace ferry
