// SPDX-License-Identifier: Apache-2.0
// Early media has two phases. While nobody has answered, `keep` stores the newest half second of up to four
// sources. At the answer `release` picks one source; its packets go out with half the gaps that they arrived
// with, so that the listener catches up with the live speech. Live packets that arrive meanwhile are kept
// behind the others, until `has_caught_up`.
#include "relay/core/latch/early_media.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// The longest pause between two packets that is reproduced for packets that arrived after the answer. It is
/// halved like every other gap.
constexpr Duration kLongestGap = 200ms;

}  // namespace

EarlyMedia::Source* EarlyMedia::find_or_make(const Endpoint& from, Instant now, KeepResult& why_not) {
  const auto known = std::ranges::find_if(sources_, [&](const auto& source) { return source->from == from; });
  if (known != sources_.end()) return known->get();
  if (is_releasing_) {  // one source is being released, and no other is kept
    why_not = KeepResult::kTooManySources;
    return nullptr;
  }
  // A source gives way only if all its packets are too old to be released anyway. A stranger who sprays from
  // many addresses cannot push out a callee who speaks.
  if (sources_.size() == kSources) {
    const auto oldest =
        std::ranges::min_element(sources_, {}, [](const auto& source) { return source->newest; });
    if (now - (*oldest)->newest < kTime) {
      why_not = KeepResult::kTooManySources;
      return nullptr;
    }
    erase(static_cast<std::size_t>(oldest - sources_.begin()));
  }
  // The place of a source counts as well, or many sources without packets could use up memory.
  if (budget_->used + sizeof(Source) > EarlyBudget::kMost) {
    why_not = KeepResult::kNoRoom;
    return nullptr;
  }
  sources_.push_back(std::make_unique<Source>());
  budget_->used += sizeof(Source);
  sources_.back()->from = from;
  return sources_.back().get();
}

EarlyMedia::KeepResult EarlyMedia::keep(const Endpoint& from, Bytes datagram, Instant now) {
  KeepResult result = KeepResult::kKept;
  Source* source = find_or_make(from, now, result);
  if (source == nullptr) return result;
  source->newest = now;
  // While a source is released its packets do not grow too old: they were young enough when the answer came.
  const auto is_too_old = [&](const Slot& slot) { return !is_releasing_ && now - slot.arrived > kTime; };
  while (source->count > 0 && (source->count == kPackets || is_too_old(source->at(0)))) {
    source->pop();
    ++dropped_;
  }
  Slot& slot = source->at(source->count);
  // The slot keeps its memory for later packets, so the budget counts capacity and not size.
  if (slot.octets.capacity() < datagram.size()) {
    if (budget_->used - slot.octets.capacity() + datagram.size() > EarlyBudget::kMost)
      return KeepResult::kNoRoom;
    const std::size_t before = slot.octets.capacity();
    slot.octets.clear();
    slot.octets.reserve(datagram.size());  // may throw; the budget is still right then
    budget_->used += slot.octets.capacity() - before;
  }
  slot.octets.assign(datagram.begin(), datagram.end());
  slot.arrived = now;
  ++source->count;
  return KeepResult::kKept;
}

void EarlyMedia::let_out(Source* source, Instant now) noexcept {
  for (std::size_t i = sources_.size(); i-- > 0;) {
    if (sources_[i].get() != source) erase(i);
  }
  is_releasing_ = source != nullptr && source->count > 0;
  released_at_ = now;
}

void EarlyMedia::erase(std::size_t index) noexcept {
  const auto at = sources_.begin() + static_cast<std::ptrdiff_t>(index);
  dropped_ += static_cast<std::uint32_t>((*at)->count);
  budget_->used -= sizeof(Source);
  for (const Slot& slot : (*at)->slots) budget_->used -= slot.octets.capacity();
  sources_.erase(at);
}

void EarlyMedia::forget(const Endpoint& from) noexcept {
  const auto known = std::ranges::find_if(sources_, [&](const auto& source) { return source->from == from; });
  if (known != sources_.end()) erase(static_cast<std::size_t>(known - sources_.begin()));
}

void EarlyMedia::drop_all() noexcept {
  while (!sources_.empty()) erase(sources_.size() - 1);
  is_releasing_ = false;
}

std::size_t EarlyMedia::size() const noexcept {
  std::size_t sum = 0;
  for (const auto& source : sources_) sum += source->count;
  return sum;
}

Instant EarlyMedia::due_of(Instant arrived) const noexcept {
  if (last_sent_ == Instant{}) return released_at_;
  const Duration gap = arrived - last_arrival_;
  // A pause that the speaker made before the answer keeps its proportion. A later one is cut to
  // `kLongestGap`, as it only delays the catching up.
  return last_sent_ + (arrived > released_at_ ? std::min(gap, kLongestGap) : gap) / 2;
}

bool EarlyMedia::has_caught_up(Instant now) const noexcept {
  return sources_.empty() || (sources_.front()->count == 0 && due_of(now) <= now);
}

std::optional<Instant> EarlyMedia::due() const noexcept {
  if (!is_releasing_ || sources_.empty()) return std::nullopt;
  const Source& source = *sources_.front();
  return source.count > 0 ? due_of(source.at(0).arrived) : last_sent_ + kLongestGap / 2;
}

Bytes EarlyMedia::next(Instant now) const noexcept {
  if (!is_releasing_ || sources_.empty() || sources_.front()->count == 0 || *due() > now) return {};
  return sources_.front()->at(0).octets;
}

void EarlyMedia::pop(Instant now) noexcept {
  Source& source = *sources_.front();
  last_arrival_ = source.at(0).arrived;
  last_sent_ = now;
  source.pop();
}

bool EarlyMedia::is_over(Instant now) const noexcept {
  return is_releasing_ && (sources_.empty() || (sources_.front()->count == 0 && now >= *due()));
}

}  // namespace ferry
