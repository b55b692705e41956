// SPDX-License-Identifier: Apache-2.0
// The interface of an engine: it moves datagrams between the network and one worker.
#pragma once

#include "relay/base/send_error.hpp"
#include "relay/base/types.hpp"
#include "relay/io/packet_buffer.hpp"

#include <span>

namespace ferry {

/// An error that came back later about a datagram that had been sent, mostly by ICMP.
struct PortProblem {
  /// The cookie of the port that the datagram had left from.
  std::uint64_t cookie = 0;
  /// The destination of the datagram.
  Endpoint to;
  SendError error = SendError::kOther;
  /// The host that reported the error; unset if it was this one.
  IpAddress reporter;
};

/// One engine serves one worker. `wake` may be called by any thread; everything else belongs to the worker's
/// thread. Nothing throws and nothing but `wait` blocks.
class PacketIo {
 public:
  virtual ~PacketIo() = default;

  /// Called on the worker's thread when it begins and when it ends.
  virtual void enter_thread() noexcept {}
  virtual void leave_thread() noexcept {}

  /// Starts to deliver datagrams of `port`, marked with `cookie`, which the engine does not look into. False
  /// if it cannot take another port.
  virtual bool attach(PortHandle port, std::uint64_t cookie) noexcept = 0;
  /// Stops to deliver datagrams of `port`, which stays open. Datagrams that wait in it stay there for the
  /// next worker that attaches it.
  virtual void detach(PortHandle port) noexcept = 0;
  /// Says that many peers send to an attached port, so that one peer does not have to wait for the others:
  /// the engine takes as many of its datagrams at once as fit, and connects it to nobody.
  virtual void expect_many(PortHandle) noexcept {}
  /// The local endpoint of a port; unset if it is not open. May ask the kernel, so not for every packet.
  [[nodiscard]] virtual Endpoint local_of(PortHandle port) const noexcept = 0;

  /// Fills `batch` from its start with datagrams that wait, and returns their number. Each one says where it
  /// came from and to which port.
  virtual std::size_t receive(std::span<PacketBuffer> batch) noexcept = 0;
  /// Takes all handles, also those it cannot send, and sends them in order. `errors` is as long as `batch`;
  /// `errors[i]` becomes kNone if datagram `i` left, else why it did not.
  virtual void send(std::span<PacketBuffer> batch, std::span<SendError> errors) noexcept = 0;
  /// Fills the span with errors that came back since the last call, and returns their number. An engine keeps
  /// a limited number of them; the rest is lost.
  virtual std::size_t take_problems(std::span<PortProblem>) noexcept { return 0; }
  /// An empty buffer, for a copy or a packet of our own. The handle is empty if the stock is used up.
  virtual PacketBuffer allocate() noexcept = 0;
  /// Packet buffers in all, those that are free now, and those that were ever in use (the others take no
  /// memory).
  struct Stock {
    std::size_t total = 0;
    std::size_t free = 0;
    std::size_t touched = 0;
  };
  [[nodiscard]] virtual Stock stock() const noexcept = 0;

  /// Sleeps until something can be received, `deadline` passes, or another thread calls `wake`.
  virtual void wait(Instant deadline) noexcept = 0;
  /// Ends the present `wait`, or the next one if there is none. Any thread.
  virtual void wake() noexcept = 0;
  /// The engine's time: the monotonic clock, or the virtual time of a simulation.
  [[nodiscard]] virtual Instant now() const noexcept = 0;
};

}  // namespace ferry
