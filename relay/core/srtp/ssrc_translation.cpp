// SPDX-License-Identifier: Apache-2.0
#include "relay/core/srtp/ssrc_translation.hpp"

#include "relay/base/memory.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <algorithm>

namespace ferry {

namespace {

// The present name of a stream; the end of `names` if it has none.
template <class Names>
auto current(Names& names, std::uint32_t source, Ssrc theirs) noexcept {
  return std::ranges::find_if(names, [&](const auto& name) {
    return name.is_current && name.source == source && name.theirs == theirs;
  });
}

}  // namespace

Ssrc SsrcTranslation::to_receiver(std::uint32_t source, Ssrc theirs) const noexcept {
  const auto name = current(names_, source, theirs);
  return name == names_.end() ? theirs : name->ours;
}

Ssrc SsrcTranslation::to_source(Ssrc ours) const noexcept {
  const auto name = std::ranges::find(names_, ours, &Name::ours);
  return name == names_.end() ? ours : name->theirs;
}

Ssrc SsrcTranslation::use(std::uint32_t source, Ssrc theirs) noexcept {
  const auto name = current(names_, source, theirs);
  if (name == names_.end()) return theirs;
  name->used = ++clock_;
  return name->ours;
}

SsrcTranslation::Unconfirmed* SsrcTranslation::unconfirmed(std::uint32_t source, Ssrc theirs) noexcept {
  const auto found = std::ranges::find_if(unconfirmed_, [&](const Unconfirmed& each) {
    return each.count > 0 && each.source == source && each.theirs == theirs;
  });
  return found == unconfirmed_.end() ? nullptr : &*found;
}

SsrcTranslation::Unconfirmed* SsrcTranslation::place_for_one() noexcept {
  // If more streams wait than there are places, each would push out another before its second packet, for
  // ever. So a row may only be pushed out after a while.
  constexpr std::uint64_t kPatience = 64;
  const auto longest_idle = std::ranges::min_element(
      unconfirmed_, {}, [](const Unconfirmed& each) { return each.count == 0 ? 0 : each.seen; });
  const bool is_free = longest_idle->count == 0;
  return is_free || clock_ - longest_idle->seen >= kPatience ? &*longest_idle : nullptr;
}

unsigned SsrcTranslation::count_unsendable(std::uint32_t source, Ssrc theirs, SeqNo sequence) noexcept {
  ++clock_;
  Unconfirmed* known = unconfirmed(source, theirs);
  if (known == nullptr) {
    known = place_for_one();
    // There is no place for a row, so this packet confirms nothing.
    if (known == nullptr) return 1;
    if (known->count == 0) ++waiting_;
    *known = Unconfirmed{};
    known->source = source;
    known->theirs = theirs;
  } else if (distance(sequence, known->sequence) != 1) {
    // The packet does not follow the one before, so the row starts over.
    known->count = 0;
  }
  known->sequence = sequence;
  known->seen = clock_;
  if (known->count < 0xffff) ++known->count;
  return known->count;
}

void SsrcTranslation::follows(std::uint32_t source, Ssrc theirs) noexcept {
  // The usual case costs nothing: no row is waiting.
  if (waiting_ == 0) return;
  Unconfirmed* known = unconfirmed(source, theirs);
  if (known == nullptr) return;
  known->count = 0;
  --waiting_;
}

bool SsrcTranslation::rename(std::uint32_t source, Ssrc theirs, Ssrc ours) noexcept {
  const Name fresh{source, theirs, ours, true, clock_ + 1};
  // The memory comes first: after this nothing can fail.
  const bool is_full = names_.size() >= kNames;
  if (!is_full && !had_memory([&] { names_.reserve(names_.size() + 1); })) return false;
  follows(source, theirs);
  // The former name stays for reports about it, until it is pushed out.
  if (const auto former = current(names_, source, theirs); former != names_.end()) former->is_current = false;
  if (is_full) names_.erase(std::ranges::min_element(names_, {}, &Name::used));
  names_.push_back(fresh);
  ++clock_;
  return true;
}

void SsrcTranslation::restore(const State& state) {
  names_ = state;
  if (names_.size() > kNames) names_.resize(kNames);
  for (const Name& name : names_) clock_ = std::max(clock_, name.used);
}

}  // namespace ferry
