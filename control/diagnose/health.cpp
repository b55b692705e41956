// SPDX-License-Identifier: Apache-2.0
// Judges the health of a call from one look to the next.
//
// `worst_of` reduces a call to its worst verdict and a few figures. `CallHealth::take` follows them over
// time:
//
//   well --(a listener hears nothing for 5 s, or badly for 8 s)--> bad --(no fault for 5 s)--> well
//
// A look that finds the call heard badly is not enough: the number of missing packets must still grow,
// because figures of the last seconds contain a hole that is over. Every change is counted; at most one
// report in 30 s is told.

#include "control/diagnose/health.hpp"

#include "control/diagnose/drop_causes.hpp"

#include <algorithm>
#include <limits>
#include <string>

namespace ferry {

namespace {

/// A stream runs while its last packet is not older than this.
constexpr Duration kRuns = std::chrono::seconds(2);

/// True if packets that are dropped for `reason` come from another address than the party's, as far as the
/// newest one tells.
bool is_strangers(const MediaEvidence& media, DropReason reason) {
  const Refusal* newest = media.seen.refusal(reason);
  if (newest == nullptr || media.seen.active == nullptr) return false;
  const Endpoint& party = media.seen.active->latch[0].peer;
  return newest->from.is_set() && party.is_set() && newest->from.address != party.address;
}

/// Adds the worst figures of the media's streams, and what is missing in all of them.
void add_figures(HealthFinding& found, const MediaEvidence& media) {
  for (const MediaView::Stream& stream : media.seen.ingress) {
    found.loss_percent = std::max(found.loss_percent, static_cast<float>(stream.recent.loss_percent()));
    found.jitter_ms =
        std::max(found.jitter_ms, std::chrono::duration<float, std::milli>(stream.recent.jitter).count());
    constexpr std::uint32_t kMost = std::numeric_limits<std::uint16_t>::max();
    found.longest_burst = std::max(found.longest_burst,
                                   static_cast<std::uint16_t>(std::min(stream.recent.longest_burst, kMost)));
    found.missing += stream.counters.lost();
  }
  for (const DropCauseRow& row : kDropCauseRows) {
    if (row.owner == DropOwner::kOwn && !is_strangers(media, row.reason))
      found.missing += media.seen.drops[row.reason];
  }
}

/// Adds what the party itself reports, as far as its reports are new.
void add_reports(HealthFinding& found, const MediaEvidence& media, Instant now) {
  for (const ListenerReport& report : media.seen.reports) {
    found.missing += static_cast<std::uint64_t>(std::max(report.cumulative_lost, 0));
    if (now - report.at < kRecentTime)
      found.loss_percent = std::max(found.loss_percent, static_cast<float>(report.recent_loss_percent()));
  }
}

/// When the last packet passed in the direction of `verdict`, which is about `media`; unset = none did.
Instant last_passed(const MediaEvidence& media, const MediaVerdict& verdict) {
  if (verdict.one_heard_until) return *verdict.one_heard_until;
  if (verdict.direction == MediaDirection::kTo) {
    const MediaView::OutStream* sent = media.seen.newest_sent();
    return sent == nullptr ? Instant{} : sent->counters.last_packet;
  }
  const MediaView::Stream* heard = media.seen.newest_stream();
  return heard == nullptr ? Instant{} : heard->counters.last_packet;
}

/// The best that a party hears in any of its media.
Reception best_heard(const Explanation& verdicts, const std::string& leg) {
  Reception best = Reception::kNothing;
  for (const MediaVerdict& row : verdicts.verdicts) {
    if (row.direction == MediaDirection::kTo && row.leg == leg) best = std::min(best, row.reception());
  }
  return best;
}

/// What those hear whom `note` concerns: its party if that is the listener, else the listeners of its party.
Reception heard_despite(const MediaVerdict& note, std::size_t leg, std::size_t media,
                        const Explanation& verdicts, const CallEvidence& call) {
  if (note.direction == MediaDirection::kTo) return best_heard(verdicts, note.leg);
  std::optional<Reception> worst;
  for (const LegEvidence& other : call.legs) {
    const bool listens = std::ranges::any_of(other.medias, [&](const MediaEvidence& receiver) {
      return std::ranges::any_of(receiver.sources, [&](const MediaEvidence::Source& source) {
        return source.leg == leg && source.media == media;
      });
    });
    if (listens) worst = std::max(worst.value_or(Reception::kAll), best_heard(verdicts, other.name));
  }
  return worst.value_or(note.reception());
}

}  // namespace

HealthFinding worst_of(const Explanation& verdicts, const CallEvidence& call) {
  HealthFinding found;
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias) {
      add_figures(found, media);
      add_reports(found, media, call.now);
    }
  }
  const MediaVerdict* worst = verdicts.main();
  if (worst == nullptr) return found;
  found.severity = worst->severity();
  found.reception = found.hears = worst->reception();
  found.is_one_unheard = worst->one_heard_until.has_value();
  found.cause = worst->cause;
  found.direction = worst->direction;
  for (std::size_t l = 0; l < call.legs.size(); ++l) {
    if (call.legs[l].name != worst->leg) continue;
    const auto& medias = call.legs[l].medias;
    for (std::size_t m = 0; m < medias.size(); ++m) {
      const MediaEvidence& media = medias[m];
      if (media.index != worst->media) continue;
      found.leg = static_cast<std::uint8_t>(l);
      found.media = static_cast<std::uint8_t>(media.index);
      if (found.severity == Severity::kNote && found.reception == Reception::kNothing)
        found.hears = heard_despite(*worst, l, m, verdicts, call);
      const Instant last = last_passed(media, *worst);
      if (found.is_unheard() && call.now - last >= kRuns)
        found.unheard_since = std::max({last, call.last_signal, call.created});
      return found;
    }
  }
  return found;
}

