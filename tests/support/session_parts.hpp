// SPDX-License-Identifier: Apache-2.0
// The parts of control/session joined as the front door joins them, on a network in memory: neither a command
// nor a protocol is linked. What was sent to a worker is done at the next fence.
#pragma once

#include "control/call/peer_guard.hpp"
#include "control/call/peer_register.hpp"
#include "control/command/recordings.hpp"
#include "control/session/call_limits.hpp"
#include "control/session/call_register.hpp"
#include "control/session/dtls_identities.hpp"
#include "control/session/lifetime.hpp"
#include "control/session/plan_sync.hpp"
#include "control/session/ports_desk.hpp"
#include "control/session/services.hpp"
#include "control/session/snapshots.hpp"
#include "control/session/taps.hpp"
#include "relay/io/sim/sim_network.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry::test {

inline Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }

/// Opens ports of a network in memory, and remembers what was asked of it.
class WatchedPorts final : public PortProvider {
 public:
  explicit WatchedPorts(SimNetwork& network) : network_(network) {}
  Result<PortHandle, PortError> activate(const Endpoint& local, std::uint8_t tos) override {
    auto opened = network_.activate(local, tos);
    if (opened) marks.emplace_back(opened->native, tos);
    return opened;
  }
  Result<std::vector<PortHandle>, PortError> activate_shared(const Endpoint& local, std::uint8_t tos,
                                                             std::size_t workers) override {
    return network_.activate_shared(local, tos, workers);
  }
  void release(PortHandle port) override {
    if (on_release) on_release();
    network_.release(port);
    ++released;
  }
  void set_tos(PortHandle port, AddressFamily, std::uint8_t tos) override {
    marks.emplace_back(port.native, tos);
  }

  /// Each handle with the octet that it was given, in order.
  std::vector<std::pair<std::int32_t, std::uint8_t>> marks;
  std::size_t released = 0;
  /// Called before each port is closed.
  std::function<void()> on_release;

 private:
  SimNetwork& network_;
};

struct SessionParts {
  struct Options {
    SessionConfig session = {};
    std::size_t workers = 1;
    UdpPort first{30000};
    UdpPort last{30039};
    std::vector<std::string> interfaces = {"plain/198.18.0.1"};
    /// The port of all ICE legs; 0 = none.
    UdpPort ice_port{};
  };
  SessionParts() : SessionParts(Options()) {}
  explicit SessionParts(const Options& options)
      : config(options.session),
        interfaces(build(options)),
        plane(make_workers(network, interfaces, options.workers), false),
        provider(network),
        guard(config.peers, interfaces),
        peers(config.unheard_per_address),
        limits(config, totals, {}),
        events(plane, observers),
        desk(plane, provider, events, observers),
        identities(config.dtls),
        snapshots(plane),
        plans(config, interfaces, plane, guard, calls, peers, observers),
        lifetime(config, plane, calls, desk, events, observers),
        taps(plane),
        services{config,     interfaces, plane,     calls,  desk,       plans, lifetime, limits,  guard,
                 identities, snapshots,  observers, totals, recordings, taps,  nullptr,  nullptr, mark},
        recordings(services) {
    observers.add(taps);
  }
  ~SessionParts() {
    for (const auto& [id, call] : calls.all()) {
      for (auto& leg : call->legs) {
        for (MediaTransport& transport : leg->transports) desk.close_all(*call, transport);
      }
    }
    plane.fence();
  }

  [[nodiscard]] Clock clock() const { return {network.now(), WallTime{std::chrono::hours(1000)}}; }
  [[nodiscard]] Instant now() const { return network.now(); }
  void pass(Duration time) { network.advance_to(network.now() + time); }
  const LocalAddress& local(std::size_t interface = 0) { return interfaces.all()[interface].addresses[0]; }

  /// A party with ports and one audio section, whose SDP named `remote`.
  Media& add_party(Call& call, const std::string& tag, std::string_view remote) {
    return add_section(calls.add_leg(call, tag, clock()), remote);
  }
  Media& add_section(Leg& leg, std::string_view remote) {
    Media& media = calls.add_media(leg, static_cast<unsigned>(leg.medias.size()) + 1, "audio");
    media.protocol = "RTP/AVP";
    media.payloads = {{.type = PayloadType{8}, .clock_rate_hz = 8000}};
    MediaTransport& via = *media.via;
    via.interface = &interfaces.all().front();
    via.remote_known = true;
    via.remote_rtp = at(remote);
    via.remote_rtcp = {via.remote_rtp.address,
                       UdpPort{static_cast<std::uint16_t>(via.remote_rtp.port.value + 1)}};
    via.ports.push_back(desk.open(*leg.call, local(), now()).value());
    return media;
  }
  /// Each of the two hears the other, by an offer and its answer.
  static void join(Media& a, Media& b) {
    for (const auto& [to, from] : {std::pair(&a, &b), std::pair(&b, &a)}) {
      to->subscriptions.push_back({from});
      to->is_exchanged = to->answered = true;
    }
    a.call->answered = true;
  }
  /// A call of A at 198.51.100.1 and B at 198.51.100.2, whose worker knows of it.
  Call& add_call(const std::string& id = "call") {
    Call& call = lifetime.create(id, clock());
    Media& a = add_party(call, "A", "198.51.100.1:4000");
    Media& b = add_party(call, "B", "198.51.100.2:5000");
    join(a, b);
    plans.sync(call);
    lifetime.settle(now());
    return call;
  }
  static Media& media(Call& call, std::size_t leg, std::size_t section = 0) {
    return *call.legs[leg]->medias[section];
  }
  static LocalPorts& ports(Call& call, std::size_t leg) { return media(call, leg).via->ports[0]; }

  SimNetwork network;
  SessionConfig config;
  InterfaceSet interfaces;
  MediaPlane plane;
  WatchedPorts provider;
  std::string mark = "rtpferry:test";
  PeerGuard guard;
  PeerRegister peers;  // outlives the calls
  SessionTotals totals;
  CallObservers observers;
  CallRegister calls;
  CallLimits limits;
  WorkerEvents events;
  PortsDesk desk;
  DtlsIdentities identities;
  SnapshotReader snapshots;
  PlanSync plans;
  Lifetime lifetime;
  Taps taps;
  Services services;
  Recordings recordings;

 private:
  static InterfaceSet build(const Options& options) {
    std::vector<InterfaceSpec> specs;
    for (const std::string& each : options.interfaces) specs.push_back(parse_interface_spec(each));
    return InterfaceSet::build(specs, options.first, options.last, false, options.ice_port).value();
  }
  static std::vector<std::unique_ptr<Worker>> make_workers(SimNetwork& network,
                                                           const InterfaceSet& interfaces,
                                                           std::size_t count) {
    std::vector<std::unique_ptr<Worker>> workers;
    for (std::size_t i = 0; i < count; ++i)
      workers.push_back(
          std::make_unique<Worker>(std::make_unique<SimIo>(network, 64), interfaces.own_media(), nullptr));
    return workers;
  }
};

}  // namespace ferry::test
