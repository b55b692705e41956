// SPDX-License-Identifier: Apache-2.0
// Measures what a party spoke in the last seconds, and how much of it never reached the relay or was refused.
#pragma once

#include "control/diagnose/call_evidence.hpp"
#include "control/diagnose/hearing.hpp"

namespace ferry {

/// What came from a party in all its streams. Plain values, for sentences and for the verdicts of listeners.
struct Spoken {
  /// What the party spoke, and the part of it that did not reach the relay or was refused here.
  EarFigures ear;
  /// Parts of `ear.missing`, in packets: lost on the way to the relay, refused here, and not sent because the
  /// stream stands still. One packet may be in two of them.
  double lost = 0;
  double refused = 0;
  double still = 0;
  /// Packets of the last seconds that were taken, those that came twice, and how often the sequence began
  /// anew.
  double taken = 0;
  double duplicates = 0;
  std::uint32_t resets = 0;
  /// The reason for which most of the party's own packets were refused, and their number; kNone = none were.
  DropReason reason = DropReason::kNone;
  double of_reason = 0;
  /// Since when its stream stands still. Unset: it runs, or the party said that it pauses.
  Instant halted{};
};

/// True if the media is speech: its streams then run without a pause unless they say so.
[[nodiscard]] bool is_speech(const MediaEvidence& media);
/// True if the newest packet of the stream announces a pause: comfort noise (RFC 3389), a silence frame of
/// its codec (G.729 annex B, AMR, Opus), or RTCP BYE.
[[nodiscard]] bool says_pause(const SsrcCounters& stream);
/// True if comfort noise came after `last_packet` and was refused: the party pauses all the same.
[[nodiscard]] bool says_pause_in_refused(const MediaView& seen, Instant last_packet);
/// Packets a second that the party sends while it sends; 0 if too little came to say.
[[nodiscard]] double packet_rate(const MediaView::Stream& stream, Instant now);
/// Packets that were dropped for one reason as they came to the party's port in the last seconds; in the
/// whole call if nothing is known of the last seconds.
struct Dropped {
  /// Sent by the party, and not received before.
  double own = 0;
  /// From another address than the party's, or RTCP.
  double foreign = 0;
  /// Sent by the party, and received before: nothing is missing with them.
  double copies = 0;
  /// All three together.
  [[nodiscard]] constexpr double packets() const noexcept { return own + foreign + copies; }
};
/// Counts the packets of a media that were dropped for `reason`.
[[nodiscard]] Dropped dropped(const CallEvidence& call, const MediaEvidence& media, DropReason reason);
/// Percent that `packets`, dropped for `reason`, are of all that came to the party's port.
[[nodiscard]] double dropped_percent(const MediaEvidence& media, DropReason reason, double packets);
/// Packets toward `receiver` that were not encrypted because their sequence numbers had left before, without
/// those that came twice.
[[nodiscard]] double numbers_repeated(const MediaEvidence& receiver);

/// Measures what came from one media. Pure.
[[nodiscard]] Spoken spoken_by(const CallEvidence& call, const MediaEvidence& media);

}  // namespace ferry
