#include "relay/core/srtp/ssrc_translation.hpp"

#include "relay/core/rtp/rtp.hpp"

#include <algorithm>

namespace ferry {

namespace {

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

unsigned SsrcTranslation::count_unsendable(std::uint32_t source, Ssrc theirs, SeqNo sequence) noexcept {
  Unconfirmed* known = unconfirmed(source, theirs);
  if (known == nullptr) {
    known = &unconfirmed_[next_unconfirmed_];
    next_unconfirmed_ = static_cast<std::uint8_t>((next_unconfirmed_ + 1) % unconfirmed_.size());
    if (known->count == 0) ++waiting_;
    *known = {source, theirs, sequence, 0};
  } else if (distance(sequence, known->sequence) != 1) {
    known->count = 0;
  }
  known->sequence = sequence;
  if (known->count < 0xffff) ++known->count;
  return known->count;
}

void SsrcTranslation::follows(std::uint32_t source, Ssrc theirs) noexcept {
  if (waiting_ == 0) return;
  Unconfirmed* known = unconfirmed(source, theirs);
  if (known == nullptr) return;
  known->count = 0;
  --waiting_;
}

void SsrcTranslation::rename(std::uint32_t source, Ssrc theirs, Ssrc ours) {
  follows(source, theirs);
  if (const auto former = current(names_, source, theirs); former != names_.end()) former->is_current = false;
  if (names_.size() >= kNames) names_.erase(std::ranges::min_element(names_, {}, &Name::used));
  names_.push_back({source, theirs, ours, true, ++clock_});
}

void SsrcTranslation::restore(const State& state) {
  names_ = state;
  if (names_.size() > kNames) names_.resize(kNames);
  for (const Name& name : names_) clock_ = std::max(clock_, name.used);
}

}  // namespace ferry
