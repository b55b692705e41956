// SPDX-License-Identifier: Apache-2.0
// One worker's receive and transmit queues. Internal: needs DPDK's headers.
#pragma once

#include "relay/io/dpdk/shared.hpp"
#include "relay/io/packet_io.hpp"
#include "relay/io/portable/portable_io.hpp"

#include <array>
#include <vector>

namespace ferry::dpdk {

/// Packet buffers out of the engine's pool, which all workers share. A buffer may be released on any thread.
class MbufStock final : public PacketStock {
 public:
  /// `pool` is the engine's and outlives it.
  explicit MbufStock(rte_mempool* pool) noexcept : pool_(pool) {}
  [[nodiscard]] PacketBuffer allocate() noexcept override;
  void release(PacketSlot* slot) noexcept override { rte_pktmbuf_free(mbuf_of(slot)); }
  [[nodiscard]] std::size_t free_count() const noexcept override { return rte_mempool_avail_count(pool_); }
  [[nodiscard]] std::size_t size() const noexcept override { return pool_->size; }
  /// A handle to a received frame whose payload is `size` octets from offset `at`. Takes the frame.
  [[nodiscard]] PacketBuffer wrap(rte_mbuf* mbuf, std::size_t at, std::size_t size) noexcept;

 private:
  rte_mempool* pool_;
};

/// The engine of one worker on DPDK's ports. Frames of media go by these ports. What has no way there, needs
/// fragments or comes in some other way goes by the port's socket, which is open all the time
/// (docs/adr/0007). Polls, and sleeps only if it may and nothing came for a while.
class DpdkIo final : public PacketIo {
 public:
  /// `shared` outlives it. `worker`: its number.
  DpdkIo(Shared& shared, unsigned worker);
  ~DpdkIo() override;
  DpdkIo(const DpdkIo&) = delete;
  DpdkIo& operator=(const DpdkIo&) = delete;

  void enter_thread() noexcept override;
  void leave_thread() noexcept override;
  bool attach(PortHandle port, std::uint64_t cookie) noexcept override;
  void detach(PortHandle port) noexcept override;
  [[nodiscard]] Endpoint local_of(PortHandle port) const noexcept override;
  std::size_t receive(std::span<PacketBuffer> batch) noexcept override;
  void send(std::span<PacketBuffer> batch, std::span<SendError> errors) noexcept override;
  std::size_t take_problems(std::span<PortProblem> into) noexcept override;
  PacketBuffer allocate() noexcept override { return stock_.allocate(); }
  [[nodiscard]] Stock stock() const noexcept override;
  void wait(Instant deadline) noexcept override;
  /// Any thread.
  void wake() noexcept override { is_woken_.store(true, std::memory_order_release); }
  /// The time of this turn. Any thread may ask; it does not look at the clock.
  [[nodiscard]] Instant now() const noexcept override {
    return Instant(Duration(time_.load(std::memory_order_relaxed)));
  }

 private:
  /// Frames taken from a queue with one call.
  static constexpr std::size_t kBurst = 64;
  /// Most frames that are taken from all devices before they are worked off, and most that are collected for
  /// one device: system calls and doorbells are dear. If fewer wait, nothing is delayed.
  static constexpr std::size_t kMostStaged = 4 * kBurst;
  /// How many frames ahead the cache is filled.
  static constexpr std::size_t kPrefetch = 4;

  /// A media port that this worker has.
  struct Port {
    /// False: the descriptor is none of ours now.
    bool is_attached = false;
    std::uint64_t cookie = 0;
    /// The address and port that it is bound to.
    Endpoint local;
    /// The host that it sent to last, and the way there; 0: by the socket.
    IpAddress remote;
    std::uint32_t way = 0;
    /// When the kernel may be asked about the way again, and how long to wait after that.
    Instant ask_again{};
    Duration patience{};
  };
  /// The port that is told if a frame could not be sent, and the frame's destination.
  struct Sender {
    std::uint64_t cookie = 0;
    Endpoint to;
  };
  /// Frames collected for one device.
  struct Outgoing {
    std::array<rte_mbuf*, kMostStaged> frames{};
    std::array<Sender, kMostStaged> senders{};
    std::size_t count = 0;
  };

  /// Reads the clock and remembers it as the time of this turn.
  Instant look_at_clock() noexcept;
  /// Stages frames of the inbox and the devices.
  void poll() noexcept;
  /// Decides what becomes of a staged frame: it is the next packet of `batch`, or goes to the kernel or
  /// another worker, or is dropped.
  void take(rte_mbuf* frame, std::span<PacketBuffer> batch, std::size_t& filled) noexcept;
  /// The frame itself, if it is of the engine's own pool and in one piece; else a copy. Null: there was no
  /// buffer, and the frame is dropped and counted.
  [[nodiscard]] rte_mbuf* adopt(rte_mbuf* frame) noexcept;
  void drop(rte_mbuf* frame, Count why) noexcept;
  /// Gives a frame to the worker that has its port; dropped if that one's inbox is full.
  void hand_over(rte_mbuf* frame, unsigned worker) noexcept;
  /// Sends frames of those that have no transmit queue. Worker 0 only.
  void drain_outboxes() noexcept;
  /// The way from a port to a host, asked for if needed. False: by the socket.
  [[nodiscard]] bool find_way(PortHandle via, Port& from, const Endpoint& to, Way& way, Instant now) noexcept;
  /// Gives the way of a port back.
  void forget_way(Port& port) noexcept;
  void transmit(Outgoing& out, const EtherPort& device) noexcept;
  void transmit_all() noexcept;
  [[nodiscard]] Port* port_at(PortHandle port) noexcept;

  Shared& shared_;
  unsigned worker_;
  Counts& counts_;
  MbufStock stock_;
  PortableIo sockets_;
  /// Frames to be looked at: those from `staged_next_` to `staged_count_`.
  std::array<rte_mbuf*, kMostStaged + kBurst> staged_{};
  std::size_t staged_count_ = 0;
  std::size_t staged_next_ = 0;
  /// The device that the next turn begins with.
  std::size_t next_device_ = 0;
  /// The ports of this worker, by descriptor.
  std::vector<Port> ports_;
  /// Frames for each device, by `EtherPort::index`.
  std::vector<Outgoing> outgoing_;
  /// A receiver whose path has a smaller MTU than the link. The kernel knows it and fragments, so such
  /// packets go by the socket until `until`.
  struct Narrow {
    IpAddress remote;
    Instant until;
  };
  std::vector<Narrow> narrow_;
  /// Frames that could not be sent, for `take_problems`.
  std::array<PortProblem, 64> problems_{};
  std::size_t problem_count_ = 0;
  std::atomic<bool> is_woken_{false};
  /// Atomic because control asks for the time too.
  std::atomic<Duration::rep> time_{0};
  /// `wait` has read the clock for this turn already.
  bool has_time_ = false;
  /// When a packet came last, for naps; and when sockets are to be looked at next.
  Instant last_packet_{};
  Instant next_sockets_{};
  /// The stock as it was found last; it is looked up at one of many calls.
  mutable Stock known_stock_;
  mutable unsigned stock_asked_ = 0;
};

}  // namespace ferry::dpdk
