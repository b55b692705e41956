// The engine that works everywhere: a UDP socket per port, level-triggered epoll, one receive per event.
#pragma once

#include "relay/io/packet_io.hpp"
#include "relay/io/port_provider.hpp"

#include <array>
#include <vector>

#include <sys/epoll.h>

namespace ferry {

/// Sockets bound to the very address of the interface, never to the wildcard.
class PortableProvider final : public PortProvider {
 public:
  Result<PortHandle, PortError> activate(const Endpoint& local, std::uint8_t tos) override;
  void release(PortHandle port) override;
  void set_tos(PortHandle port, AddressFamily family, std::uint8_t tos) override;
};

class PortableIo final : public PacketIo {
 public:
  /// Throws std::system_error if the kernel gives no epoll or event descriptor.
  explicit PortableIo(std::size_t buffers = 1024);
  ~PortableIo() override;
  PortableIo(const PortableIo&) = delete;
  PortableIo& operator=(const PortableIo&) = delete;

  bool attach(PortHandle port, std::uint64_t cookie) noexcept override;
  void detach(PortHandle port) noexcept override;
  std::size_t receive(std::span<PacketBuffer> batch) noexcept override;
  void send(std::span<PacketBuffer> batch, std::span<bool> failed) noexcept override;
  PacketBuffer allocate() noexcept override { return pool_.allocate(); }
  void wait(Instant deadline) noexcept override;
  void wake() noexcept override;
  [[nodiscard]] Instant now() const noexcept override { return std::chrono::steady_clock::now(); }

 private:
  struct Port {
    std::uint64_t cookie = 0;
    bool attached = false;
  };
  int epoll_ = -1;
  int event_ = -1;
  std::array<epoll_event, 256> ready_{};
  std::size_t ready_count_ = 0;
  std::size_t ready_next_ = 0;
  std::vector<Port> ports_;  // by descriptor
  PacketPool pool_;
};

}  // namespace ferry