/// Trouble counts only from `steady_since` on: before it the relay was stopped and could see nothing.
bool CallHealth::is_alarming(Instant now, Instant steady_since) const noexcept {
  if (found_.severity != Severity::kFault) return false;
  const bool is_unheard =
      unheard_since_ != Instant{} && now - std::max(unheard_since_, steady_since) >= kUnheardTime;
  const bool goes_on = missing_since_ != Instant{} && now - missing_since_ < kStillMissing;
  return is_unheard ||
         (goes_on && now - std::max(impaired_since_, steady_since + kMarkInterval) >= kImpairedTime);
}

void CallHealth::show(const HealthFinding& found, Instant now) noexcept {
  if (looked_at_ == Instant{} || !found.is_as(found_)) since_ = found.began(now);
  found_ = found;
  looked_at_ = now;
}

HealthChange CallHealth::take(const HealthFinding& found, Instant now, Instant steady_since) noexcept {
  if (looked_at_ != Instant{} && found.missing > found_.missing) missing_since_ = now;
  show(found, now);
  if (!found.is_unheard())
    unheard_since_ = {};
  else if (unheard_since_ == Instant{})
    unheard_since_ = found.began(now);
  if (!found.is_impaired())
    impaired_since_ = {};
  else if (impaired_since_ == Instant{})
    impaired_since_ = now;

  HealthChange change;
  // A well call becomes bad only with an alarm. A bad one needs some time without a fault to recover; a fault
  // in between begins that time anew.
  if (!is_bad()) {
    if (!is_alarming(now, steady_since)) return change;
    bad_since_ = now;
    well_since_ = {};
    bad_cause_ = found.cause;
    is_told_ = false;
    change.became_bad = true;
  } else if (found.severity == Severity::kFault) {
    well_since_ = {};
  } else if (well_since_ == Instant{}) {
    well_since_ = now;
  }
  change.cause = bad_cause_;
  if (well_since_ == Instant{}) {
    // Told once for each time that the call is bad, and not again within the interval.
    if (is_told_ || (told_at_ != Instant{} && now - told_at_ < kAlarmInterval)) return change;
    is_told_ = change.tells_bad = true;
    told_at_ = now;
  } else if (now - well_since_ >= kRecoveryTime) {
    change.recovered = true;
    // A recovery is told only if the alarm before it was.
    change.tells_recovery = is_told_;
    change.lasted = well_since_ - bad_since_;
    bad_since_ = well_since_ = {};
  }
  return change;
}

}  // namespace ferry
