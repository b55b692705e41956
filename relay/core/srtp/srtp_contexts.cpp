// SPDX-License-Identifier: Apache-2.0
#include "relay/core/srtp/srtp_contexts.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// Takes out the oldest context that nobody uses or needs, if there are too many of those. Null if none has
/// to go.
template <class Keyed, class Predicate>
std::shared_ptr<Keyed> make_room(std::vector<std::shared_ptr<Keyed>>& all, Predicate is_needed) {
  // `use_count() == 1`: no transport holds it.
  const auto is_idle = [&](const auto& each) { return each.use_count() == 1 && !is_needed(*each); };
  if (std::ranges::count_if(all, is_idle) < static_cast<std::ptrdiff_t>(SrtpContexts::kKept)) return nullptr;
  const auto oldest = std::ranges::find_if(all, is_idle);
  auto gone = std::move(*oldest);
  all.erase(oldest);
  return gone;
}

/// Adds to what is remembered; if that is too much, the oldest is forgotten.
template <class Past>
void remember(std::vector<Past>& all, Past past) {
  if (all.size() >= SrtpContexts::kRemembered) all.erase(all.begin());
  all.push_back(std::move(past));
}

/// Lets a new context go on with what is remembered of its key. Nothing if nothing is remembered.
template <class Past, class Keyed>
std::optional<Past> recall(std::vector<Past>& all, Keyed& made) {
  // Key, salt, suite and MKI are compared; only the very same key goes on.
  const auto known = std::ranges::find_if(all, [&](const Past& each) { return each.what.key == made.key; });
  if (known == all.end()) return std::nullopt;
  Past past = std::move(*known);
  all.erase(known);
  made.context.restore(past.what.state, past.age);
  return past;
}

/// The context that `is_meant`, moved to the end as the newest; null if there is none.
template <class Keyed, class Predicate>
std::shared_ptr<Keyed> renewed(std::vector<std::shared_ptr<Keyed>>& all, Predicate is_meant) {
  const auto found = std::ranges::find_if(all, is_meant);
  if (found == all.end()) return nullptr;
  std::rotate(found, std::next(found), all.end());
  return all.back();
}

/// Makes a context. Null if the back end cannot make the cipher.
std::shared_ptr<SrtpReceiving> new_receiving(const SrtpMasterKey& key, const SrtpBackend& backend,
                                             std::size_t window) {
  auto cipher = backend.make(key);
  if (!cipher) return nullptr;
  return std::make_shared<SrtpReceiving>(SrtpReceiving{key, SrtpReceiver(std::move(cipher), window)});
}
std::shared_ptr<SrtpSending> new_sending(const SrtpMasterKey& key, SrtpParty party,
                                         const SrtpBackend& backend, std::size_t window) {
  auto cipher = backend.make(key);
  if (!cipher) return nullptr;
  return std::make_shared<SrtpSending>(SrtpSending{key, party, SrtpSender(std::move(cipher), window)});
}

}  // namespace

std::shared_ptr<SrtpReceiving> SrtpContexts::receiving(const SrtpMasterKey& key, const SrtpBackend& backend,
                                                       std::size_t window) {
  if (auto known = renewed(receiving_, [&](const auto& each) { return each->key == key; })) return known;
  auto made = new_receiving(key, backend, window);
  if (!made) return nullptr;
  // The key may be one that gave way earlier: it must not accept what it had accepted.
  make_room_for_receiving();
  static_cast<void>(recall(past_received_, *made));
  return receiving_.emplace_back(std::move(made));
}

void SrtpContexts::make_room_for_receiving() {
  const auto gone = make_room(receiving_, [](const SrtpReceiving&) { return false; });
  if (gone) remember(past_received_, {{gone->key, gone->context.compact()}, StateAge::kLatest});
}

void SrtpContexts::make_room_for_sending() {
  // A sender whose key others use too stays: they have to ask it which indices it used.
  const auto gone = make_room(sending_, [](const SrtpSending& each) { return each.context.shares_key(); });
  if (gone) remember(past_sent_, {{gone->key, gone->party, gone->context.compact()}, StateAge::kLatest});
}

std::optional<std::uint64_t> SrtpContexts::newest_index(Ssrc ssrc) const noexcept {
  for (auto each = receiving_.rbegin(); each != receiving_.rend(); ++each) {
    if (const auto index = (*each)->context.newest_index(ssrc)) return index;
  }
  return std::nullopt;
}

