// SPDX-License-Identifier: Apache-2.0
// Joining parties. Several calls become one by `merge`: the parties move to the first call, the plans are
// made again on its worker, and the ids of the other call lead to it. Then flows are made. `exchange` makes
// two parties each other's partner (offer/answer); `add_flow` lets a party hear one more (pub/sub).
//
// Order: parties and flows are looked up before `merge`, which cannot be undone.
//
// Trap: `other` and all pointers to it are gone after `merge`; legs and medias live on in `call`.
#include "control/command/conference.hpp"

#include "control/call/media_rules.hpp"
#include "control/command/forwarding.hpp"
#include "control/command/media_control.hpp"
#include "control/command/recordings.hpp"
#include "control/session/lifetime.hpp"
#include "control/session/plan_sync.hpp"

#include <algorithm>
#include <cstdint>
#include <set>

namespace ferry {

namespace {

/// Pairs the medias of two parties: by mid, else by type in their order. The shorter list starts again at its
/// beginning.
std::vector<std::pair<Media*, Media*>> pairs(Leg& from, Leg& to) {
  std::vector<std::pair<Media*, Media*>> found;
  for (const auto& media : from.medias) {
    if (media->untouched || media->hidden) continue;
    const auto fits = [&](const auto& other) {
      return other->type == media->type && !other->untouched && !other->hidden;
    };
    const auto by_mid = std::ranges::find_if(to.medias, [&](const auto& other) {
      return fits(other) && !media->mid.empty() && other->mid == media->mid;
    });
    if (by_mid != to.medias.end()) {
      found.emplace_back(media.get(), by_mid->get());
      continue;
    }
    std::vector<Media*> same;
    for (const auto& other : to.medias) {
      if (fits(other)) same.push_back(other.get());
    }
    const auto before = static_cast<std::size_t>(
        std::ranges::count_if(found, [&](const auto& pair) { return pair.first->type == media->type; }));
    if (!same.empty()) found.emplace_back(media.get(), same[before % same.size()]);
  }
  return found;
}

bool listens(const Media& receiver, const Media& source) {
  return std::ranges::any_of(receiver.subscriptions, [&](const Subscription& s) {
    return s.source == &source && !s.rtcp_only && !s.egress;
  });
}

/// True for a flow between two parties of a conference, made by `mesh`, `connect` or `inject start`. Copies
/// for subscribers and forwarders do not count, nor does media that comes back from them.
bool is_conference_flow(const Media& receiver, const Subscription& flow) {
  const auto only_copies = [](const Media& media) {
    return is_forward(*media.leg) || (media.extras && !media.extras->copies.empty());
  };
  return flow.kind == SubscriptionKind::kPubSub && !only_copies(receiver) && !only_copies(*flow.source);
}

/// True if both calls know a tag or an alias.
bool collide(const Call& a, const Call& b) {
  return std::ranges::any_of(b.legs, [&](const auto& leg) {
    if (a.leg_by_tag(leg->tag) != nullptr) return true;
    return std::ranges::any_of(leg->aliases,
                               [&](const std::string& alias) { return a.leg_by_tag(alias) != nullptr; });
  });
}

/// True if the calls can become one. It is asked about all of them before the first merge, which cannot be
/// undone.
bool can_be_one(const std::vector<Call*>& calls) {
  constexpr std::size_t kMaxIds = 101;
  std::size_t legs = 0;
  std::size_t ids = 0;
  // Ids of medias are unique in this process, but restored calls may come from other processes.
  std::set<std::uint32_t> medias;
  for (const Call* call : calls) {
    // A protocol with rules of its own finds its sessions by their calls, so such calls cannot be merged.
    if (call->policy() != nullptr) return false;
    legs += call->legs.size();
    ids += 1 + (call->extras ? call->extras->other_ids.size() : 0);
    for (const auto& leg : call->legs) {
      for (const auto& media : leg->medias) {
        if (!medias.insert(media->id.value).second) return false;
      }
    }
  }
  return legs <= kMaxLegs && ids <= kMaxIds;
}

}  // namespace

std::size_t Conference::add_flow(const Flow& flow) const {
  std::size_t added = 0;
  for (const auto& [source, receiver] : pairs(*flow.from, *flow.to)) {
    if (!listens(*receiver, *source)) receiver->subscriptions.push_back({source, SubscriptionKind::kPubSub});
    ++added;
  }
  return added;
}

std::size_t Conference::exchange(Leg& a, Leg& b) const {
  const auto all = pairs(a, b);
  for (const auto& [one, other] : all) {
    for (const auto& leg : a.call->legs) {
      for (const auto& media : leg->medias) {
        std::erase_if(media->subscriptions, [&, one = one, other = other](const Subscription& s) {
          const bool theirs =
              media.get() == one || media.get() == other || s.source == one || s.source == other;
          return theirs && s.kind == SubscriptionKind::kOfferAnswer;
        });
      }
    }
  }
  for (const auto& [one, other] : all) {
    one->subscriptions.insert(one->subscriptions.begin(), {other, SubscriptionKind::kOfferAnswer});
    other->subscriptions.insert(other->subscriptions.begin(), {one, SubscriptionKind::kOfferAnswer});
  }
  return all.size();
}

void Conference::finish(Call& call) {
  call.touched = clock_.now;
  services_.plans.sync(call);
  if (const Instant at = services_.lifetime.due(call).at; at < call.scheduled_at)
    services_.lifetime.schedule(call, at, clock_.now);
}

Result<void, RequestError> Conference::connect() {
  if (!request_.call_id) return fail(RequestFault::kNoCallId);
  if (!request_.to_tag) return fail(RequestFault::kNoToTag);
  Call* call = services_.calls.find(*request_.call_id);
  Call* other = request_.to_call_id ? services_.calls.find(*request_.to_call_id) : call;
  if (call == nullptr || other == nullptr) return fail(RequestFault::kUnknownCall);
  Leg* to = other->leg_by_tag(*request_.to_tag);
  std::vector<Leg*> from;
  if (request_.all == AllParties::kAll) {
    for (const auto& leg : call->legs) {
      if (leg.get() != to) from.push_back(leg.get());
    }
  } else if (!request_.from_tags.empty()) {
    for (const std::string& tag : request_.from_tags) {
      if (Leg* leg = call->leg_by_tag(tag)) from.push_back(leg);
    }
  } else {
    const auto party = select_party(*call, request_, true);
    if (!party) return fail(party.error());
    if (*party != nullptr) from.push_back(*party);
  }
  if (from.empty()) return fail(RequestFault::kNoMedias);
  if (call != other) {
    if (collide(*call, *other)) return fail(RequestFault::kTagsCollide);
    if (to != nullptr && !merge(*call, *other)) return fail(RequestFault::kNotMerged);
  }
  if (to == nullptr) return fail(RequestFault::kNobodyToConnect);
  for (Leg* leg : from) {
    if (leg == to) continue;
    if (!request_.has_flag(Flag::kDirectional)) {
      exchange(*leg, *to);
    } else {
      add_flow({leg, to});
      if (request_.has_flag(Flag::kBidirectional)) add_flow({to, leg});
    }
  }
  finish(*call);
  return {};
}

Result<void, RequestError> Conference::mesh() {
  std::vector<Call*> calls;
  for (const std::string& id : request_.calls.members) {
    Call* call = services_.calls.find(id);
    if (call == nullptr) return fail(RequestFault::kUnknownCall);
    if (std::ranges::find(calls, call) == calls.end()) calls.push_back(call);
  }
  if (request_.calls.fault) return fail(*request_.calls.fault);
  if (calls.empty()) return fail(RequestFault::kUnknownCall);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    for (std::size_t j = i + 1; j < calls.size(); ++j) {
      if (collide(*calls[i], *calls[j])) return fail(RequestFault::kTagsCollide);
    }
  }
  const auto leg_of = [&](const std::string& tag) -> Leg* {
    for (Call* call : calls) {
      if (Leg* leg = call->leg_by_tag(tag)) return leg;
    }
    return nullptr;
  };
  std::vector<Flow> flows;
  for (const WishedFlows& row : request_.flows.members) {
    Leg* source = leg_of(row.from);
    if (source == nullptr) return fail(RequestFault::kUnknownFromTag);
    for (const std::string& tag : row.to) {
      Leg* receiver = leg_of(tag);
      if (receiver == nullptr) return fail(RequestFault::kUnknownToTag);
      if (receiver != source) flows.push_back({source, receiver});
    }
  }
  if (request_.flows.fault) return fail(*request_.flows.fault);
  if (calls.size() > 1 && !can_be_one(calls)) return fail(RequestFault::kTagsCollide);
  for (std::size_t i = 1; i < calls.size(); ++i) {
    if (!merge(*calls.front(), *calls[i])) return fail(RequestFault::kTagsCollide);
  }
  Call& call = *calls.front();
  if (request_.has_flag(Flag::kUnsubscribe)) {
    for (const auto& leg : call.legs) {
      for (const auto& media : leg->medias) {
        std::erase_if(media->subscriptions,
                      [&](const Subscription& flow) { return is_conference_flow(*media, flow); });
      }
    }
  }
  for (const Flow& flow : flows) {
    add_flow(flow);
    if (request_.has_flag(Flag::kBidirectional)) add_flow({flow.to, flow.from});
  }
  finish(call);
  return {};
}

