// SPDX-License-Identifier: Apache-2.0
#include "control/command/forwarding.hpp"

#include "control/call/media_rules.hpp"
#include "control/call/peer_guard.hpp"
#include "control/session/lifetime.hpp"
#include "control/session/plan_sync.hpp"
#include "control/session/ports_desk.hpp"
#include "relay/base/random.hpp"

#include <algorithm>

namespace ferry {

namespace {

constexpr std::string_view kForwardTag = "forward-";

/// The address for copies of the media with this number, if those of the first one go to `to`.
Endpoint copies_to(const Endpoint& to, std::size_t number, Component component) {
  const std::size_t step = 2 * number + (component == Component::kRtcp ? 1 : 0);
  return {to.address, UdpPort{static_cast<std::uint16_t>(to.port.value + step)}};
}

}  // namespace

bool is_forward(const Leg& leg) { return !leg.from_offer_answer && leg.tag.starts_with(kForwardTag); }

Result<void, RequestError> Forwarding::check(const Endpoint& to, const LocalAddress* local) {
  // There will be no port.
  if (local == nullptr) return {};
  const auto admitted = services_.guard.admit(to, *local);
  if (admitted) return {};
  if (!is_refusal(admitted.error())) return fail(RequestFault::kUnreadableDestination);
  return fail(RequestError(RequestFault::kDeniedDestination, admitted.error()));
}

Result<Leg*, RequestError> Forwarding::start(Call& call, const std::vector<Media*>& sources,
                                             const Endpoint& to, const Clock& clock) {
  if (call.legs.size() >= kMaxLegs) return fail(RequestFault::kTooManyParties);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    for (const Component component : {Component::kRtp, Component::kRtcp}) {
      const LocalAddress* local = sources[i]->via->interface->address_of(to.address.family());
      const auto admitted = check(copies_to(to, i, component), local);
      if (!admitted) return fail(admitted.error());
    }
  }
  std::vector<LocalPorts> opened;
  for (const Media* source : sources) {
    const LocalAddress* local = source->via->interface->address_of(to.address.family());
    auto ports = local == nullptr ? Result<LocalPorts, PortFailure>(
                                        fail(services_.ports.note_failure(PortFailure::kNoFamily, clock.now)))
                                  : services_.ports.open(call, *local, clock.now);
    if (!ports) {
      for (LocalPorts& each : opened) services_.ports.close(call, each);
      return fail(fault_for(ports.error()));
    }
    opened.push_back(std::move(*ports));
  }
  Leg& leg = services_.calls.add_leg(call, std::string(kForwardTag) + random_hex(8), clock);
  leg.from_offer_answer = false;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    Media& media = services_.calls.add_media(leg, static_cast<unsigned>(i) + 1, sources[i]->type);
    media.protocol = sources[i]->protocol;
    media.via->interface = sources[i]->via->interface;
    media.via->family = to.address.family();
    media.kind = sources[i]->kind;
    media.is_video = sources[i]->is_video;
    media.via->remote_rtp = copies_to(to, i, Component::kRtp);
    media.via->remote_rtcp = copies_to(to, i, Component::kRtcp);
    media.via->remote_known = true;
    media.may_send = false;
    media.via->rules.policy = LatchPolicy::kOff;
    media.via->rules.unidirectional = true;
    media.via->ports.push_back(std::move(opened[i]));
    media.subscriptions.push_back({sources[i], SubscriptionKind::kPubSub});
  }
  return &leg;
}

bool Forwarding::stop(Call& call, const Leg* party, const Clock& clock) {
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
    if (idle) services_.lifetime.end_leg(call, *leg);
  }
  services_.plans.sync(call);
  // The workers must let go of the leg before it is erased.
  services_.lifetime.settle(clock.now);
  const auto is_over = [](const Leg& leg) {
    return is_forward(leg) &&
           std::ranges::all_of(leg.medias, [](const auto& m) { return m->via->ports.empty(); });
  };
  for (const auto& leg : legs) {
    for (const auto& media : leg->medias)
      std::erase_if(media->subscriptions, [&](const Subscription& s) { return is_over(*s.source->leg); });
  }
  std::erase_if(legs, [&](const auto& leg) { return is_over(*leg); });
  return true;
}

}  // namespace ferry
