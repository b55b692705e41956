// SPDX-License-Identifier: Apache-2.0
// RTP and RTCP as the two components of a media (RFC 8445 §13), and the path that their datagrams take.
#pragma once

#include "relay/base/address.hpp"

#include <cstdint>

namespace ferry {

/// The RTP port or the RTCP port of a transport. With rtcp-mux everything goes through `kRtp`.
enum class Component : std::uint8_t { kRtp, kRtcp };

/// One of a transport's own ports.
struct LocalPort {
  Component component = Component::kRtp;
  /// Number of the own address.
  std::uint8_t local = 0;
  bool operator==(const LocalPort&) const = default;
};

/// A path to a peer: one of the transport's own addresses and one of the peer's.
struct Path {
  Path() = default;
  /// A path from the own address number `from` to `to`.
  Path(std::uint8_t from, const Endpoint& to) : local(from), peer(to) {}
  /// A path from the first own address.
  Path(const Endpoint& to) : peer(to) {}  // NOLINT(google-explicit-constructor)

  /// Number of the own address; 0 = the first one.
  std::uint8_t local = 0;
  /// The peer's address and port.
  Endpoint peer;

  /// True if the peer is known.
  [[nodiscard]] bool is_set() const noexcept { return peer.is_set(); }
  bool operator==(const Path&) const = default;
};

}  // namespace ferry
