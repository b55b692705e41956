// SPDX-License-Identifier: Apache-2.0
// `sync` makes the plans of a call (transport_plans.hpp) and sends its worker the difference to what it was
// told. Ports get their owner before any plan is made, so that a call that leads back to itself is recognised
// (LIM-5). The pure plans leave open how long packets go to a peer that nobody has heard; the register of
// peers says it (LAT-12b).
//
// Trap: a move to another worker changes the names of all transports, so every plan that names one is made
// again.
#include "control/session/plan_sync.hpp"

#include "relay/base/random.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

using namespace std::chrono_literals;

/// What plans ask of the relay: who has a port, which ports are shared, and where parties may be.
class PlanSync::Surroundings final : public Reach {
 public:
  Surroundings(const InterfaceSet& interfaces, const PeerGuard& guard)
      : interfaces_(interfaces), guard_(guard) {}
  [[nodiscard]] const MediaTransport* owner_of(const Endpoint& endpoint) const override {
    return interfaces_.owner_of(endpoint);
  }
  [[nodiscard]] bool is_shared(const Endpoint& endpoint) const override {
    return interfaces_.is_shared(endpoint);
  }
  [[nodiscard]] const std::shared_ptr<const PeerPolicy>& policy_of(PeerScope scope) const override {
    return guard_.policy_of(scope);
  }

 private:
  const InterfaceSet& interfaces_;
  const PeerGuard& guard_;
};

PlanInput PlanSync::plan_input() const {
  return {.srtp = config_.srtp,
          .dtls = config_.dtls,
          .codecs = config_.codecs,
          .listening_quality = config_.listening_quality,
          .keep_alive_s = config_.keep_alive_s,
          .strict_payload_types = config_.strict_payload_types};
}

std::shared_ptr<const TransportPlan> PlanSync::settle_plan(PlannedTransport planned) {
  LocalPorts& ports = *planned.ports;
  TransportPlan& plan = *planned.plan;
  ports.epoch = plan.learning_epoch;
  ports.learned_signal = planned.learned_signal;
  if (!planned.sends_to) {
    ports.peer.reset();
    return planned.plan;
  }
  peers_.follow(ports.peer, *planned.sends_to);
  plan.unheard_until = ports.peer->unheard_until();
  plan.address_errors = ports.peer->errors();
  return planned.plan;
}

void PlanSync::prepare(Call& call) {
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      if (media->is_encrypted()) media->via->ensure_keys();
    }
    for (MediaTransport& transport : leg->transports) {
      for (LocalPorts& ports : transport.ports) {
        if (ports.closed || ports.plan != nullptr) continue;
        if (!ports.is_shared) ports.local->ports->set_owner(ports.port, &transport);
        plane_.set_owner(call.worker, ports.transport, &transport);
      }
    }
  }
}

void PlanSync::take_shared_sockets(LocalPorts& ports, TransportEntry& entry, std::size_t worker) const {
  const auto socket_of = [&](const LocalAddress& local) {
    return std::array{plane_.shared({local.address, local.ice_port}, worker), PortHandle{}};
  };
  if (ports.is_shared) entry.ports = ports.handles = socket_of(*ports.local);
  for (std::size_t i = 0; i < ports.more.size(); ++i) {
    if (!ports.more[i].is_shared) continue;
    ports.more[i].handles = socket_of(*ports.more[i].local);
    if (i < entry.more_ports.size()) entry.more_ports[i] = ports.more[i].handles;
  }
}

void PlanSync::limit_unheard(Instant now) {
  for (const std::uint64_t serial : peers_.decide(now)) {
    if (Call* call = calls_.by_serial(serial)) sync(*call);
  }
}

void PlanSync::sync(Call& call) {
  sync_one(call);
  // A call that a hairpin leads to may only now be recognised as one (LIM-5).
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      const MediaTransport* other =
          media->via->remote_known ? interfaces_.owner_of(media->via->remote_rtp) : nullptr;
      if (other != nullptr && &other->call() != &call) sync_one(other->call());
    }
  }
}

void PlanSync::sync_all() {
  for (const auto& [id, call] : calls_.all()) sync_one(*call);
}

