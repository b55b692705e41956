// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/finding.hpp"

#include "control/diagnose/drop_causes.hpp"
#include "control/diagnose/spoken.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// True for causes by which packets arrive, but nothing can be heard in them.
bool spoils_sound(Cause cause) {
  return cause == Cause::kSilence || cause == Cause::kCodecMismatch || cause == Cause::kNotTranscoded;
}

Instant first_media_of(const MediaEvidence& media) {
  const MediaView::Stream* stream = media.seen.newest_stream();
  return stream == nullptr ? Instant{} : stream->counters.first_packet;
}

}  // namespace

Findings::Findings(const JudgedMedia& judged, std::span<const MediaVerdict> senders, const WayOut& out)
    : Judge(judged), spoken_(judged.spoken), hearers_(judged.hearers), senders_(senders), out_(out) {
  look_at_other_ssrcs();
}

Finding Findings::of(const MediaEvidence::Source& source) const {
  Finding f;
  f.leg = &call_.legs[source.leg];
  f.media = &media_of(source);
  const std::size_t place = hearers_.place_of(source);
  f.said = &senders_[place];
  f.spoken = &spoken_[place];
  f.left = left_at(*f.media);
  const MediaVerdict& said = *f.said;
  f.is_senders = true;
  const auto is = [&f](Cause cause, Severity severity, Reception reception) {
    f.cause = cause;
    f.severity = severity;
    f.reception = reception;
    return f;
  };
  if (source.blocked || source.silenced || f.media->is_blocked) {
    f.is_silenced = source.silenced && !source.blocked;
    return is(Cause::kBlocked, Severity::kNote, Reception::kNothing);
  }
  if (f.media->only_listens) return is(Cause::kNothingToSend, Severity::kNote, Reception::kNothing);
  if (!f.media->may_send) return is(Cause::kHold, Severity::kNote, Reception::kNothing);
  const bool speaks = last_media_of(*f.media) != Instant{} && age(last_media_of(*f.media)) < kStoppedAfter;
  const bool leaves = f.left != Instant{} && age(f.left) < kStoppedAfter;
  const bool is_gone = !speaks && !leaves;
  const bool is_unheard =
      said.severity() != Severity::kFine &&
      (said.reception() == Reception::kNothing || (is_gone && said.reception() == Reception::kSome));
  if (said.cause == Cause::kSilenceSuppressed) {
    // A sender that pauses is heard completely; one that sends packets without sound is muted.
    return is(said.cause, Severity::kNote, speaks && is_unheard ? Reception::kNothing : Reception::kAll);
  }
  if (is_unheard && (spoils_sound(said.cause) || !leaves))
    return is(said.cause, said.severity(), Reception::kNothing);
  if (is_gone) {
    const MediaView::Stream* stream = f.media->seen.newest_stream();
    if (stream != nullptr && says_pause(stream->counters))
      return is(Cause::kSilenceSuppressed, Severity::kNote, Reception::kAll);
    return is(Cause::kNothingToSend, Severity::kNote, Reception::kNothing);
  }
  f.is_senders = false;
  if (leaves) return f;
  // Its packets come to the relay, and none leaves.
  const MediaView::Stream* newest = f.media->seen.newest_stream();
  const bool pauses = newest != nullptr && says_pause(newest->counters) && age(last_media_of(*f.media)) >= 1s;
  if (pauses && out_.reason == DropReason::kNone)
    return is(Cause::kSilenceSuppressed, Severity::kNote, Reception::kAll);
  if (has_prompt(call_, media_, *f.media)) return is(Cause::kPromptPlays, Severity::kNote, Reception::kAll);
  const bool is_wanted = out_.reason == DropReason::kNone && out_.wanted_reason != DropReason::kNone;
  if (is_wanted) return is(row_of(out_.wanted_reason).leaving, Severity::kNote, Reception::kNothing);
  const Instant began = std::max({f.left, call_.last_signal, first_media_of(*f.media)});
  if (!call_.is_answered || age(began) < kStoppedAfter)
    return is(f.left == Instant{} ? Cause::kWaiting : Cause::kInterrupted, Severity::kNote,
              Reception::kNothing);
  // The sender's own packets may cause the drop, as with sequence numbers that encryption cannot use again.
  f.is_senders = out_.reason != DropReason::kNone && row_of(out_.reason).is_senders_fault;
  return is(out_.reason == DropReason::kNone ? Cause::kBrokenUp : row_of(out_.reason).leaving,
            Severity::kFault, Reception::kNothing);
}

Instant Findings::left_at(const MediaEvidence& from) const {
  const MediaView::Stream* stream = from.seen.newest_stream();
  if (stream == nullptr || !media_.is_rtp)  // no SSRC to tell it by
    return seen_.counters[0].packets_out == 0 ? Instant{} : last_media_of(from);
  // The relay may have given the stream another SSRC toward this party.
  Instant newest = left_by_another_ssrc_;
  for (const MediaView::OutStream& out : seen_.egress) {
    if (out.counters.ssrc == stream->counters.ssrc) newest = std::max(newest, out.counters.last_packet);
  }
  return newest;
}

void Findings::look_at_other_ssrcs() {
  std::vector<std::uint32_t> theirs;
  if (media_.sources.size() > 1) {
    for (const MediaEvidence::Source& source : media_.sources) {
      for (const MediaView::Stream& stream : media_of(source).seen.ingress)
        theirs.push_back(stream.counters.ssrc.value);
    }
    std::ranges::sort(theirs);
  }
  for (const MediaView::OutStream& out : seen_.egress) {
    if (!std::ranges::binary_search(theirs, out.counters.ssrc.value))
      left_by_another_ssrc_ = std::max(left_by_another_ssrc_, out.counters.last_packet);
  }
}

}  // namespace ferry
