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

/// Delivers datagrams between relay ports and test peers. Single-threaded; time moves only by `advance_to`.
class SimNetwork final : public PortProvider {
 public:
  /// Called for every datagram the relay sends; the return value says whether the wire took it.
  using Outlet = std::function<bool(const SimDatagram&)>;

  explicit SimNetwork(Instant start = Instant{std::chrono::hours(1)}) : now_(start) {}

  Result<PortHandle, PortError> activate(const Endpoint& local, std::uint8_t tos) override;
  void release(PortHandle port) override;
  void set_tos(PortHandle, AddressFamily, std::uint8_t) override {}

  [[nodiscard]] Instant now() const { return now_; }
  void advance_to(Instant time) { now_ = std::max(now_, time); }
  void set_outlet(Outlet outlet) { outlet_ = std::move(outlet); }

  /// Sees every datagram before the ports do; true = it took it (a model of forwarding below the sockets).
  using Below = std::function<bool(const SimDatagram&)>;
  void set_below(Below below) { below_ = std::move(below); }

  /// Nobody listens at `peer` from now on: its host answers with ICMP port unreachable, until `accept`.
  void refuse(const Endpoint& peer) { refusing_.insert(peer); }
  void accept(const Endpoint& peer) { refusing_.erase(peer); }

  /// The relay sends: to another port of it, or out. False if the wire did not take it.
  bool send_from_relay(const SimDatagram& datagram);
  /// A peer sends. False if no relay port is open there: a real host would answer with ICMP, ours stays
  /// silent.
  bool send_to_relay(const SimDatagram& datagram);

  [[nodiscard]] std::size_t open_ports() const { return ports_.size(); }
  /// Makes `activate` fail for these endpoints, or for all when descriptors "run out".
  void occupy(const Endpoint& endpoint) { occupied_.insert(endpoint); }
  /// Engines then take no port more.
  void set_refuses_ports(bool refuses) { refuses_ports_ = refuses; }
  void set_descriptor_limit(std::size_t limit) { descriptor_limit_ = limit; }
  /// `activate` fails for this reason; unset: it works.
  void set_port_error(std::optional<PortError> error) { port_error_ = error; }

 private:
  friend class SimIo;
  struct Port {
    Endpoint local;
    std::deque<SimDatagram> queue;
  };
  std::map<std::int32_t, Port> ports_;
  std::set<std::int32_t> ready_;  // ports in which something waits
  std::unordered_map<Endpoint, std::int32_t> by_endpoint_;
  std::set<Endpoint> occupied_;
  std::size_t descriptor_limit_ = SIZE_MAX;
  std::optional<PortError> port_error_;
  bool refuses_ports_ = false;
  std::int32_t next_handle_ = 1;
  Instant now_;
  Outlet outlet_;
  Below below_;
  std::set<Endpoint> refusing_;
  struct Problem {
    std::int32_t port;
    Endpoint to;
  };
  std::deque<Problem> problems_;  // not yet taken by the engine of the port
};

/// The engine of one worker on a `SimNetwork`.
class SimIo final : public PacketIo {
 public:
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
  [[nodiscard]] std::size_t free_buffers() const noexcept { return pool_.free_count(); }

 private:
  SimNetwork& network_;
  std::map<std::int32_t, std::uint64_t> attached_;
  PacketPool pool_;
};

}  // namespace ferry
