// Why no pair of ports could be opened, and what the proxy and the operator are told of it.
#pragma once

#include "control/session/request.hpp"
#include "relay/io/port_provider.hpp"

#include <string>

namespace ferry {

/// What the engine's refusal of a port is; a port that another process holds is one port less.
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
    case PortError::kOther:
      break;
  }
  return PortFailure::kRefused;
}

/// The reply to a request that needed the pair. Proxies try another relay at two texts alone and at `load
/// limit`, if they announced that they know it. So every other failure is told as a limit, with its own text
/// beside.
inline RequestError refusal_of(PortFailure failure, bool knows_load_limit) {
  const PortFailureRow& row = row_of(failure);
  if (failure == PortFailure::kExhausted) return error(refusal_for(failure), std::string(row.text));
  RequestError refused = error(refusal_for(failure), std::string(knows_load_limit ? row.text : kLimitText));
  refused.load_limit = knows_load_limit;
  refused.cause = row.text;
  refused.wrong_family = failure == PortFailure::kNoFamily;
  return refused;
}

}  // namespace ferry
