// SPDX-License-Identifier: Apache-2.0
#include "relay/core/dtls/parties.hpp"

#include <tuple>

namespace ferry {

bool DtlsStarts::take(Instant now) noexcept {
  // The oldest of the four starts is free for reuse after 10 s.
  const auto oldest = std::ranges::min_element(starts_);
  const Instant newest = std::ranges::max(starts_);
  const bool is_free = *oldest == Instant{} || now - *oldest >= kTime;
  // Somebody else may have spoiled the last handshake, so the party need not wait for 10 s (DTL-13).
  const bool is_next_try = !has_succeeded_ && now - newest >= kAgain;
  if (!is_free && !is_next_try) return false;
  *oldest = now;
  has_succeeded_ = false;
  return true;
}

bool DtlsStarts::is_fresh(Instant now) const noexcept {
  const Instant newest = std::ranges::max(starts_);
  return newest == Instant{} || now - newest >= kTime;
}

DtlsParty* DtlsParties::find(const Path& from, bool is_one) noexcept {
  const auto found =
      std::ranges::find_if(parties_, [&](const auto& party) { return is_one || party->path == from; });
  return found == parties_.end() ? nullptr : found->get();
}

DtlsParty& DtlsParties::make(const Path& from, bool is_one, Instant now) {
  // A named source never has to make room, and never pushes out another.
  DtlsParty* party = find(from, is_one);
  if (party == nullptr) {
    const bool named = is_named(from, is_one);
    if (!named) leave_room_for(1);
    party = parties_.emplace_back(std::make_unique<DtlsParty>()).get();
    party->path = from;
    party->is_named = named;
  }
  party->heard = now;
  return *party;
}

void DtlsParties::leave_room_for(std::size_t more) noexcept {
  // The least worth goes first: not named, no handshake, not proven, silent for longest.
  const auto worth = [](const auto& each) {
    const bool is_proven = each->is_under_way() && !each->live.is_unproven() && !each->next.is_unproven();
    return std::tuple(each->is_named, each->is_under_way(), is_proven, each->heard);
  };
  const auto others = std::ranges::count_if(parties_, [](const auto& each) { return !each->is_named; });
  for (auto left = static_cast<std::size_t>(others); left + more > kMostOthers; --left)
    parties_.erase(std::ranges::min_element(parties_, {}, worth));
}

void DtlsParties::forget_idle(Instant now) noexcept {
  std::erase_if(parties_, [now](const auto& party) {
    return party->taker() == nullptr && now - party->heard >= DtlsStarts::kTime;
  });
}

void DtlsParties::name(const Path& way, const Endpoint& signalled, bool is_one) noexcept {
  way_ = way;
  signalled_ = signalled;
  for (const auto& party : parties_) party->is_named = is_named(party->path, is_one);
  leave_room_for(0);
}

}  // namespace ferry
