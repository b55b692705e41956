// SPDX-License-Identifier: Apache-2.0
#include "control/command/media_control.hpp"

#include "control/call/media_rules.hpp"
#include "control/command/forwarding.hpp"
#include "control/ports/interfaces.hpp"
#include "control/session/call_register.hpp"
#include "control/session/plan_sync.hpp"
#include "relay/base/random.hpp"

#include <algorithm>

namespace ferry {

Result<Leg*, RequestError> select_party(Call& call, const Request& request, bool use_from_tag) {
  Leg* leg = nullptr;
  if (!request.label.empty()) {
    leg = call.leg_by_label(request.label);
    if (leg == nullptr) return fail(RequestFault::kUnknownLabel);
  } else if (!request.address.empty()) {
    const auto address = IpAddress::parse(request.address);
    if (!address) return fail(RequestFault::kUnreadableAddress);
    for (const auto& candidate : call.legs) {
      if (leg != nullptr || candidate->medias.empty()) continue;
      const Media& first = *candidate->medias.front();
      if (first.via->remote_known && first.via->remote_rtp.address == *address) leg = candidate.get();
    }
    if (leg == nullptr) return fail(RequestFault::kUnknownAddress);
  } else if (use_from_tag && request.from_tag && !request.from_tag->empty()) {
    leg = call.leg_by_tag(*request.from_tag);
    if (leg == nullptr) return fail(RequestFault::kUnknownFromTag);
  }
  if (leg != nullptr && !request.set_label.empty()) leg->ensure_extras().label = request.set_label;
  return leg;
}

Result<Call*, RequestError> find_call(const Services& services, const Request& request) {
  if (!request.call_id) return fail(RequestFault::kNoCallId);
  Call* call = services.calls.find(*request.call_id);
  if (call == nullptr) return fail(RequestFault::kUnknownCall);
  return call;
}

Result<Leg*, RequestError> MediaControl::select(Call& call, bool tag_needs_directional) {
  if (request_.all == AllParties::kAll && request_.has_flag(Flag::kAll)) return nullptr;
  return select_party(call, request_, !tag_needs_directional || request_.has_flag(Flag::kDirectional));
}

void MediaControl::done(Call& call) {
  call.touched = clock_.now;
  services_.plans.sync(call);
}

Result<void, RequestError> MediaControl::mark_flows(Call& call, Leg& from, MediaMark what, bool on) {
  const bool to_label = !request_.to_label.empty();
  const bool to_tag = request_.to_tag && !request_.to_tag->empty();
  Leg* to = nullptr;
  if (to_label) {
    to = call.leg_by_label(request_.to_label);
    if (to == nullptr) return fail(RequestFault::kFlowToUnknownLabel);
  } else if (to_tag) {
    to = call.leg_by_tag(*request_.to_tag);
    if (to == nullptr) return fail(RequestFault::kFlowToUnknownTag);
  }
  std::size_t marked = 0;
  for (const auto& leg : call.legs) {
    if (to != nullptr && leg.get() != to) continue;
    for (const auto& media : leg->medias) {
      for (Subscription& flow : media->subscriptions) {
        if (flow.source->leg != &from) continue;
        const bool offer_answer = flow.kind == SubscriptionKind::kOfferAnswer;
        if (to == nullptr && request_.all == AllParties::kOfferAnswer && !offer_answer) continue;
        if (to == nullptr && request_.all == AllParties::kExceptOfferAnswer && offer_answer) continue;
        (what == MediaMark::kSilence ? flow.silenced : flow.blocked) = on;
        ++marked;
      }
    }
  }
  if (marked != 0) return {};
  return fail(to != nullptr ? RequestFault::kNoSuchFlow : RequestFault::kNoFlows);
}

void MediaControl::clear_flows(Call& call, const Leg* from, MediaMark what) {
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      for (Subscription& flow : media->subscriptions) {
        if (from == nullptr || flow.source->leg == from)
          (what == MediaMark::kSilence ? flow.silenced : flow.blocked) = false;
      }
    }
  }
}

Result<void, RequestError> MediaControl::mark(MediaMark what, bool on) {
  const auto call = find_call(services_, request_);
  if (!call) return fail(call.error());
  // Clients always send the tags of the transaction. They count for `silence`; for other marks only if asked.
  const bool needs_directional = what != MediaMark::kSilence;
  const auto party = select(**call, needs_directional);
  if (!party) return fail(party.error());
  const auto mark_of = [&](auto& owner) -> bool& {
    return what == MediaMark::kSilence ? owner.silenced : owner.blocked;
  };
  // `all` clears the marks of single flows too.
  const bool clears_flows = !on && request_.all == AllParties::kAll;
  if (clears_flows) clear_flows(**call, *party, what);
  if (*party == nullptr) {
    mark_of(**call) = on;
    if (!on && request_.all == AllParties::kAll) {
      for (const auto& leg : (*call)->legs) mark_of(*leg) = false;
    }
    done(**call);
    return {};
  }
  Leg& leg = **party;
  const bool one = (request_.to_tag && !request_.to_tag->empty()) || !request_.to_label.empty();
  const bool group = request_.all == AllParties::kOfferAnswer ||
                     request_.all == AllParties::kExceptOfferAnswer || request_.all == AllParties::kFlows;
  if (one || group) {
    if (auto ok = mark_flows(**call, leg, what, on); !ok) return fail(ok.error());
  } else {
    mark_of(leg) = on;
  }
  done(**call);
  return {};
}

Result<void, RequestError> MediaControl::start_forwarding() {
  const auto call = find_call(services_, request_);
  if (!call) return fail(call.error());
  const auto party = select(**call, true);
  if (!party) return fail(party.error());
  if (request_.destination.empty()) return fail(RequestFault::kNoDestination);
  std::string_view text = request_.destination;
  if (text.starts_with("udp:")) text.remove_prefix(4);
  const auto destination = Endpoint::parse(text);
  if (!destination) return fail(RequestFault::kUnreadableDestination);
  if (services_.interfaces.owner_of(*destination) != nullptr || services_.interfaces.is_shared(*destination))
    return fail(RequestFault::kOwnDestination);

  // A leg of our own listens to each media. It sends on consecutive pairs of ports from the given one on.
  std::vector<Media*> sources;
  for (const auto& leg : (*call)->legs) {
    if (*party != nullptr ? leg.get() != *party : !leg->from_offer_answer) continue;
    for (const auto& media : leg->medias) {
      if (media->via->interface != nullptr && !media->rejected && !media->untouched)
        sources.push_back(media.get());
    }
  }
  if (sources.empty()) return fail(RequestFault::kNoMedias);
  std::erase_if(sources, [](const Media* media) { return media->passing != Passing::kNo; });
  if (sources.empty()) return fail(RequestFault::kEndToEnd);
  const auto made = Forwarding(services_).start(**call, sources, *destination, clock_);
  if (!made) return fail(made.error());
  done(**call);
  return {};
}

Result<void, RequestError> MediaControl::stop_forwarding() {
  const auto call = find_call(services_, request_);
  if (!call) return fail(call.error());
  const auto party = select(**call, true);
  if (!party) return fail(party.error());
  Forwarding(services_).stop(**call, *party, clock_);
  call.value()->touched = clock_.now;
  return {};
}

}  // namespace ferry
