// SPDX-License-Identifier: Apache-2.0
// Names of shared ports and workers, and bindings that travel from one worker to another.
#pragma once

#include "relay/base/address.hpp"

#include <cstddef>
#include <cstdint>

namespace ferry {

/// Number of a worker within the process.
using WorkerNumber = std::uint8_t;
/// Most workers that can serve shared ports. A cookie has eight bits for a worker's number plus one.
constexpr std::size_t kMostSharingWorkers = 255;

/// Names a shared port. All workers have the same numbers.
struct SharedPortId {
  std::uint32_t value = 0;
  bool operator==(const SharedPortId&) const = default;
};

/// Why an endpoint is bound: an authentic check came from there, or an authentic answer to a check of ours.
/// kMove: the transport has brought the binding from another worker, where an answer proved it.
enum class BindingProof : std::uint8_t { kCheck, kAnswer, kMove };

/// A binding of a transport that moves to another worker.
struct MovedBinding {
  SharedPortId port;
  Endpoint remote;
  BindingProof proof = BindingProof::kCheck;
  /// The worker that receives the endpoint's datagrams.
  WorkerNumber receiver = 0;
};

}  // namespace ferry
