// The engine that works everywhere: a UDP socket per port, level-triggered epoll, one receive per event.
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

/// The second, connected socket of each port whose peer is locked (docs/adr/0002). Shared by the provider and
/// the engines of all workers: an element belongs to whoever has the port (a worker while it is attached,
/// else control), so that it goes with the port when a call moves and nothing that waits in it is lost.
class ConnectedSockets {
 public:
  ConnectedSockets();
  /// Descriptor of the connected socket of `port`; -1 if it has none.
  [[nodiscard]] int of(PortHandle port) const noexcept {
    return covers(port.native) ? element(port).load(std::memory_order_relaxed) - 1 : -1;
  }
  /// Connects to `peer`, opening the socket if needed. -1 if the kernel refuses or descriptors run low.
  int connect_to(PortHandle port, const Endpoint& peer) noexcept;
  void close(PortHandle port) noexcept;

 private:
  struct Free {
    void operator()(int* memory) const noexcept { std::free(memory); }
  };
  [[nodiscard]] bool covers(int fd) const noexcept { return fd >= 0 && fd < size_; }
  [[nodiscard]] std::atomic_ref<int> element(PortHandle port) const noexcept {
    return std::atomic_ref(twins_[static_cast<std::size_t>(port.native)]);
  }
  [[nodiscard]] int open_beside(PortHandle port) const noexcept;

  int size_ = 0;
  std::unique_ptr<int[], Free>
      twins_;  // descriptor + 1 by the port's descriptor; pages untouched cost nothing
};

/// Sockets bound to the very address of the interface, never to the wildcard.
class PortableProvider final : public PortProvider {
 public:
  /// With `connected` it also closes what the engines connected.
  explicit PortableProvider(std::shared_ptr<ConnectedSockets> connected = nullptr)
      : connected_(std::move(connected)) {}
  Result<PortHandle, PortError> activate(const Endpoint& local, std::uint8_t tos) override;
  void release(PortHandle port) override;
  void set_tos(PortHandle port, AddressFamily family, std::uint8_t tos) override;

 private:
  std::shared_ptr<ConnectedSockets> connected_;
};

class PortableIo final : public PacketIo {
 public:
  /// Throws std::system_error if the kernel gives no epoll or event descriptor.
  /// Without `connected` every datagram leaves by `sendto`.
  explicit PortableIo(std::shared_ptr<ConnectedSockets> connected = nullptr, std::size_t buffers = 1024);
  /// With buffers of somebody else, who outlives it.
  PortableIo(std::shared_ptr<ConnectedSockets> connected, PacketStock& stock);
  ~PortableIo() override;
  PortableIo(const PortableIo&) = delete;
  PortableIo& operator=(const PortableIo&) = delete;

  bool attach(PortHandle port, std::uint64_t cookie) noexcept override;
  void detach(PortHandle port) noexcept override;
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
  /// The last `wait` found something that was not received yet.
  [[nodiscard]] bool is_ready() const noexcept { return ready_next_ < ready_count_; }
  /// What the network answers about datagrams of an attached port is kept from now on, whoever sends them.
  void hear_problems(PortHandle port, AddressFamily family) noexcept;

 private:
  struct Port {
    std::uint64_t cookie = 0;
    bool attached = false;
    bool refused = false;       // no connected socket to be had
    bool hears_errors = false;  // what the network answers is kept for us
    Endpoint peer;              // whom the connected socket is connected to
  };
  PortableIo(std::shared_ptr<ConnectedSockets> connected, std::unique_ptr<PacketPool> pool);
  bool watch(int fd, std::uint64_t cookie);
  void unwatch(int fd) noexcept;
  /// Takes what the network said about datagrams of `fd` out of its error queue (ip(7), IP_RECVERR).
  void read_errors(int fd) noexcept;
  /// Descriptor to send through without an address, or -1.
  int connected_to(PortHandle port, const PacketSlot& packet) noexcept;

  std::shared_ptr<ConnectedSockets> connected_;
  int epoll_ = -1;
  int event_ = -1;
  std::array<epoll_event, 256> ready_{};
  std::size_t ready_count_ = 0;
  std::size_t ready_next_ = 0;
  std::vector<Port> ports_;  // by descriptor
  std::array<PortProblem, 64> problems_{};
  std::size_t problem_count_ = 0;
  std::unique_ptr<PacketPool> pool_;
  PacketStock& stock_;
};

}  // namespace ferry
