// SPDX-License-Identifier: Apache-2.0
// From a call to what its workers are told: a pure function of the model. It opens nothing, sends nothing and
// asks no clock. Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/call/codec_catalogue.hpp"
#include "control/call/media_dtls.hpp"
#include "control/call/media_keys.hpp"
#include "control/call/peer_register.hpp"
#include "relay/core/forward/plan.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

/// Answers what a plan must know of the world outside its call.
class Reach {
 public:
  virtual ~Reach() = default;
  /// The transport that has `endpoint` as an RTP port, as bound or as advertised. Null if the relay has no
  /// such port.
  [[nodiscard]] virtual const MediaTransport* owner_of(const Endpoint& endpoint) const = 0;
  /// True if `endpoint` is a port of ours that ICE legs share, as bound or as advertised.
  [[nodiscard]] virtual bool is_shared(const Endpoint& endpoint) const = 0;
  /// Where parties may be whose packets go through ports in `scope` (LAT-11a). Never null.
  [[nodiscard]] virtual const std::shared_ptr<const PeerPolicy>& policy_of(PeerScope scope) const = 0;
};

/// The settings of the daemon that plans depend on, the same for all calls. Borrows.
struct PlanInput {
  /// How media is keyed, by `SessionConfig`.
  const SrtpConfig& srtp;
  const DtlsConfig& dtls;
  /// The codecs that can be converted.
  const CodecCatalogue& codecs;
  /// True if the MOS of reports leaves the delay out.
  bool listening_quality = false;
  /// A party that gets nothing for so long gets silence, in s; 0 = nobody does.
  std::uint16_t keep_alive_s = 0;
  /// True if payload types that were not negotiated are dropped, unless a call says otherwise (DMX-4).
  bool strict_payload_types = false;
};

/// One open set of ports of a transport, and what the worker is to be told of it. Borrows from the call.
struct PlannedTransport {
  /// Never null.
  MediaTransport* transport = nullptr;
  LocalPorts* ports = nullptr;
  /// Complete except for `unheard_until` and `address_errors`, which the register of peers decides.
  std::shared_ptr<TransportPlan> plan;
  /// The number of signals that the learning of `plan` belongs to. It becomes `LocalPorts::learned_signal`.
  std::uint32_t learned_signal = 0;
  /// Where its packets go, for the register of peers (LAT-12b). Unset if no such limit applies.
  std::optional<PeerRegister::Entry> sends_to;
};

/// Makes the plan of each open set of ports, in the order of legs, transports and sets. The worker has the
/// plan in `LocalPorts::plan` so far, and the new plan goes on from it. Transports of encrypted media get
/// `keys` if they have none. Plans of keys, DTLS and ICE are cached in the call's members and shared.
[[nodiscard]] std::vector<PlannedTransport> plans_of(const Call& call, const PlanInput& input,
                                                     const Reach& reach);
/// The same for one set of ports.
[[nodiscard]] PlannedTransport plan_of(const Call& call, MediaTransport& transport, LocalPorts& ports,
                                       const PlanInput& input, const Reach& reach);

}  // namespace ferry