void SrtpContexts::add(std::shared_ptr<SrtpSending> made) {
  for (const auto& other : sending_) {
    // Senders with the same key must know of each other before either sends (SRT-9).
    if (other->key != made->key) continue;
    made->context.share_key_with(std::shared_ptr<const SrtpSender>(other, &other->context));
    other->context.share_key_with(std::shared_ptr<const SrtpSender>(made, &made->context));
  }
  sending_.push_back(std::move(made));
}

std::shared_ptr<SrtpSending> SrtpContexts::sending(const SrtpMasterKey& key, SrtpParty party,
                                                   const SrtpBackend& backend, std::size_t window) {
  const auto is_meant = [&](const auto& each) { return each->key == key && each->party == party; };
  // The same party under the same key goes on with its own indices.
  if (auto known = renewed(sending_, is_meant)) return known;
  const auto parties = std::ranges::count_if(sending_, [&](const auto& each) { return each->key == key; });
  // All shares of SRTCP indices are taken, so an idle sender is given to the new party. It goes on behind
  // everything that it sent.
  if (static_cast<std::size_t>(parties) >= kMaxParties) {
    auto idle =
        renewed(sending_, [&](const auto& each) { return each->key == key && each.use_count() == 1; });
    if (!idle) return nullptr;
    idle->party = party;
    idle->context.begin_anew();
    return idle;
  }
  auto made = new_sending(key, party, backend, window);
  if (!made) return nullptr;
  make_room_for_sending();  // first, as what gives way may have this key
  const auto past = recall(past_sent_, *made);
  // Remembered for another party: the indices count, the SSRCs must not go on.
  if (past && past->what.party != party) made->context.begin_anew();
  for (const auto& other : sending_) {
    if (other->key == key) made->context.begin_rtcp_behind(other->context);
  }
  add(made);
  return made;
}

std::shared_ptr<SsrcTranslation> SrtpContexts::names(SrtpParty party) {
  const auto known = std::ranges::find_if(names_, [&](const auto& each) { return each.first == party; });
  if (known != names_.end()) return known->second;
  // The translation of a party that no transport serves any more may go; without one the set grows beyond the
  // limit.
  if (names_.size() >= kMaxParties) {
    const auto idle =
        std::ranges::find_if(names_, [](const auto& each) { return each.second.use_count() == 1; });
    if (idle != names_.end()) names_.erase(idle);
  }
  return names_.emplace_back(party, std::make_shared<SsrcTranslation>()).second;
}

SrtpContexts::State SrtpContexts::state() const {
  State state;
  // Contexts that are only remembered come first. They have no replay lists, by which `restore` knows them.
  for (const PastReceived& each : past_received_) state.received.push_back(each.what);
  for (const PastSent& each : past_sent_) state.sent.push_back(each.what);
  for (const auto& each : receiving_) state.received.push_back({each->key, each->context.state()});
  for (const auto& each : sending_) state.sent.push_back({each->key, each->party, each->context.state()});
  for (const auto& [party, names] : names_) {
    if (!names->empty()) state.named.push_back({party, names->state()});
  }
  return state;
}

void SrtpContexts::restore(const State& state, StateAge age, const SrtpBackend& backend, std::size_t window) {
  for (const State::Received& each : state.received) {
    // Without replay lists it was only remembered, or has received nothing.
    if (each.state.streams.empty()) {
      remember(past_received_, {each, age});
      continue;
    }
    auto made = new_receiving(each.key, backend, window);
    if (!made) continue;
    made->context.restore(each.state, age);
    receiving_.push_back(std::move(made));
  }
  for (const State::Sent& each : state.sent) {
    // With several parties under one key each needs a live sender, so that they can ask each other.
    const auto parties = std::ranges::count(state.sent, each.key, &State::Sent::key);
    if (each.state.streams.empty() && parties == 1) {
      remember(past_sent_, {each, age});
      continue;
    }
    auto made = new_sending(each.key, each.party, backend, window);
    if (!made) continue;
    made->context.restore(each.state, age);
    add(std::move(made));
  }
  for (const State::Named& each : state.named) names(each.party)->restore(each.names);
}

}  // namespace ferry