void PlanSync::tell_worker(Call& call, PlannedTransport planned) {
  LocalPorts& ports = *planned.ports;
  MediaTransport* transport = planned.transport;
  auto plan = settle_plan(std::move(planned));
  const bool is_new = ports.plan == nullptr;
  std::vector<std::array<PortHandle, 2>> more;
  for (; ports.told < ports.more.size(); ++ports.told) {
    const LocalPorts::More& each = ports.more[ports.told];
    if (!each.is_shared) each.local->ports->set_owner(each.port, transport);
    more.push_back(each.handles);
    if (!is_new) plane_.post(call.worker, AddPorts{ports.transport, each.handles}, true);
  }
  if (is_new) {
    plane_.post(call.worker,
                InstallTransport{ports.transport, plan, ports.handles, std::move(more),
                                 std::exchange(ports.restored, nullptr), ports.activity, ports.barred},
                false);
  } else if (*plan != *ports.plan) {
    plane_.post(call.worker, UpdatePlan{ports.transport, plan}, true);
  } else {
    return;
  }
  ports.plan = std::move(plan);
}

void PlanSync::sync_one(Call& call) {
  prepare(call);
  for (PlannedTransport& planned : plans_of(call, plan_input(), Surroundings(interfaces_, guard_)))
    tell_worker(call, std::move(planned));
  observers_.tell(&CallObserver::on_planned, call);
}

bool PlanSync::move(Call& call, std::size_t worker) {
  if (worker >= plane_.workers() || call.worker == worker) return false;
  struct Moving {
    MediaTransport* transport;
    LocalPorts* ports;
    std::unique_ptr<TransportEntry> entry;
  };
  std::vector<Moving> moving;
  for (auto& leg : call.legs) {
    // Names of transports have a meaning in one worker only.
    for (auto& media : leg->medias) {
      if (media->extras) media->extras->feeds.clear();
    }
    for (MediaTransport& transport : leg->transports) {
      for (LocalPorts& ports : transport.ports) {
        if (!ports.closed) moving.push_back({&transport, &ports, nullptr});
      }
    }
  }
  // All transports leave the old worker before any arrives at the new one. Meanwhile datagrams wait in their
  // sockets.
  for (Moving& each : moving)
    plane_.post(call.worker, ExtractTransport{each.ports->transport, &each.entry}, true);
  plane_.fence();
  for (Moving& each : moving) {
    plane_.free(call.worker, each.ports->transport);
    const TransportId before = std::exchange(each.ports->transport, plane_.allocate(worker));
    observers_.tell(&CallObserver::on_moved, call, *each.transport, *each.ports, before);
  }
  call.worker = worker;
  for (Moving& each : moving) {
    if (!each.entry) continue;
    take_shared_sockets(*each.ports, *each.entry, worker);
    // The plan names transports of the old worker. The new plan is complete before packets flow.
    plane_.set_owner(worker, each.ports->transport, each.transport);
    each.ports->plan = settle_plan(
        plan_of(call, *each.transport, *each.ports, plan_input(), Surroundings(interfaces_, guard_)));
    each.entry->state.set_plan(each.ports->plan, plane_.worker(worker).now());
  }
  // Transports share the counters of their keys, so none runs before all are ready.
  for (Moving& each : moving) {
    if (each.entry) plane_.post(worker, AdoptTransport{each.ports->transport, std::move(each.entry)}, true);
  }
  observers_.tell(&CallObserver::on_planned, call);
  plane_.fence();
  return true;
}

void PlanSync::start_piercing(Call& call, Instant now) {
  // By then a phone behind NAT has sent something.
  constexpr Duration kPierceTime = 10s;
  std::erase_if(piercing_, [&](const Piercing& p) { return p.call == call.serial; });
  piercing_.push_back({call.serial, now + kPierceTime});
  pierce(now);
}

void PlanSync::pierce(Instant now) {
  std::erase_if(piercing_, [&](const Piercing& each) {
    Call* found = calls_.by_serial(each.call);
    if (found == nullptr || now > each.until) return true;
    Call& call = *found;
    bool waiting = false;
    for (const auto& leg : call.legs) {
      for (MediaTransport& transport : leg->transports) {
        LocalPorts* ports = transport.active_ports();
        if (ports == nullptr || ports->closed || !ports->plan || !transport.pierce || !transport.remote_known)
          continue;
        if (ports->activity->last_packet_ns.load(std::memory_order_relaxed) != 0) continue;
        waiting = true;
        plane_.post(call.worker,
                    SendProbe{ports->transport, Ssrc{static_cast<std::uint32_t>(random_u64())},
                              SeqNo{static_cast<std::uint16_t>(random_u64())}},
                    false);
      }
    }
    return !waiting;
  });
}

}  // namespace ferry
