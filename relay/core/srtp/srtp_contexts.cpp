#include "relay/core/srtp/srtp_contexts.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// Makes room for one more: of those that nobody needs the oldest goes.
template <class Keyed, class Predicate>
void make_room(std::vector<std::shared_ptr<Keyed>>& all, Predicate is_needed) {
  const auto is_idle = [&](const auto& each) { return each.use_count() == 1 && !is_needed(*each); };
  if (std::ranges::count_if(all, is_idle) >= static_cast<std::ptrdiff_t>(SrtpContexts::kKept))
    all.erase(std::ranges::find_if(all, is_idle));
}

/// The one that `is_meant`, which is the newest then; null if there is none.
template <class Keyed, class Predicate>
std::shared_ptr<Keyed> renewed(std::vector<std::shared_ptr<Keyed>>& all, Predicate is_meant) {
  const auto found = std::ranges::find_if(all, is_meant);
  if (found == all.end()) return nullptr;
  std::rotate(found, std::next(found), all.end());
  return all.back();
}

/// Null: the back end cannot.
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
  make_room(receiving_, [](const SrtpReceiving&) { return false; });
  return receiving_.emplace_back(std::move(made));
}

std::optional<std::uint64_t> SrtpContexts::newest_index(Ssrc ssrc) const noexcept {
  for (auto each = receiving_.rbegin(); each != receiving_.rend(); ++each) {
    if (const auto index = (*each)->context.newest_index(ssrc)) return index;
  }
  return std::nullopt;
}

void SrtpContexts::add(std::shared_ptr<SrtpSending> made) {
  for (const auto& other : sending_) {
    if (other->key != made->key) continue;
    made->context.keep_off(std::shared_ptr<const SrtpSender>(other, &other->context));
    other->context.keep_off(std::shared_ptr<const SrtpSender>(made, &made->context));
  }
  sending_.push_back(std::move(made));
}

std::shared_ptr<SrtpSending> SrtpContexts::sending(const SrtpMasterKey& key, SrtpParty party,
                                                   const SrtpBackend& backend, std::size_t window) {
  const auto is_meant = [&](const auto& each) { return each->key == key && each->party == party; };
  if (auto known = renewed(sending_, is_meant)) return known;
  const auto parties = std::ranges::count_if(sending_, [&](const auto& each) { return each->key == key; });
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
  make_room(sending_, [](const SrtpSending& each) { return each.context.has_company(); });
  for (const auto& other : sending_) {
    if (other->key == key) made->context.begin_rtcp_behind(other->context);
  }
  add(made);
  return made;
}

std::shared_ptr<SsrcTranslation> SrtpContexts::names(SrtpParty party) {
  const auto known = std::ranges::find_if(names_, [&](const auto& each) { return each.first == party; });
  if (known != names_.end()) return known->second;
  if (names_.size() >= kMaxParties) {
    const auto idle =
        std::ranges::find_if(names_, [](const auto& each) { return each.second.use_count() == 1; });
    if (idle != names_.end()) names_.erase(idle);
  }
  return names_.emplace_back(party, std::make_shared<SsrcTranslation>()).second;
}

SrtpContexts::State SrtpContexts::state() const {
  State state;
  for (const auto& each : receiving_) state.received.push_back({each->key, each->context.state()});
  for (const auto& each : sending_) state.sent.push_back({each->key, each->party, each->context.state()});
  for (const auto& [party, names] : names_) {
    if (!names->empty()) state.named.push_back({party, names->state()});
  }
  return state;
}

void SrtpContexts::restore(const State& state, StateAge age, const SrtpBackend& backend, std::size_t window) {
  for (const State::Received& each : state.received) {
    auto made = new_receiving(each.key, backend, window);
    if (!made) continue;
    made->context.restore(each.state, age);
    receiving_.push_back(std::move(made));
  }
  for (const State::Sent& each : state.sent) {
    auto made = new_sending(each.key, each.party, backend, window);
    if (!made) continue;
    made->context.restore(each.state, age);
    add(std::move(made));
  }
  for (const State::Named& each : state.named) names(each.party)->restore(each.names);
}

}  // namespace ferry
