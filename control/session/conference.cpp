#include "control/session/conference.hpp"

#include "control/session/media_control.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// Medias of two parties that belong together: by mid, else by type in order, the shorter list going round.
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

/// A flow between two parties of the conference, by `mesh`, `connect` or `inject start`. Copies for
/// subscribers and forwarders, and media that comes back from them, do not count.
bool is_conference_flow(const Media& receiver, const Subscription& flow) {
  const auto only_copies = [](const Media& media) {
    return is_forward(*media.leg) || (media.extras && !media.extras->copies.empty());
  };
  return flow.kind == SubscriptionKind::kPubSub && !only_copies(receiver) && !only_copies(*flow.source);
}

/// A tag or an alias that both calls know.
bool collide(const Call& a, const Call& b) {
  return std::ranges::any_of(b.legs, [&](const auto& leg) {
    if (a.leg_by_tag(leg->tag) != nullptr) return true;
    return std::ranges::any_of(leg->aliases,
                               [&](const std::string& alias) { return a.leg_by_tag(alias) != nullptr; });
  });
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
  manager_.sync_plans(call);
  if (const Instant at = manager_.due(call).at; at < call.scheduled_at)
    manager_.schedule(call, at, clock_.now);
}

Result<Dict, RequestError> Conference::connect() {
  if (!request_.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  if (!request_.to_tag) return fail(error(RefusalReason::kMessage, "No to-tag in message"));
  Call* call = manager_.find(*request_.call_id);
  Call* other = request_.to_call_id ? manager_.find(*request_.to_call_id) : call;
  if (call == nullptr || other == nullptr)
    return fail(error(RefusalReason::kUnknownCall, "Unknown call-ID(s)"));
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
  if (from.empty())
    return fail(error(RefusalReason::kUnknownParty, "No medias found (no monologues matched)"));
  if (call != other) {
    if (collide(*call, *other))
      return fail(error(RefusalReason::kNameTaken, "Failed to merge two calls into one (tag collision)"));
    if (to != nullptr && !manager_.merge(*call, *other))
      return fail(error("Failed to merge two calls into one"));
  }
  Dict reply;
  if (to == nullptr) {
    // Others answer `ok` as well; nobody is cut off for it here.
    reply.set("warning", "To-tag not found: nothing connected");
    return reply;
  }
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
  return reply;
}

Result<Dict, RequestError> Conference::mesh() {
  std::vector<Call*> calls;
  if (const List* ids = request_.calls.list()) {
    for (const Value& id : *ids) {
      Call* call = id.string() == nullptr ? nullptr : manager_.find(*id.string());
      if (call == nullptr) return fail(error(RefusalReason::kUnknownCall, "Unknown call ID(s)"));
      if (std::ranges::find(calls, call) == calls.end()) calls.push_back(call);
    }
  }
  if (calls.empty()) return fail(error(RefusalReason::kUnknownCall, "Unknown call ID(s)"));
  for (std::size_t i = 0; i < calls.size(); ++i) {
    for (std::size_t j = i + 1; j < calls.size(); ++j) {
      if (collide(*calls[i], *calls[j]))
        return fail(error(RefusalReason::kNameTaken, "Failed to merge calls (tag collision)"));
    }
  }
  const auto leg_of = [&](const Value* tag) -> Leg* {
    for (Call* call : calls) {
      if (tag == nullptr || tag->string() == nullptr) return nullptr;
      if (Leg* leg = call->leg_by_tag(*tag->string())) return leg;
    }
    return nullptr;
  };
  std::vector<Flow> flows;
  if (const List* tags = request_.tags.list()) {
    for (const Value& member : *tags) {
      const Dict* dict = member.dict();
      if (dict == nullptr) return fail(error(RefusalReason::kMessage, "wrong type used"));
      const Value* from = dict->find("from");
      if (from == nullptr || from->string() == nullptr || from->string()->empty())
        return fail(error(RefusalReason::kMessage, "Empty/missing from-tag"));
      Leg* source = leg_of(from);
      if (source == nullptr) return fail(error(RefusalReason::kUnknownParty, "Given from-tag not found"));
      const Value* to = dict->find("to");
      if (to == nullptr || to->list() == nullptr) continue;
      for (const Value& tag : *to->list()) {
        Leg* receiver = leg_of(&tag);
        if (receiver == nullptr) return fail(error(RefusalReason::kUnknownParty, "Given to-tag not found"));
        if (receiver != source) flows.push_back({source, receiver});
      }
    }
  }
  for (std::size_t i = 1; i < calls.size(); ++i) {
    if (!manager_.merge(*calls.front(), *calls[i]))
      return fail(error(RefusalReason::kNameTaken, "Failed to merge calls (tag collision)"));
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
  return Dict{};
}

Result<Conference::Injection, RequestError> Conference::find_injection(bool may_merge) {
  if (!request_.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  if (!request_.to_tag) return fail(error(RefusalReason::kMessage, "No to-tag in message"));
  if (!request_.source_tag) return fail(error(RefusalReason::kMessage, "No source-tag in message"));
  Call* call = manager_.find(*request_.call_id);
  Call* other = request_.source_call_id ? manager_.find(*request_.source_call_id) : call;
  if (call == nullptr || other == nullptr)
    return fail(error(RefusalReason::kUnknownCall, "Unknown call-ID(s)"));
  Leg* to = call->leg_by_tag(*request_.to_tag);
  if (to == nullptr) return fail(error(RefusalReason::kUnknownParty, "To-tag not found"));
  Leg* source = other->leg_by_tag(*request_.source_tag);
  if (source == nullptr) return fail(error(RefusalReason::kUnknownParty, "Source-tag not found"));
  if (source == to) return fail(error("Trying to inject to self"));
  if (call != other) {
    if (!may_merge) return fail(error("Failed to stop inject"));
    if (collide(*call, *other))
      return fail(error(RefusalReason::kNameTaken, "Failed to merge two calls into one (tag collision)"));
    if (pairs(*source, *to).empty()) return fail(error("Failed to start inject"));
    if (!manager_.merge(*call, *other)) return fail(error("Failed to start inject"));
  }
  return Injection{call, source, to};
}

Result<Dict, RequestError> Conference::inject_start() {
  const auto found = find_injection(true);
  if (!found) return fail(found.error());
  if (add_flow({found->source, found->to}) == 0) return fail(error("Failed to start inject"));
  finish(*found->call);
  return Dict{};
}

Result<Dict, RequestError> Conference::inject_stop() {
  const auto found = find_injection(false);
  if (!found) return fail(found.error());
  std::size_t removed = 0;
  for (const auto& media : found->to->medias) {
    removed += std::erase_if(media->subscriptions, [&](const Subscription& s) {
      return s.kind == SubscriptionKind::kPubSub && s.source->leg == found->source;
    });
  }
  if (removed == 0) return fail(error("Failed to stop inject"));
  finish(*found->call);
  return Dict{};
}

}  // namespace ferry
