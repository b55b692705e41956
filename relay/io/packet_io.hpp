// The interface of an engine: it moves datagrams for one worker (style section 8).
#pragma once

#include "relay/base/send_error.hpp"
#include "relay/base/types.hpp"
#include "relay/io/packet_buffer.hpp"

#include <span>

namespace ferry {

/// What came back later about a datagram that had been sent.
struct PortProblem {
  std::uint64_t cookie = 0;  // of the port
  Endpoint to;
  SendError error = SendError::kOther;
  /// Who said so; unset if it was this host.
  IpAddress reporter;
};

/// One instance per worker; all calls but `wake` on the worker's thread.
class PacketIo {
 public:
  virtual ~PacketIo() = default;

  /// The worker's thread begins and ends with these.
  virtual void enter_thread() noexcept {}
  virtual void leave_thread() noexcept {}

  /// Starts to deliver datagrams of `port`, marked with `cookie`. False if the engine cannot take another
  /// port.
  virtual bool attach(PortHandle port, std::uint64_t cookie) noexcept = 0;
  /// Stops to deliver. Datagrams that wait in the port stay there for the next worker that attaches it.
  virtual void detach(PortHandle port) noexcept = 0;
  /// Where a port is; not set if it is not open. Asks the kernel: not for every packet.
  [[nodiscard]] virtual Endpoint local_of(PortHandle port) const noexcept = 0;

  /// Fills `batch` with up to its size; never blocks. Each handle says where it came from and to which port.
  virtual std::size_t receive(std::span<PacketBuffer> batch) noexcept = 0;
  /// Takes ownership of all handles and tries to send them in order. `errors[i]` tells what was not sent.
  virtual void send(std::span<PacketBuffer> batch, std::span<SendError> errors) noexcept = 0;
  /// Hands over what came back about earlier datagrams since the last call, as far as it was kept.
  virtual std::size_t take_problems(std::span<PortProblem>) noexcept { return 0; }
  /// An empty buffer for a copy; empty handle when the stock is used up.
  virtual PacketBuffer allocate() noexcept = 0;
  /// Packet buffers in all, how many of them are free, and how many were ever in use (the others take no
  /// memory).
  struct Stock {
    std::size_t total = 0;
    std::size_t free = 0;
    std::size_t touched = 0;
  };
  [[nodiscard]] virtual Stock stock() const noexcept = 0;

  /// Sleeps until there is something to receive, `deadline` passes, or `wake` is called from another thread.
  virtual void wait(Instant deadline) noexcept = 0;
  virtual void wake() noexcept = 0;
  /// The engine's time: the monotonic clock, or a simulator's.
  [[nodiscard]] virtual Instant now() const noexcept = 0;
};

}  // namespace ferry
