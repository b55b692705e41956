// How much of what a party spoke is missing when it comes to the relay: numbers that went by without a
// packet, packets that were refused, and the time in which a stream stands still. These overlap: what is
// refused within a run of numbers is missing in the run, and a stream may stand still as all of it is
// refused. `spoken_by` counts each packet once. Copies that are refused are no speech that is missing, and
// strangers' packets neither.
#include "control/diagnose/spoken.hpp"

#include "control/diagnose/drop_causes.hpp"

#include <algorithm>
#include <chrono>

namespace ferry {

namespace {

using namespace std::chrono_literals;

/// Without a packet, a stream that runs stands still: twenty packets of 20 ms are fifteen at most in any
/// network.
constexpr Duration kStandstill = 300ms;
/// Packets in a second, below which a stream does not run but speaks now and then.
constexpr double kRunning = 10;
constexpr std::uint8_t kG729 = 18;
/// A single packet or two are refused wherever a stream begins or changes its SSRC.
constexpr double kFew = 5;

double seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

bool is_rtcp_type(PayloadType type) { return type.value >= 64 && type.value < 96; }

/// Their numbers are none of the run that was taken, so that no gap tells of them.
bool is_apart(DropReason reason) {
  return reason == DropReason::kSsrcNotAdmitted || reason == DropReason::kSequenceJump ||
         reason == DropReason::kReplayed;
}

/// What is refused for `reason` are second copies of packets that were taken before: their numbers are among
/// those of the stream, which goes on.
bool comes_twice(const MediaView& seen, const MediaView::Stream& stream, DropReason reason) {
  if (reason != DropReason::kReplayed && reason != DropReason::kSequenceJump) return false;
  const Refusal* newest = seen.refusal(reason);
  const SsrcCounters& c = stream.counters;
  if (newest == nullptr || newest->last - c.last_packet >= kStandstill) return false;
  // Who counts anew repeats numbers as well.
  if (reason == DropReason::kSequenceJump && stream.recent.counts.resets != 0) return false;
  const int behind = -distance(newest->sequence, SeqNo{static_cast<std::uint16_t>(c.highest_extended)});
  return behind >= 0 && static_cast<std::uint32_t>(behind) <= c.highest_extended - c.base_extended;
}

}  // namespace

bool is_speech(const MediaEvidence& media) {
  return media.is_rtp && (media.type.empty() || media.type == "audio");
}

bool says_pause(const SsrcCounters& stream) {
  const std::uint32_t size = stream.last_payload_size;
  // G.729 annex B may put its silence frame of two octets behind frames of speech, which have ten.
  const bool is_behind_speech = (stream.last_payload_type & 127) == kG729 && size % 10 == 2;
  const bool is_frame = (size != 0 && size <= kDescriptor) || is_behind_speech;
  return stream.idle_by_bye || (stream.last_payload_type & 127) == kComfortNoise || is_frame;
}

double packet_rate(const MediaView::Stream& stream, Instant now) {
  const SsrcCounters& c = stream.counters;
  const Duration quiet = now - c.last_packet;
  if (stream.recent.span > quiet + 1s && stream.recent.counts.expected >= 2 * kRunning)
    return stream.recent.counts.expected / seconds(stream.recent.span - quiet);
  const Duration age = c.last_packet - c.first_packet;
  if (c.packets < kEnough || age < 500ms) return 0;
  return static_cast<double>(c.expected()) / seconds(age);
}

Dropped dropped(const CallEvidence& call, const MediaEvidence& media, DropReason reason) {
  const MediaView& seen = media.seen;
  const Refusal* newest = seen.refusal(reason);
  Dropped result;
  if (seen.recent_drops.span != Duration{0})
    result.packets = seen.recent_drops.of(DropSide::kArriving, reason);
  else if (newest != nullptr && call.now - newest->last < kRecent)
    result.packets = newest->times;
  if (newest == nullptr || result.packets == 0) return result;
  const Endpoint learned = seen.active == nullptr ? Endpoint{} : seen.active->latch[0].peer;
  const bool is_other = newest->from.is_set() && learned.is_set() && newest->from.address != learned.address;
  result.is_own = !is_other && newest->component == 0 && !is_rtcp_type(newest->type);
  return result;
}

double dropped_percent(const CallEvidence& call, const MediaEvidence& media, DropReason reason) {
  const double packets = dropped(call, media, reason).packets;
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

double numbers_repeated(const Spoken& sender, const MediaEvidence& receiver) {
  const double refused = receiver.seen.recent_drops.of(DropSide::kLeaving, DropReason::kReplayed);
  return std::max(0.0, refused - sender.duplicates - sender.late);
}

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
    s.late += recent.counts.reordered;
    s.resets += recent.counts.resets;
    burst = std::max(burst, recent.longest_burst);
  }
  if (!knows_recent) {
    // Of a stream that came by an export the call's own figures are all there is.
    s.taken = static_cast<double>(seen.counters[0].packets_in);
    s.duplicates = static_cast<double>(newest->counters.duplicates);
    expected = s.taken;
  }
  if (expected_of_call >= static_cast<double>(kEnough))
    s.ear.missing_of_call = 100.0 * lost_of_call / expected_of_call;

  const double rate = packet_rate(*newest, call.now);
  const Duration quiet = call.now - newest->counters.last_packet;
  const bool hung_up = call.is_over && quiet <= kHungUp + kHole;
  const bool may_pause = says_pause(newest->counters) || !media.may_send || !call.is_answered || hung_up;
  const bool runs = is_speech(media) && rate >= kRunning;
  const Duration window = knows_recent ? newest->recent.span : kRecentTime;
  if (runs && !may_pause && quiet >= kStandstill) {
    s.halted = newest->counters.last_packet;
    s.still = rate * seconds(std::min(quiet, window));
  }

  double apart = 0;
  double within = 0;
  double counted = 0;
  for (const DropCauseRow& row : kDropCauseRows) {
    // What somebody asked for is not missing, though its numbers are.
    if (row.owner == DropOwner::kWanted && !row.is_counted)
      s.lost = std::max(0.0, s.lost - dropped(call, media, row.reason).packets);
    if (row.owner != DropOwner::kOwn || row.arriving == Cause::kFine) continue;
    const Dropped each = dropped(call, media, row.reason);
    double packets = each.is_own ? each.packets : 0.0;
    if (packets != 0 && comes_twice(seen, *newest, row.reason)) {
      // Nothing is missing then, but for what the stream is short of its own rate.
      const SsrcCounters& c = newest->counters;
      const double usual = static_cast<double>(c.expected()) /
                           std::max(1.0, seconds(c.last_packet - c.first_packet - c.longest_gap()));
      const double short_of = knows_recent ? usual * seconds(window) - s.taken - s.lost : s.still;
      const double replayed = std::clamp(short_of, 0.0, packets);
      s.duplicates += packets - replayed;
      packets = replayed;
    }
    if (packets < kFew) continue;
    (row.is_counted ? counted : is_apart(row.reason) ? apart : within) += packets;
    s.refused += packets;
    if (packets <= s.of_reason) continue;
    s.of_reason = packets;
    s.reason = row.reason;
  }
  // What was refused in a run of numbers is among what is lost there, and what is refused while the stream
  // stands still is why it does.
  const double beside = std::max(s.still, apart + std::max(0.0, within - s.lost));
  s.ear.spoken = expected + beside;
  s.ear.missing = std::min(std::max(s.lost, counted) + beside, s.ear.spoken);
  if (rate > 0) s.ear.hole = Duration{static_cast<Duration::rep>(1e9 * burst / rate)};
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
