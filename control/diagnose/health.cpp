#include "control/diagnose/health.hpp"

#include <algorithm>
#include <limits>

namespace ferry {

namespace {

/// A stream whose last packet is not older than this still runs.
constexpr Duration kRuns = std::chrono::seconds(2);

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
  found.missing += media.seen.drops.total();
}

/// What the party itself reports, of reports that are new.
void add_reports(HealthFinding& found, const MediaEvidence& media, Instant now) {
  for (const ListenerReport& report : media.seen.reports) {
    found.missing += static_cast<std::uint64_t>(std::max(report.cumulative_lost, 0));
    if (now - report.at < kRecentTime)
      found.loss_percent = std::max(found.loss_percent, static_cast<float>(report.recent_loss_percent()));
  }
}

/// When the last packet passed in the direction of a verdict; unset: none did.
Instant last_passed(const MediaEvidence& media, MediaDirection direction) {
  if (direction == MediaDirection::kTo) {
    const MediaView::OutStream* sent = media.seen.newest_sent();
    return sent == nullptr ? Instant{} : sent->counters.last_packet;
  }
  const MediaView::Stream* heard = media.seen.newest_stream();
  return heard == nullptr ? Instant{} : heard->counters.last_packet;
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
  found.reception = worst->reception();
  found.cause = worst->cause;
  found.direction = worst->direction;
  for (std::size_t l = 0; l < call.legs.size(); ++l) {
    if (call.legs[l].name != worst->leg) continue;
    for (const MediaEvidence& media : call.legs[l].medias) {
      if (media.index != worst->media) continue;
      found.leg = static_cast<std::uint8_t>(l);
      found.media = static_cast<std::uint8_t>(media.index);
      const Instant last = last_passed(media, worst->direction);
      if (found.is_unheard() && call.now - last >= kRuns)
        found.unheard_since = std::max({last, call.last_signal, call.created});
      return found;
    }
  }
  return found;
}

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
    if (is_told_ || (told_at_ != Instant{} && now - told_at_ < kAlarmInterval)) return change;
    is_told_ = change.tells_bad = true;
    told_at_ = now;
  } else if (now - well_since_ >= kRecoveryTime) {
    change.recovered = true;
    change.tells_recovery = is_told_;
    change.lasted = well_since_ - bad_since_;
    bad_since_ = well_since_ = {};
  }
  return change;
}

}  // namespace ferry
