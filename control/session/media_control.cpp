#include "control/session/media_control.hpp"

#include "control/session/media_rules.hpp"
#include "relay/base/random.hpp"

#include <algorithm>

namespace ferry {

namespace {

constexpr std::string_view kForwardTag = "forward-";

}  // namespace

bool is_forward(const Leg& leg) { return !leg.from_offer_answer && leg.tag.starts_with(kForwardTag); }

Result<Leg*, RequestError> select_party(Call& call, const Request& request, bool use_from_tag) {
  Leg* leg = nullptr;
  if (!request.label.empty()) {
    leg = call.leg_by_label(request.label);
    if (leg == nullptr)
      return fail(error(RefusalReason::kUnknownParty, "No monologue matching the given label"));
  } else if (!request.address.empty()) {
    const auto address = IpAddress::parse(request.address);
    if (!address) return fail(error(RefusalReason::kMessage, "Failed to parse network address"));
    for (const auto& candidate : call.legs) {
      if (leg != nullptr || candidate->medias.empty()) continue;
      const Media& first = *candidate->medias.front();
      if (first.remote_known && first.remote_rtp.address == *address) leg = candidate.get();
    }
    if (leg == nullptr)
      return fail(error(RefusalReason::kUnknownParty, "Failed to match address to any tag"));
  } else if (use_from_tag && request.from_tag && !request.from_tag->empty()) {
    leg = call.leg_by_tag(*request.from_tag);
    if (leg == nullptr)
      return fail(error(RefusalReason::kUnknownParty, "From-tag given, but no such tag exists"));
  }
  if (leg != nullptr && !request.set_label.empty()) leg->made_extras().label = request.set_label;
  return leg;
}

Result<Call*, RequestError> MediaControl::find_call() {
  if (!request_.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  Call* call = manager_.find(*request_.call_id);
  if (call == nullptr) return fail(error(RefusalReason::kUnknownCall, "Unknown call-ID"));
  return call;
}

Result<Leg*, RequestError> MediaControl::select(Call& call, bool tag_needs_directional) {
  if (request_.all == AllParties::kAll && request_.has_flag(Flag::kAll)) return nullptr;
  return select_party(call, request_, !tag_needs_directional || request_.has_flag(Flag::kDirectional));
}

void MediaControl::done(Call& call) {
  call.touched = clock_.now;
  manager_.sync_plans(call);
}

Result<void, RequestError> MediaControl::mark_flows(Call& call, Leg& from, MediaMark what, bool on) {
  const bool to_label = !request_.to_label.empty();
  const bool to_tag = request_.to_tag && !request_.to_tag->empty();
  Leg* to = nullptr;
  if (to_label) {
    to = call.leg_by_label(request_.to_label);
    if (to == nullptr)
      return fail(error(RefusalReason::kUnknownParty, "Media flow not found (to-label not found)"));
  } else if (to_tag) {
    to = call.leg_by_tag(*request_.to_tag);
    if (to == nullptr)
      return fail(error(RefusalReason::kUnknownParty, "Media flow not found (to-tag not found)"));
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
  return fail(error(to != nullptr ? "Media flow not found (to-tag not subscribed)"
                                  : "No eligible media subscriptions found"));
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

Result<Dict, RequestError> MediaControl::mark(MediaMark what, bool on) {
  const auto call = find_call();
  if (!call) return fail(call.error());
  // Clients always send the tags of the transaction; they count for `silence`, for the others only if asked.
  const bool needs_directional = what != MediaMark::kSilence;
  const auto party = select(**call, needs_directional);
  if (!party) return fail(party.error());
  const auto mark_of = [&](auto& owner) -> bool& {
    if (what == MediaMark::kSilence) return owner.silenced;
    return what == MediaMark::kBlock ? owner.blocked : owner.events_blocked;
  };
  // `all` also clears the marks of single flows.
  const bool clears_flows = !on && request_.all == AllParties::kAll && what != MediaMark::kBlockEvents;
  if (clears_flows) clear_flows(**call, *party, what);
  if (*party == nullptr) {
    mark_of(**call) = on;
    if (!on && request_.all == AllParties::kAll) {
      for (const auto& leg : (*call)->legs) {
        mark_of(*leg) = false;
        if (what == MediaMark::kBlockEvents && leg->extras) leg->extras->dtmf_trigger.clear();
      }
    }
    done(**call);
    return Dict{};
  }
  Leg& leg = **party;
  if (what != MediaMark::kBlockEvents) {
    const bool one = (request_.to_tag && !request_.to_tag->empty()) || !request_.to_label.empty();
    const bool group = request_.all == AllParties::kOfferAnswer ||
                       request_.all == AllParties::kExceptOfferAnswer || request_.all == AllParties::kFlows;
    if (one || group) {
      if (auto ok = mark_flows(**call, leg, what, on); !ok) return fail(ok.error());
      done(**call);
      return Dict{};
    }
    mark_of(leg) = on;
  } else {
    // With a trigger the digits switch it, and it is off until then.
    leg.events_blocked = on && request_.dtmf_trigger.empty();
    if (on || leg.extras) leg.made_extras().dtmf_trigger = on ? request_.dtmf_trigger : std::string();
  }
  done(**call);
  return Dict{};
}

Result<Dict, RequestError> MediaControl::start_forwarding() {
  const auto call = find_call();
  if (!call) return fail(call.error());
  const auto party = select(**call, true);
  if (!party) return fail(party.error());
  Dict reply;
  if (request_.destination.empty()) {
    reply.set("warning", "No output-destination given: nothing is forwarded");
    return reply;
  }
  std::string_view text = request_.destination;
  if (text.starts_with("udp:")) text.remove_prefix(4);
  const auto destination = Endpoint::parse(text);
  if (!destination) return fail(error(RefusalReason::kMessage, "Failed to parse destination address"));
  if (manager_.owner_of(*destination) != nullptr)
    return fail(error(RefusalReason::kDeniedAddress, "Destination is a media port of this relay"));

  // A leg of our own that listens to each media, on consecutive pairs of ports from the one given.
  std::vector<Media*> sources;
  for (const auto& leg : (*call)->legs) {
    if (*party != nullptr ? leg.get() != *party : !leg->from_offer_answer) continue;
    for (const auto& media : leg->medias) {
      if (media->interface != nullptr && !media->rejected && !media->untouched)
        sources.push_back(media.get());
    }
  }
  if (sources.empty())
    return fail(error(RefusalReason::kUnknownParty, "No medias found (no monologues matched)"));
  const auto made = manager_.forward_to(**call, sources, *destination, clock_);
  if (!made) return fail(made.error());
  done(**call);
  return reply;
}

Result<void, RequestError> SessionManager::check_destination(const Endpoint& to, const LocalAddress* local) {
  if (local == nullptr) return {};  // there will be no port
  const auto admitted = guard_.admit(to, *local);
  if (admitted) return {};
  const bool is_refused = is_refusal(admitted.error());
  return fail(is_refused ? denied_error("The destination", admitted.error())
                         : error(RefusalReason::kMessage, "Failed to parse destination address"));
}

namespace {

/// Where copies of the stream with this number go, if those of the first one go to `to`.
Endpoint copies_to(const Endpoint& to, std::size_t number, Component component) {
  const std::size_t step = 2 * number + (component == Component::kRtcp ? 1 : 0);
  return {to.address, UdpPort{static_cast<std::uint16_t>(to.port.value + step)}};
}

}  // namespace

Result<Leg*, RequestError> SessionManager::forward_to(Call& call, const std::vector<Media*>& sources,
                                                      const Endpoint& to, const Clock& clock) {
  if (call.legs.size() >= kMaxLegs)
    return fail(error(RefusalReason::kParties, "Too many parties in this call"));
  for (std::size_t i = 0; i < sources.size(); ++i) {
    for (const Component component : {Component::kRtp, Component::kRtcp}) {
      const LocalAddress* local = sources[i]->interface->address_of(to.address.family());
      const auto admitted = check_destination(copies_to(to, i, component), local);
      if (!admitted) return fail(admitted.error());
    }
  }
  std::vector<PortSet> opened;
  for (const Media* source : sources) {
    const LocalAddress* local = source->interface->address_of(to.address.family());
    auto ports =
        local == nullptr
            ? Result<PortSet, PortFailure>(fail(note_port_failure(PortFailure::kNoFamily, clock.now)))
            : open_ports(call, *local, clock.now);
    if (!ports) {
      for (PortSet& each : opened) close_ports(call, each);
      return fail(refusal_of(ports.error(), false));
    }
    opened.push_back(std::move(*ports));
  }
  Leg& leg = add_leg(call, std::string(kForwardTag) + random_hex(8), clock);
  leg.from_offer_answer = false;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    Media& media = add_media(leg, static_cast<unsigned>(i) + 1, sources[i]->type);
    media.protocol = sources[i]->protocol;
    media.interface = sources[i]->interface;
    media.family = to.address.family();
    media.kind = sources[i]->kind;
    media.is_video = sources[i]->is_video;
    media.remote_rtp = copies_to(to, i, Component::kRtp);
    media.remote_rtcp = copies_to(to, i, Component::kRtcp);
    media.remote_known = true;
    media.may_send = false;
    media.rules.policy = LatchPolicy::kOff;
    media.rules.unidirectional = true;
    media.ports.push_back(std::move(opened[i]));
    media.subscriptions.push_back({sources[i], SubscriptionKind::kPubSub});
  }
  return &leg;
}

Result<Dict, RequestError> MediaControl::stop_forwarding() {
  const auto call = find_call();
  if (!call) return fail(call.error());
  const auto party = select(**call, true);
  if (!party) return fail(party.error());
  manager_.stop_forwarding(**call, *party, clock_);
  call.value()->touched = clock_.now;
  return Dict{};
}

bool SessionManager::stop_forwarding(Call& call, const Leg* party, const Clock& clock) {
  bool any = false;
  for (const auto& leg : call.legs) {
    if (!is_forward(*leg)) continue;
    for (const auto& media : leg->medias) {
      any |= std::erase_if(media->subscriptions, [&](const Subscription& s) {
               return party == nullptr || s.source->leg == party;
             }) != 0;
    }
  }
  if (!any) return false;
  std::vector<std::unique_ptr<Leg>>& legs = call.legs;
  for (const auto& leg : legs) {
    const bool idle = is_forward(*leg) && std::ranges::all_of(leg->medias, [](const auto& m) {
                        return m->subscriptions.empty();
                      });
    if (idle) destroy_leg(call, *leg);
  }
  sync_plans(call);
  flush(clock);  // the workers let go of what is erased now
  const auto is_over = [](const Leg& leg) {
    return is_forward(leg) && std::ranges::all_of(leg.medias, [](const auto& m) { return m->ports.empty(); });
  };
  for (const auto& leg : legs) {
    for (const auto& media : leg->medias)
      std::erase_if(media->subscriptions, [&](const Subscription& s) { return is_over(*s.source->leg); });
  }
  std::erase_if(legs, [&](const auto& leg) { return is_over(*leg); });
  return true;
}

}  // namespace ferry
