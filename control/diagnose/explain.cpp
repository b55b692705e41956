// SPDX-License-Identifier: Apache-2.0
// Judges all media of a call in two passes.
//
// The first pass measures what each party spoke and judges what comes from it. The second judges what each
// listener hears, for which it needs the verdicts on all senders. At the end `follow_listeners` corrects
// senders' notes by what their listeners get.

#include "control/diagnose/explain.hpp"

#include "control/diagnose/judge.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace ferry {

namespace {

/// Corrects the reception in a sender's note if its listeners get all that was spoken: a sender that pauses
/// and says so sends nothing, and nobody misses anything. `verdicts` has two rows for each media, in the
/// order of the call, the sender's first.
void follow_listeners(const CallEvidence& call, std::vector<MediaVerdict>& verdicts) {
  // Place of the first media of each leg.
  std::vector<std::size_t> first;
  std::size_t count = 0;
  for (const LegEvidence& leg : call.legs) {
    first.push_back(count);
    count += leg.medias.size();
  }
  // The worst that any listener of a sender gets; unset if the sender has no listener.
  std::vector<std::optional<Reception>> heard(count);
  std::size_t place = 0;
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias) {
      const Reception reception = verdicts[place * 2 + 1].reception();
      for (const MediaEvidence::Source& source : media.sources) {
        auto& worst = heard[first[source.leg] + source.media];
        worst = std::max(worst.value_or(Reception::kAll), reception);
      }
      ++place;
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    MediaVerdict& sender = verdicts[i * 2];
    const bool seems_unheard =
        sender.severity() == Severity::kNote && sender.reception() == Reception::kNothing;
    if (seems_unheard && heard[i] == Reception::kAll) sender.received = Reception::kAll;
  }
}

Explanation judge_all(const CallEvidence& call, bool with_words) {
  Explanation explanation;
  explanation.call_id = call.call_id;
  const Hearers hearers(call);
  const std::size_t count = hearers.places;
  std::vector<Spoken> spoken;
  std::vector<MediaVerdict> senders;
  spoken.reserve(count);
  senders.reserve(count);
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias) spoken.push_back(spoken_by(call, media));
  }
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias)
      senders.push_back(judge_sender({call, leg, media, spoken, hearers, senders.size(), with_words}));
  }
  explanation.verdicts.resize(count * 2);
  std::size_t place = 0;
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias) {
      explanation.verdicts[place * 2 + 1] =
          judge_listener({call, leg, media, spoken, hearers, place, with_words}, senders);
      ++place;
    }
  }
  // Listeners have looked at all senders, so their verdicts may be moved now.
  for (std::size_t i = 0; i < count; ++i) explanation.verdicts[i * 2] = std::move(senders[i]);
  follow_listeners(call, explanation.verdicts);
  return explanation;
}

}  // namespace

Explanation explain(const CallEvidence& call) { return judge_all(call, true); }
Explanation glance(const CallEvidence& call) { return judge_all(call, false); }

}  // namespace ferry
