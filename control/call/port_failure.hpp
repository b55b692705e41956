// SPDX-License-Identifier: Apache-2.0
// Why no pair of ports could be opened.
#pragma once

#include "control/request/refusal.hpp"
#include "relay/io/port_provider.hpp"

namespace ferry {

/// Translates an engine's refusal of a port. A port that another process holds is one port less, so it counts
/// as exhausted.
constexpr PortFailure failure_of(PortError error) noexcept {
  switch (error) {
    case PortError::kInUse:
      return PortFailure::kExhausted;
    case PortError::kNoAddress:
      return PortFailure::kNoAddress;
    case PortError::kNoDescriptors:
      return PortFailure::kNoDescriptors;
    case PortError::kNoMemory:
      return PortFailure::kNoMemory;
    case PortError::kNotShared:
    case PortError::kOther:
      break;
  }
  return PortFailure::kRefused;
}

}  // namespace ferry
