#include "control/diagnose/verdict.hpp"

#include <algorithm>

namespace ferry {

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

}  // namespace ferry
