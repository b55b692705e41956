// SPDX-License-Identifier: Apache-2.0
// Headers of the next packets of one call, with what became of each.
#pragma once

#include "control/call/call.hpp"
#include "control/session/services.hpp"
#include "control/session/taps.hpp"
#include "relay/base/spsc_ring.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ferry {

/// One packet that was judged.
struct TracedPacket {
  TransportId transport;
  Instant at{};
  Endpoint from;
  /// Size of the whole datagram in octets, and how many of them `start` has.
  std::uint32_t size = 0;
  std::uint8_t kept = 0;
  /// Why it was dropped; kNone = it was not.
  DropReason reason = DropReason::kNone;
  Component port = Component::kRtp;
  bool is_rtcp = false;
  /// The beginning of the datagram.
  std::array<std::byte, 64> start;
};

/// Traces the packets of one call: it is attached to all its ports, and to those that the call gets later.
/// Packets that do not fit into its ring are counted as lost. Streams in the kernel stay there; their headers
/// are copied. Control thread only, except for the members that the worker calls (`on_…`).
class Trace final : public PacketTap {
 public:
  /// Borrows the services.
  Trace(const Services& services, std::string call_id) : services_(services), call_id_(std::move(call_id)) {}
  ~Trace() override;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// A packet with the names of its party, media and local port. Borrowed during `visit`.
  struct Seen {
    const TracedPacket& packet;
    std::string_view leg;
    unsigned media;
    Endpoint local;
  };
  /// Hands over what has come since the last call. False once the call is gone.
  bool poll(const std::function<void(const Seen&)>& visit);
  /// How many packets did not fit into the ring.
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

  void on_packet(const TapPacket&) noexcept override {}
  void on_judged(const TapPacket& packet, DropReason reason) noexcept override;
  void on_lost(TransportId, std::uint32_t count) noexcept override {
    lost_.fetch_add(count, std::memory_order_relaxed);
  }
  [[nodiscard]] bool wants_headers_only() const noexcept override { return true; }

 private:
  /// The names of one set of ports.
  struct Named {
    TransportId transport;
    std::string leg;
    unsigned media;
    Endpoint local;
  };
  void attach(Call& call);

  const Services& services_;
  std::string call_id_;
  TapId tap_;
  std::vector<Named> named_;
  SpscRing<TracedPacket> ring_{4096};
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace ferry
