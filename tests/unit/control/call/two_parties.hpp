// SPDX-License-Identifier: Apache-2.0
// Two parties of a call that is made by hand, for tests of what follows from the model.
#pragma once

#include "control/call/transport_plans.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::test {

inline Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }

/// Two parties, A and B, with audio that both have agreed on.
struct TwoParties : Reach {
  TwoParties() {
    call.serial = 7;
    call.signals = 2;
    call.last_signal = Instant{std::chrono::seconds(1)};
    for (const bool is_b : {false, true}) {
      auto leg = std::make_unique<Leg>();
      leg->call = &call;
      leg->tag = is_b ? "B" : "A";
      leg->received_from = at(is_b ? "198.51.100.2:0" : "198.51.100.1:0").address;
      add_media(*leg, is_b ? "198.51.100.2:5000" : "198.51.100.1:4000", is_b ? 2 : 1);
      call.legs.push_back(std::move(leg));
    }
    media(0).subscriptions.push_back({&media(1)});
    media(1).subscriptions.push_back({&media(0)});
  }

  Media& add_media(Leg& leg, std::string_view remote, std::uint32_t id) {
    MediaTransport& transport = leg.add_transport();
    transport.interface = &logical;
    transport.remote_known = true;
    transport.remote_rtp = at(remote);
    transport.remote_rtcp = {transport.remote_rtp.address,
                             UdpPort{static_cast<std::uint16_t>(transport.remote_rtp.port.value + 1)}};
    LocalPorts ports;
    ports.local = &local;
    ports.port = UdpPort{static_cast<std::uint16_t>(30000 + 2 * id)};
    ports.transport = {id, 1};
    ports.activity = std::make_shared<TransportActivity>();
    transport.ports.push_back(std::move(ports));
    return carry(leg, transport, id);
  }
  /// A media of `leg` on a transport that is there.
  Media& carry(Leg& leg, MediaTransport& transport, std::uint32_t id) {
    auto made = std::make_unique<Media>();
    made->call = &call;
    made->leg = &leg;
    made->via = &transport;
    made->id = MediaId{id};
    made->type = "audio";
    made->protocol = "RTP/AVP";
    made->answered = made->is_exchanged = true;
    leg.medias.push_back(std::move(made));
    return *leg.medias.back();
  }
  Leg& leg(std::size_t party) { return *call.legs[party]; }
  Media& media(std::size_t party) { return *leg(party).medias[0]; }
  MediaTransport& transport(std::size_t party) { return leg(party).transports.front(); }
  LocalPorts& ports(std::size_t party) { return transport(party).ports[0]; }

  [[nodiscard]] const MediaTransport* owner_of(const Endpoint& endpoint) const override {
    const auto found = owners.find(endpoint.to_string());
    return found == owners.end() ? nullptr : found->second;
  }
  [[nodiscard]] bool is_shared(const Endpoint& endpoint) const override { return endpoint == shared; }
  [[nodiscard]] const std::shared_ptr<const PeerPolicy>& policy_of(PeerScope) const override {
    return policy;
  }

  std::vector<PlannedTransport> plans() { return plans_of(call, {srtp, dtls, codecs}, *this); }
  /// What the worker was told becomes the past, as it does when a plan is sent.
  void tell() {
    for (const PlannedTransport& each : plans()) {
      each.ports->plan = each.plan;
      each.ports->epoch = each.plan->learning_epoch;
      each.ports->learned_signal = each.learned_signal;
    }
  }

  /// Another call, with ports from 30102; made when it is asked for.
  TwoParties& other() {
    if (!other_) {
      other_ = std::make_unique<TwoParties>();
      for (const std::size_t party : {0u, 1u}) {
        LocalPorts& own = other_->ports(party);
        own.port = UdpPort{static_cast<std::uint16_t>(ports(party).port.value + 100)};
      }
    }
    return *other_;
  }

  LocalAddress local{at("192.0.2.1:0").address, at("192.0.2.1:0").address, nullptr, 3};
  LogicalInterface logical{"default", {}, false};
  Call call;
  SrtpConfig srtp;
  DtlsConfig dtls;
  CodecCatalogue codecs;
  std::shared_ptr<const PeerPolicy> policy =
      std::make_shared<const PeerPolicy>(std::make_shared<const PeerTables>(PeerRules{}), PeerScope{});
  std::map<std::string, const MediaTransport*> owners;
  /// The port of all ICE legs; unset = there is none.
  Endpoint shared;

 private:
  std::unique_ptr<TwoParties> other_;
};

/// An offer of A waits for its answer: what was agreed is noted, and A's newest terms may change.
inline void propose(TwoParties& world) {
  for (const std::size_t party : {0u, 1u}) {
    world.media(party).agreed = std::make_unique<MediaTerms>(world.media(party));
    world.transport(party).agreed = std::make_unique<AgreedTransportTerms>();
    static_cast<TransportTerms&>(*world.transport(party).agreed) = world.transport(party);
    world.transport(party).agreed->received_from = world.leg(party).received_from;
  }
}

}  // namespace ferry::test
