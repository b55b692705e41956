#include "control/diagnose/explain.hpp"

#include "control/diagnose/glance.hpp"
#include "control/diagnose/judge.hpp"

#include <algorithm>

namespace ferry {

namespace {

double mos_with(QualityFigures figures, std::uint8_t payload_type) {
  // ITU-T G.113 appendix I: G.729A and G.723.1; all others are taken for G.711.
  if (payload_type == 18) {
    figures.equipment_impairment = 11;
    figures.loss_robustness = 19;
  } else if (payload_type == 4) {
    figures.equipment_impairment = 15;
    figures.loss_robustness = 16.1;
  }
  return estimate_mos(figures);
}

}  // namespace

double mos_of(const SsrcCounters& stream) {
  return mos_with(
      {.jitter = stream.jitter(), .loss_percent = stream.loss_percent(), .burst_ratio = stream.burst_ratio()},
      stream.last_payload_type);
}

std::optional<double> mos_of(const RecentStream& recent, std::uint8_t payload_type) {
  if (recent.counts.expected < kEnough) return std::nullopt;
  const double loss = recent.loss_percent();
  const std::uint32_t bursts = recent.counts.loss_bursts;
  const double mean = bursts == 0 ? 1.0 : static_cast<double>(recent.lost()) / bursts;
  return mos_with({.jitter = recent.jitter,
                   .loss_percent = loss,
                   .burst_ratio = std::max(1.0, mean * (1.0 - loss / 100.0))},
                  payload_type);
}

const MediaVerdict* Explanation::main() const noexcept {
  // If two verdicts are equally bad, the listener's comes first: it says who does not hear whom.
  const auto order = [](const MediaVerdict& verdict) {
    return verdict.rank() * 2 + (verdict.direction == MediaDirection::kTo ? 1 : 0);
  };
  const auto found = std::ranges::max_element(verdicts, {}, order);
  return found == verdicts.end() ? nullptr : &*found;
}

Severity Explanation::worst() const noexcept {
  const MediaVerdict* found = main();
  return found == nullptr ? Severity::kFine : found->severity();
}

bool Explanation::is_all_heard() const noexcept {
  return std::ranges::all_of(verdicts, [](const MediaVerdict& verdict) {
    return verdict.severity() == Severity::kFine ||
           (verdict.severity() == Severity::kNote && verdict.reception() == Reception::kAll);
  });
}

std::string Explanation::summary() const {
  if (verdicts.empty()) return {};
  return is_all_heard() ? std::string("everybody hears everybody") : main()->sentence;
}

namespace {

Explanation judge_all(const CallEvidence& call, bool with_words) {
  Explanation explanation;
  explanation.call_id = call.call_id;
  std::size_t count = 0;
  for (const LegEvidence& leg : call.legs) count += leg.medias.size();
  std::vector<Spoken> spoken;
  std::vector<MediaVerdict> senders;
  spoken.reserve(count);
  senders.reserve(count);
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias) spoken.push_back(spoken_by(call, media));
  }
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias)
      senders.push_back(judge_sender({call, leg, media, spoken, senders.size(), with_words}));
  }
  explanation.verdicts.resize(count * 2);
  std::size_t place = 0;
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias) {
      explanation.verdicts[place * 2 + 1] =
          judge_listener({call, leg, media, spoken, place, with_words}, senders);
      ++place;
    }
  }
  // Listeners looked at all senders: only now these may go to their places.
  for (std::size_t i = 0; i < count; ++i) explanation.verdicts[i * 2] = std::move(senders[i]);
  return explanation;
}

}  // namespace

Explanation explain(const CallEvidence& call) { return judge_all(call, true); }
Explanation glance(const CallEvidence& call) { return judge_all(call, false); }

}  // namespace ferry
