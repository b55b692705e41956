// SPDX-License-Identifier: Apache-2.0
// DTLS at a shared port that overtakes the check of its sender: it is held until its endpoint is bound
// (DTL-3).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/io/packet_buffer.hpp"
#include "relay/worker/port_table.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <utility>

namespace ferry {

/// The first flights of endpoints that are bound to nobody yet. Nobody knows whose they are, so no transport
/// can hold them as it does at a port of its own (`DtlsChannel::hold`).
///
/// Anybody can write a ClientHello, so there are few places, and the datagram that has waited longest gives
/// way to a new one. The buffers are the engine's. No allocation. The `Forwarder` owns it; only the worker's
/// thread uses it.
class EarlyHellos {
 public:
  /// Datagrams of all endpoints at once.
  static constexpr std::size_t kPlaces = 64;
  /// Most octets of one endpoint.
  static constexpr std::size_t kOctets = 4096;
  /// So long a datagram waits at most.
  static constexpr Duration kTime = std::chrono::seconds(2);

  /// Holds a datagram that came to a shared port from `remote` of `packet`, if it is part of a first flight
  /// that begins with a ClientHello. False: it is none, or its endpoint has its most; the caller keeps it.
  bool hold(PacketBuffer& packet, Instant now) noexcept;
  /// Gives the datagram of the endpoint back that has waited longest; an empty handle if there is none.
  [[nodiscard]] PacketBuffer take(SharedPortId port, const Endpoint& remote, Instant now) noexcept;
  /// Drops what has waited too long.
  void forget_old(Instant now) noexcept;
  /// Datagrams dropped since the last call: they had to give way, or have waited too long.
  [[nodiscard]] std::size_t take_dropped() noexcept { return std::exchange(dropped_, 0); }
  /// Datagrams that wait now.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  /// A place; free if `packet` is empty.
  struct Held {
    PacketBuffer packet;
    // Copies of what the packet says, so that a search does not read every buffer.
    Endpoint remote;
    SharedPortId port;
    Instant since{};
    [[nodiscard]] bool is_of(SharedPortId at, const Endpoint& from) const noexcept {
      return packet && port == at && remote == from;
    }
    [[nodiscard]] bool is_old(Instant now) const noexcept { return now - since > kTime; }
  };
  /// The places in the order in which they were filled: 0 was filled first.
  [[nodiscard]] Held& nth(std::size_t n) noexcept { return places_[(next_ + n) % kPlaces]; }
  void drop(Held& place) noexcept;

  std::array<Held, kPlaces> places_{};
  /// Where the next datagram goes.
  std::size_t next_ = 0;
  std::size_t size_ = 0;
  std::size_t dropped_ = 0;
};

}  // namespace ferry
