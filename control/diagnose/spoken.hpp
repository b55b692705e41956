// What a party spoke in the last seconds, and how much of it the relay never had or refused.
#pragma once

#include "control/diagnose/explain.hpp"
#include "control/diagnose/hearing.hpp"

namespace ferry {

/// What came from a party, its streams together. Plain values, for sentences and for the rows of listeners.
struct Spoken {
  /// What the party spoke, and what of it did not come as far as the relay or was refused here.
  EarFigures ear;
  /// Parts of `ear.missing`, in packets: lost on the way to the relay, refused here, and what the party would
  /// have sent while its stream stands still. One packet may be in two of them.
  double lost = 0;
  double refused = 0;
  double still = 0;
  /// Packets of the last seconds that were taken, those that came twice, and times that the sequence began
  /// anew.
  double taken = 0;
  double duplicates = 0;
  /// Packets that came behind later ones; a copy that comes long after its packet counts among them.
  double late = 0;
  std::uint32_t resets = 0;
  /// The reason that refused most of the party's own packets, and how many; kNone: nothing was refused.
  DropReason reason = DropReason::kNone;
  double of_reason = 0;
  /// Since when its stream stands still; unset: it runs, or the party said that it pauses.
  Instant halted{};
};

/// True if the media is sound of people: its streams run without a pause unless they say so.
[[nodiscard]] bool is_speech(const MediaEvidence& media);
/// The newest packet of the stream says that it pauses: comfort noise (RFC 3389), a silence frame of its
/// codec (G.729 annex B, AMR, Opus), or RTCP BYE.
[[nodiscard]] bool says_pause(const SsrcCounters& stream);
/// Packets that the party sends in a second while it sends; 0: too little came to say.
[[nodiscard]] double packet_rate(const MediaView::Stream& stream, Instant now);
/// Packets that were dropped for `reason` as they came from the party, in the last seconds; of the whole call
/// if nothing is known of the last seconds. `is_own` false: the newest of them came from another address than
/// the party's, or was RTCP.
struct Dropped {
  double packets = 0;
  bool is_own = true;
};
[[nodiscard]] Dropped dropped(const CallEvidence& call, const MediaEvidence& media, DropReason reason);
/// Percent that they are of all that came.
[[nodiscard]] double dropped_percent(const CallEvidence& call, const MediaEvidence& media, DropReason reason);
/// Packets toward `receiver` that were not encrypted, as their numbers had left before: not those that came
/// twice.
[[nodiscard]] double numbers_repeated(const Spoken& sender, const MediaEvidence& receiver);

[[nodiscard]] Spoken spoken_by(const CallEvidence& call, const MediaEvidence& media);

}  // namespace ferry
