// RTP and RTCP of one media (RFC 8445 §13), and the ways that their datagrams take.
#pragma once

#include "relay/base/address.hpp"

#include <cstdint>

namespace ferry {

enum class Component : std::uint8_t { kRtp, kRtcp };

/// The way to a peer: from one of the transport's own addresses to one of the peer's.
struct Path {
  Path() = default;
  Path(std::uint8_t from, const Endpoint& to) : local(from), peer(to) {}
  /// By the first of the own addresses.
  Path(const Endpoint& to) : peer(to) {}  // NOLINT(google-explicit-constructor)

  /// The number of the own address; 0 = the first one.
  std::uint8_t local = 0;
  Endpoint peer;

  [[nodiscard]] bool is_set() const noexcept { return peer.is_set(); }
  bool operator==(const Path&) const = default;
};

}  // namespace ferry
