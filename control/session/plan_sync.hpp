// SPDX-License-Identifier: Apache-2.0
// Makes the workers follow the calls: sends each worker what changed in the plans of its calls.
#pragma once

#include "control/call/peer_guard.hpp"
#include "control/call/peer_register.hpp"
#include "control/call/session_config.hpp"
#include "control/call/transport_plans.hpp"
#include "control/session/call_register.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/observer.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace ferry {

/// Makes plans and tells the workers. Control thread only. Borrows everything. The register of peers must
/// outlive the calls.
class PlanSync {
 public:
  PlanSync(const SessionConfig& config, const InterfaceSet& interfaces, MediaPlane& plane, PeerGuard& guard,
           CallRegister& calls, PeerRegister& peers, const CallObservers& observers)
      : config_(config),
        interfaces_(interfaces),
        plane_(plane),
        guard_(guard),
        calls_(calls),
        peers_(peers),
        observers_(observers) {}

  /// Makes all plans of a call again and sends its worker what changed. Then it does the same for calls that
  /// the medias of this one lead to, by a port of this relay (LIM-5).
  void sync(Call& call);
  /// Does the same for all calls, because the rules for peers have changed.
  void sync_all();
  /// Moves all transports of a call to another worker, in mid-stream. False if the call is there already, or
  /// if there is no such worker.
  bool move(Call& call, std::size_t worker);
  /// Tells the workers which peers of crowded addresses are sent to (LAT-12b). To be called about once a
  /// second.
  void limit_unheard(Instant now);
  /// Begins to send empty packets to the peers of the call, until something arrives from them, for 10 s at
  /// most.
  void start_piercing(Call& call, Instant now);
  /// Sends the next empty packets. To be called about once a second.
  void pierce(Instant now);

 private:
  class Surroundings;
  /// A call whose peers are sent empty packets, and until when.
  struct Piercing {
    std::uint64_t call;
    Instant until;
  };
  [[nodiscard]] PlanInput plan_input() const;
  /// Gives ports that are shared the sockets of another worker, in the model and in the entry that moves.
  void take_shared_sockets(LocalPorts& ports, TransportEntry& entry, std::size_t worker) const;
  /// Makes what plans need: `keys` of encrypted media, and an owner for each port that has none.
  void prepare(Call& call);
  /// Tells the register of peers where the ports send to, and completes the plan with its decision (LAT-12b).
  std::shared_ptr<const TransportPlan> settle_plan(PlannedTransport planned);
  /// Sends the worker of `call` the difference to what it was told of these ports.
  void tell_worker(Call& call, PlannedTransport planned);
  /// `sync` for this call alone.
  void sync_one(Call& call);

  const SessionConfig& config_;
  const InterfaceSet& interfaces_;
  MediaPlane& plane_;
  PeerGuard& guard_;
  CallRegister& calls_;
  PeerRegister& peers_;
  const CallObservers& observers_;
  /// The calls whose peers are sent empty packets.
  std::vector<Piercing> piercing_;
};

}  // namespace ferry
