// Headers of the next packets of one call, with what became of each.
#pragma once

#include "control/session/manager.hpp"
#include "relay/base/spsc_ring.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ferry {

struct TracedPacket {
  TransportId transport;
  Instant at{};
  Endpoint from;
  std::uint32_t size = 0;
  std::uint8_t kept = 0;
  DropReason reason = DropReason::kNone;
  Component port = Component::kRtp;
  bool is_rtcp = false;
  /// The start of the datagram.
  std::array<std::byte, 64> start;
};

/// Attached to all ports of the call, also those that it gets later. What does not fit into its ring is
/// counted. Streams in the kernel stay there: headers of their packets are copied. Control thread only, but
/// for what the worker calls.
class Trace final : public PacketTap {
 public:
  Trace(SessionManager& manager, std::string call_id) : manager_(manager), call_id_(std::move(call_id)) {}
  ~Trace() override;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// A packet with the names of its party, media and local port; it is borrowed for the call.
  struct Seen {
    const TracedPacket& packet;
    std::string_view leg;
    unsigned media;
    Endpoint local;
  };
  /// Hands over what has come since the last call. False once the call is gone.
  bool poll(const std::function<void(const Seen&)>& visit);
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

  void on_packet(const TapPacket&) noexcept override {}
  void on_judged(const TapPacket& packet, DropReason reason) noexcept override;
  void on_lost(TransportId, std::uint32_t count) noexcept override {
    lost_.fetch_add(count, std::memory_order_relaxed);
  }
  [[nodiscard]] bool wants_headers_only() const noexcept override { return true; }

 private:
  struct Attached {
    TransportId transport;
    std::string leg;
    unsigned media;
    Endpoint local;
  };
  void follow(const Call& call);
  void detach();

  SessionManager& manager_;
  std::string call_id_;
  std::size_t worker_ = 0;
  std::vector<Attached> attached_;
  SpscRing<TracedPacket> ring_{4096};
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace ferry