Result<Conference::Injection, RequestError> Conference::find_injection(bool may_merge) {
  if (!request_.call_id) return fail(RequestFault::kNoCallId);
  if (!request_.to_tag) return fail(RequestFault::kNoToTag);
  if (!request_.source_tag) return fail(RequestFault::kNoSourceTag);
  Call* call = services_.calls.find(*request_.call_id);
  Call* other = request_.source_call_id ? services_.calls.find(*request_.source_call_id) : call;
  if (call == nullptr || other == nullptr) return fail(RequestFault::kUnknownCall);
  Leg* to = call->leg_by_tag(*request_.to_tag);
  if (to == nullptr) return fail(RequestFault::kUnknownToTag);
  Leg* source = other->leg_by_tag(*request_.source_tag);
  if (source == nullptr) return fail(RequestFault::kUnknownSourceTag);
  if (source == to) return fail(RequestFault::kInjectsItself);
  if (call != other) {
    if (!may_merge) return fail(RequestFault::kNothingToStop);
    if (collide(*call, *other)) return fail(RequestFault::kTagsCollide);
    if (pairs(*source, *to).empty()) return fail(RequestFault::kNothingInjected);
    if (!merge(*call, *other)) return fail(RequestFault::kNotMerged);
  }
  return Injection{call, source, to};
}

