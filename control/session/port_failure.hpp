// Why no pair of ports could be opened, and what the proxy and the operator are told of it.
#pragma once

#include "control/session/request.hpp"
#include "relay/io/port_provider.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ferry {

enum class PortFailure : std::uint8_t {
  kExhausted,
  kNoFamily,
  kNoAddress,
  kNoDescriptors,
  kNoMemory,
  kRefused,
  kCount,
};
constexpr std::size_t kPortFailures = static_cast<std::size_t>(PortFailure::kCount);

struct PortFailureRow {
  PortFailure failure;
  /// For metrics and `rtpferryctl`.
  std::string_view name;
  std::string_view text;
  /// For operators: what to do.
  std::string_view advice;
};

// clang-format off
inline constexpr std::array<PortFailureRow, kPortFailures> kPortFailureRows = {{
  {PortFailure::kExhausted, "ports", "Ran out of ports", "widen port-min and port-max, or add a relay"},
  {PortFailure::kNoFamily, "family", "The interface has no address of this IP version", "give the interface one (interface=), or choose the side's IP version (address-family)"},
  {PortFailure::kNoAddress, "address", "The local address is gone from this host", "ip addr: bring the address back, or change interface= and start anew"},
  {PortFailure::kNoDescriptors, "descriptors", "No file descriptor is left for a port", "raise LimitNOFILE= of the unit and fs.file-max, or set max-sessions"},
  {PortFailure::kNoMemory, "memory", "The host has no memory left for a port", "find what takes the memory, or set max-sessions"},
  {PortFailure::kRefused, "refused", "The host refuses to open a port", "look at the kernel's log: SELinux, AppArmor, or a BPF program of the unit"},
}};
// clang-format on

constexpr const PortFailureRow& row_of(PortFailure failure) noexcept {
  return kPortFailureRows[static_cast<std::size_t>(failure)];
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kPortFailures; ++i) {
        if (static_cast<std::size_t>(kPortFailureRows[i].failure) != i) return false;
      }
      return true;
    }(),
    "rows are in the order of the enum");

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
  if (failure == PortFailure::kExhausted) return error(std::string(row.text));
  RequestError refused = error(knows_load_limit ? std::string(row.text) : "Parallel session limit reached");
  refused.load_limit = knows_load_limit;
  refused.cause = row.text;
  refused.wrong_family = failure == PortFailure::kNoFamily;
  return refused;
}

}  // namespace ferry
