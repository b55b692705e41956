// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/verdict.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// Octets that malloc of glibc uses for a block of this size: it adds 8 octets of its own and rounds up to a
/// multiple of 16. No octets take no block.
constexpr std::size_t block_of(std::size_t octets) noexcept {
  return octets == 0 ? 0 : (octets + sizeof(std::size_t) + 15) / 16 * 16;
}

/// Octets of a string on the heap: short ones lie in the object itself.
std::size_t heap_of(const std::string& text) noexcept {
  static const std::size_t in_object = std::string().capacity();
  return text.capacity() > in_object ? block_of(text.capacity() + 1) : 0;
}

}  // namespace

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

std::size_t Explanation::footprint() const noexcept {
  std::size_t octets = heap_of(call_id) + block_of(verdicts.capacity() * sizeof(MediaVerdict));
  for (const MediaVerdict& verdict : verdicts) {
    octets += heap_of(verdict.leg) + heap_of(verdict.type) + heap_of(verdict.sentence);
    if (verdict.origin) octets += heap_of(verdict.origin->leg);
    octets += block_of(verdict.evidence.capacity() * sizeof(std::string));
    for (const std::string& line : verdict.evidence) octets += heap_of(line);
  }
  return octets;
}

}  // namespace ferry
