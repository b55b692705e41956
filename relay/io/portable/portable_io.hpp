// SPDX-License-Identifier: Apache-2.0
// The engine that works everywhere: a UDP socket for each port, level-triggered epoll, one receive for each
// event.
#pragma once

#include "relay/io/packet_io.hpp"
#include "relay/io/port_provider.hpp"

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <vector>

#include <sys/epoll.h>

namespace ferry {

/// The second, connected socket of each port whose peer is locked (docs/adr/0002).
///
/// The provider and the engines of all workers share one instance. Each element belongs to whoever has the
/// port: the worker that has it attached, else control. So the socket goes with the port when a call moves to
/// another worker, and nothing that waits in it is lost.
class ConnectedSockets {
 public:
  /// Reserves an element for each descriptor that the process may have. Without memory for that no port gets
  /// a connected socket.
  ConnectedSockets();
  /// Descriptor of the connected socket of `port`; -1 if it has none.
  [[nodiscard]] int of(PortHandle port) const noexcept {
    return covers(port.native) ? element(port).load(std::memory_order_relaxed) - 1 : -1;
  }
  /// Connects the socket of `port` to `peer`, opening it first if needed, and returns its descriptor. -1 if
  /// the kernel refuses or free descriptors run low; the port has no connected socket then.
  int connect_to(PortHandle port, const Endpoint& peer) noexcept;
  /// Closes the connected socket of `port`, if it has one.
  void close(PortHandle port) noexcept;

 private:
  struct Free {
    void operator()(int* memory) const noexcept { std::free(memory); }
  };
  [[nodiscard]] bool covers(int fd) const noexcept { return fd >= 0 && fd < size_; }
  [[nodiscard]] std::atomic_ref<int> element(PortHandle port) const noexcept {
    return std::atomic_ref(twins_[static_cast<std::size_t>(port.native)]);
  }
  /// Opens a socket bound to the same endpoint as `port`. -1 if that fails.
  [[nodiscard]] int open_beside(PortHandle port) const noexcept;

  int size_ = 0;
  /// For each port's descriptor: the descriptor of the connected socket plus one; 0 if it has none.
  std::unique_ptr<int[], Free> twins_;
};

/// Opens a UDP socket for each port, bound to the very address of its interface, never to the wildcard.
class PortableProvider final : public PortProvider {
 public:
  /// `connected`: closed together with their ports. Null: the engines connect none.
  explicit PortableProvider(std::shared_ptr<ConnectedSockets> connected = nullptr)
      : connected_(std::move(connected)) {}
  Result<PortHandle, PortError> activate(const Endpoint& local, std::uint8_t tos) override;
  Result<std::vector<PortHandle>, PortError> activate_shared(const Endpoint& local, std::uint8_t tos,
                                                             std::size_t workers) override;
  void release(PortHandle port) override;
  void set_tos(PortHandle port, AddressFamily family, std::uint8_t tos) override;

 private:
  std::shared_ptr<ConnectedSockets> connected_;
};

/// Serves the ports of one worker with sockets and epoll.
class PortableIo final : public PacketIo {
 public:
  /// Throws std::system_error if the kernel gives no epoll or event descriptor. `connected` null: every
  /// datagram leaves by `sendto`. `buffers`: size of its own stock of packet buffers.
  explicit PortableIo(std::shared_ptr<ConnectedSockets> connected = nullptr, std::size_t buffers = 1024);
  /// Does the same with buffers of another owner, who outlives it.
  PortableIo(std::shared_ptr<ConnectedSockets> connected, PacketStock& stock);
  ~PortableIo() override;
  PortableIo(const PortableIo&) = delete;
  PortableIo& operator=(const PortableIo&) = delete;

  bool attach(PortHandle port, std::uint64_t cookie) noexcept override;
  void detach(PortHandle port) noexcept override;
  void expect_many(PortHandle port) noexcept override;
  [[nodiscard]] Endpoint local_of(PortHandle port) const noexcept override;
  std::size_t receive(std::span<PacketBuffer> batch) noexcept override;
  void send(std::span<PacketBuffer> batch, std::span<SendError> errors) noexcept override;
  std::size_t take_problems(std::span<PortProblem> into) noexcept override;
  PacketBuffer allocate() noexcept override { return stock_.allocate(); }
  [[nodiscard]] Stock stock() const noexcept override {
    return {stock_.size(), stock_.free_count(), stock_.touched()};
  }
  void wait(Instant deadline) noexcept override;
  void wake() noexcept override;
  [[nodiscard]] Instant now() const noexcept override { return std::chrono::steady_clock::now(); }
  /// True if the last `wait` found something that was not received yet.
  [[nodiscard]] bool is_ready() const noexcept { return ready_next_ < ready_count_; }
  /// Keeps ICMP errors about datagrams of an attached port from now on, whoever sends them. `family`: that of
  /// the port's address.
  void hear_problems(PortHandle port, AddressFamily family) noexcept;

 private:
  /// The engine's knowledge of one descriptor: a port's own socket or its connected one.
  struct Port {
    std::uint64_t cookie = 0;
    bool attached = false;
    /// A connected socket could not be had; it is not tried again while the port is attached.
    bool refused = false;
    /// Packets to the locked peer that left before its connected socket was opened, because datagrams waited
    /// in this one.
    std::uint8_t postponed = 0;
    /// Many peers send to it (`expect_many`).
    bool has_many = false;
    /// The kernel keeps ICMP errors of this socket for us.
    bool hears_errors = false;
    /// On the port's own socket: whom its connected one is connected to; unset: there is none.
    Endpoint peer;
  };
  PortableIo(std::shared_ptr<ConnectedSockets> connected, std::unique_ptr<PacketPool> pool);
  /// Adds a descriptor to epoll; `unwatch` removes it.
  bool watch(int fd, std::uint64_t cookie);
  void unwatch(int fd) noexcept;
  /// Takes ICMP errors about datagrams of `fd` out of its error queue (ip(7), IP_RECVERR) into `problems_`.
  void read_errors(int fd) noexcept;
  /// Receives one datagram of a descriptor. The handle is empty if there is none, or no buffer; `is_dry`
  /// becomes true for want of a buffer.
  PacketBuffer receive_one(int fd, bool& is_dry) noexcept;
  /// The connected socket for `packet`, opened or connected anew if needed; -1: it must leave by `sendto`.
  int connected_to(PortHandle port, const PacketSlot& packet) noexcept;

  std::shared_ptr<ConnectedSockets> connected_;
  int epoll_ = -1;
  int event_ = -1;
  std::array<epoll_event, 256> ready_{};
  std::size_t ready_count_ = 0;
  std::size_t ready_next_ = 0;
  /// One element for each descriptor.
  std::vector<Port> ports_;
  std::array<PortProblem, 64> problems_{};
  /// Errors that `take_problems` has not handed over yet. What does not fit is lost.
  std::size_t problem_count_ = 0;
  /// Null if the stock is of another owner.
  std::unique_ptr<PacketPool> pool_;
  PacketStock& stock_;
};

}  // namespace ferry