Result<void, RequestError> Conference::inject_start() {
  const auto found = find_injection(true);
  if (!found) return fail(found.error());
  if (add_flow({found->source, found->to}) == 0) return fail(RequestFault::kNothingInjected);
  finish(*found->call);
  return {};
}

Result<void, RequestError> Conference::inject_stop() {
  const auto found = find_injection(false);
  if (!found) return fail(found.error());
  std::size_t removed = 0;
  for (const auto& media : found->to->medias) {
    removed += std::erase_if(media->subscriptions, [&](const Subscription& s) {
      return s.kind == SubscriptionKind::kPubSub && s.source->leg == found->source;
    });
  }
  if (removed == 0) return fail(RequestFault::kNothingToStop);
  finish(*found->call);
  return {};
}

bool Conference::merge(Call& call, Call& other) {
  if (!can_be_one({&call, &other})) return false;
  auto& ids = call.ensure_extras().other_ids;
  std::vector<std::string> more = {other.id};
  if (other.extras) more.insert(more.end(), other.extras->other_ids.begin(), other.extras->other_ids.end());
  if (other.worker != call.worker && !services_.plans.move(other, call.worker)) return false;
  if (call.recording() != nullptr && other.recording() != nullptr)
    services_.recordings.end(other, "the call became part of another");
  const auto offset = static_cast<std::uint8_t>(ids.size() + 1);
  for (auto& leg : other.legs) {
    leg->call = &call;
    leg->number = call.next_leg++;
    leg->id_index = static_cast<std::uint8_t>(leg->id_index + offset);
    // Commands about the whole of the other call go on for its parties.
    leg->blocked = leg->blocked || other.blocked || other.drop_traffic;
    leg->silenced = leg->silenced || other.silenced;
    leg->events_blocked = leg->events_blocked || other.events_blocked;
    for (auto& media : leg->medias) media->call = &call;
    call.legs.push_back(std::move(leg));
  }
  call.proposals.insert(call.proposals.end(), std::make_move_iterator(other.proposals.begin()),
                        std::make_move_iterator(other.proposals.end()));
  other.legs.clear();
  services_.recordings.merge(call, other);
  services_.observers.tell(&CallObserver::on_merged, call, other);
  call.answered = call.answered || other.answered;
  call.next_label = std::max(call.next_label, other.next_label);
  if (call.metadata.empty()) call.metadata = other.metadata;
  services_.lifetime.forget(other);
  for (const std::string& id : more) services_.calls.add_merged_id(id, call);
  ids.insert(ids.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  return true;
}

}  // namespace ferry
