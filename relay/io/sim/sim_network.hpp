// SPDX-License-Identifier: Apache-2.0
// A network in memory with virtual time: the engine of unit tests and simulations.
#pragma once

#include "relay/io/packet_io.hpp"
#include "relay/io/port_provider.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

namespace ferry {

/// A datagram on the simulated wire.
struct SimDatagram {
  Endpoint from;
  Endpoint to;
  std::vector<std::byte> payload;
};

/// Carries datagrams between the ports of a relay and the peers of a test. For one thread. Time moves only by
/// `advance_to`.
class SimNetwork final : public PortProvider {
 public:
  /// Called for each datagram that leaves the relay; returns whether the wire took it.
  using Outlet = std::function<bool(const SimDatagram&)>;

  /// `start`: the first moment. It is not zero, because a zero Instant means "unset".
  explicit SimNetwork(Instant start = Instant{std::chrono::hours(1)}) : now_(start) {}

  Result<PortHandle, PortError> activate(const Endpoint& local, std::uint8_t tos) override;
  /// The handle of a datagram is its source port modulo `workers`, so that a test can choose.
  Result<std::vector<PortHandle>, PortError> activate_shared(const Endpoint& local, std::uint8_t tos,
                                                             std::size_t workers) override;
  void release(PortHandle port) override;
  void set_tos(PortHandle, AddressFamily, std::uint8_t) override {}

  /// The virtual time.
  [[nodiscard]] Instant now() const { return now_; }
  /// Moves the time forward; never back.
  void advance_to(Instant time) { now_ = std::max(now_, time); }
  /// Sets where datagrams go that leave the relay. Without an outlet they vanish, and the wire has taken
  /// them.
  void set_outlet(Outlet outlet) { outlet_ = std::move(outlet); }

  /// Called for each datagram before the ports see it; true: it was taken. A model of forwarding in the
  /// kernel.
  using Below = std::function<bool(const SimDatagram&)>;
  void set_kernel(Below below) { below_ = std::move(below); }

  /// From now on, until `accept`, nobody listens at `peer`, and its host answers with ICMP port unreachable.
  void refuse(const Endpoint& peer) { refusing_.insert(peer); }
  void accept(const Endpoint& peer) { refusing_.erase(peer); }

  /// Sends a datagram of the relay: to another of its ports, or out. False if the wire did not take it.
  bool send_from_relay(const SimDatagram& datagram);
  /// Sends a datagram of a peer. False if the relay has no open port there. A real host would answer that
  /// with ICMP; this one stays silent.
  bool send_to_relay(const SimDatagram& datagram);

  /// Ports that are open now.
  [[nodiscard]] std::size_t open_ports() const { return ports_.size(); }
  /// Makes `activate` fail for this endpoint: it is in use.
  void occupy(const Endpoint& endpoint) { occupied_.insert(endpoint); }
  /// If true, engines take no further port.
  void set_refuses_ports(bool refuses) { refuses_ports_ = refuses; }
  /// Makes `activate` fail once so many ports are open. No limit by default.
  void set_descriptor_limit(std::size_t limit) { descriptor_limit_ = limit; }
  /// Makes `activate` fail with `error`; unset: it works again.
  void set_port_error(std::optional<PortError> error) { port_error_ = error; }

 private:
  friend class SimIo;
  /// An open port, and the datagrams that wait in it.
  struct Port {
    Endpoint local;
    std::deque<SimDatagram> queue;
  };
  std::map<std::int32_t, Port> ports_;
  /// Ports in which something waits.
  std::set<std::int32_t> ready_;
  /// The first handle of each open endpoint.
  std::unordered_map<Endpoint, std::int32_t> by_endpoint_;
  /// How many handles a shared endpoint has, one after the other.
  std::unordered_map<Endpoint, std::size_t> shared_;
  std::set<Endpoint> occupied_;
  std::size_t descriptor_limit_ = SIZE_MAX;
  std::optional<PortError> port_error_;
  bool refuses_ports_ = false;
  std::int32_t next_handle_ = 1;
  Instant now_;
  Outlet outlet_;
  Below below_;
  std::set<Endpoint> refusing_;
  /// An ICMP error that the engine of the port has not taken yet.
  struct Problem {
    std::int32_t port;
    Endpoint to;
  };
  std::deque<Problem> problems_;
};

/// The engine of one worker on a `SimNetwork`. `wait` returns at once: the test moves the time.
class SimIo final : public PacketIo {
 public:
  /// `network` outlives it. `buffers`: size of its stock.
  explicit SimIo(SimNetwork& network, std::size_t buffers = 1024) : network_(network), pool_(buffers) {}

  bool attach(PortHandle port, std::uint64_t cookie) noexcept override;
  void detach(PortHandle port) noexcept override { attached_.erase(port.native); }
  [[nodiscard]] Endpoint local_of(PortHandle port) const noexcept override;
  std::size_t receive(std::span<PacketBuffer> batch) noexcept override;
  void send(std::span<PacketBuffer> batch, std::span<SendError> errors) noexcept override;
  std::size_t take_problems(std::span<PortProblem> into) noexcept override;
  PacketBuffer allocate() noexcept override { return pool_.allocate(); }
  [[nodiscard]] Stock stock() const noexcept override {
    return {pool_.size(), pool_.free_count(), pool_.touched()};
  }
  void wait(Instant) noexcept override {}
  void wake() noexcept override {}
  [[nodiscard]] Instant now() const noexcept override { return network_.now(); }
  /// Buffers that are free now.
  [[nodiscard]] std::size_t free_buffers() const noexcept { return pool_.free_count(); }

 private:
  SimNetwork& network_;
  /// Cookies of the attached ports.
  std::map<std::int32_t, std::uint64_t> attached_;
  PacketPool pool_;
};

}  // namespace ferry
