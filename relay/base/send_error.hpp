// SPDX-License-Identifier: Apache-2.0
// Reasons why a datagram did not reach its receiver, as the host or an ICMP message said.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry {

/// One reason. `kSendErrorRows` explains each in words; `kCount` is their number.
enum class SendError : std::uint8_t {
  kNone,
  kPortUnreachable,
  kHostUnreachable,
  kNoNeighbour,
  kNoRoute,
  kNotPermitted,
  kWrongFamily,
  kTooLong,
  kNoBuffers,
  kOther,
  kCount,
};

/// Number of reasons, `kNone` included.
constexpr std::size_t kSendErrors = static_cast<std::size_t>(SendError::kCount);

/// The texts of one reason. Metrics, `rtpferryctl` and the documents all use them.
struct SendErrorRow {
  SendError error;
  /// Spelling in metrics and commands.
  std::string_view name;
  /// The cause, for people.
  std::string_view meaning;
  /// Advice for operators.
  std::string_view advice;
};

// clang-format off
inline constexpr std::array<SendErrorRow, kSendErrors> kSendErrorRows = {{
  {SendError::kNone, "none", "sent", "nothing"},
  {SendError::kPortUnreachable, "port-unreachable", "the receiver's host answered that nobody listens on that port (ICMP)", "the client closed its socket or signalled a wrong port: look at its SDP and its log"},
  {SendError::kHostUnreachable, "host-unreachable", "a router answered that the receiver's host cannot be reached (ICMP)", "check routing and firewalls on the way to the receiver"},
  {SendError::kNoNeighbour, "no-neighbour", "nobody on the link answers for the next hop's address (ARP, neighbour discovery)", "the receiver or the gateway is off, or the address is not of this link"},
  {SendError::kNoRoute, "no-route", "this host has no route to the receiver's network", "add a route, or give that side another interface (direction=)"},
  {SendError::kNotPermitted, "not-permitted", "this host's own firewall does not let media out", "look at the output rules: nft list ruleset"},
  {SendError::kWrongFamily, "wrong-family", "the receiver's address is of another IP version than the relay's port for it", "offer that side its own version: address-family=IP4 or IP6"},
  {SendError::kTooLong, "too-long", "the datagram does not fit the link", "lower the packet time or the bit rate of the sender, or raise the MTU"},
  {SendError::kNoBuffers, "no-buffers", "the host has no room to send", "the host is overloaded: raise net.core.wmem_max, spread the load"},
  {SendError::kOther, "other", "the host refused to send", "look at the kernel's log"},
}};
// clang-format on

/// Spelling of a reason in metrics and commands.
constexpr std::string_view to_string(SendError error) noexcept {
  return kSendErrorRows[static_cast<std::size_t>(error)].name;
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kSendErrors; ++i) {
        if (static_cast<std::size_t>(kSendErrorRows[i].error) != i) return false;
      }
      return true;
    }(),
    "rows are in the order of the enum");

}  // namespace ferry
