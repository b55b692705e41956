// A worker's receive and transmit queues. Internal: needs DPDK's headers.
#pragma once

#include "relay/dpdk/shared.hpp"
#include "relay/io/packet_io.hpp"
#include "relay/io/portable/portable_io.hpp"

#include <array>
#include <vector>

namespace ferry::dpdk {

/// Buffers of the engine's pool.
class MbufStock final : public PacketStock {
 public:
  explicit MbufStock(rte_mempool* pool) noexcept : pool_(pool) {}
  [[nodiscard]] PacketBuffer allocate() noexcept override;
  void release(PacketSlot* slot) noexcept override { rte_pktmbuf_free(mbuf_of(slot)); }
  [[nodiscard]] std::size_t free_count() const noexcept override { return rte_mempool_avail_count(pool_); }
  [[nodiscard]] std::size_t size() const noexcept override { return pool_->size; }
  /// The handle of a received frame whose payload is `size` octets from `at`.
  [[nodiscard]] PacketBuffer wrap(rte_mbuf* mbuf, std::size_t at, std::size_t size) noexcept;

 private:
  rte_mempool* pool_;
};

/// Frames of media go by here; what is not in the table of ways, not whole or not on a DPDK port goes by the
/// port's socket, which is bound all the time (docs/adr/0007). Run to completion: polls, sleeps only if it
/// may and nothing came for a while.
class DpdkIo final : public PacketIo {
 public:
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
  void wake() noexcept override { is_woken_.store(true, std::memory_order_release); }
  /// The time of this turn: a look at the clock for each of its steps would be felt.
  [[nodiscard]] Instant now() const noexcept override {
    return Instant(Duration(time_.load(std::memory_order_relaxed)));
  }

 private:
  static constexpr std::size_t kBurst = 64;
  /// Frames that are taken from the devices in one go, and at most given to one in one go: system calls and
  /// doorbells are dear. With fewer waiting nothing is put off.
  static constexpr std::size_t kMostStaged = 4 * kBurst;
  static constexpr std::size_t kPrefetch = 4;

  /// A local port that this worker has.
  struct Port {
    bool is_attached = false;
    std::uint64_t cookie = 0;
    Endpoint local;
    /// The way to whom it sent last; 0 = by the socket.
    IpAddress remote;
    std::uint32_t way = 0;
    Instant ask_again{};
    Duration patience{};
  };
  /// Whom to tell if a frame is not sent.
  struct Sender {
    std::uint64_t cookie = 0;
    Endpoint to;
  };
  /// Frames on their way to one device.
  struct Outgoing {
    std::array<rte_mbuf*, kMostStaged> frames{};
    std::array<Sender, kMostStaged> senders{};
    std::size_t count = 0;
  };

  Instant look_at_clock() noexcept;
  void poll() noexcept;
  /// Judges a frame: it becomes the next of `batch`, or goes elsewhere.
  void take(rte_mbuf* frame, std::span<PacketBuffer> batch, std::size_t& filled) noexcept;
  /// A frame of the engine's own pool and in one piece: itself, or a copy. Null: dropped and counted.
  [[nodiscard]] rte_mbuf* adopt(rte_mbuf* frame) noexcept;
  void drop(rte_mbuf* frame, Count why) noexcept;
  void hand_over(rte_mbuf* frame, unsigned worker) noexcept;
  void drain_outboxes() noexcept;
  [[nodiscard]] bool find_way(PortHandle via, Port& from, const Endpoint& to, Way& way, Instant now) noexcept;
  void forget_way(Port& port) noexcept;
  void transmit(Outgoing& out, const EtherPort& device) noexcept;
  void transmit_all() noexcept;
  [[nodiscard]] Port* port_at(PortHandle port) noexcept;

  Shared& shared_;
  unsigned worker_;
  Counts& counts_;
  MbufStock stock_;
  PortableIo sockets_;
  std::array<rte_mbuf*, kMostStaged + kBurst> staged_{};
  std::size_t staged_count_ = 0;
  std::size_t staged_next_ = 0;
  std::size_t next_device_ = 0;
  std::vector<Port> ports_;         // by descriptor
  std::vector<Outgoing> outgoing_;  // by `EtherPort::index`
  /// Receivers that the path has no room for: the kernel knows what fits and fragments.
  struct Narrow {
    IpAddress remote;
    Instant until;
  };
  std::vector<Narrow> narrow_;
  std::array<PortProblem, 64> problems_{};
  std::size_t problem_count_ = 0;
  std::atomic<bool> is_woken_{false};
  std::atomic<Duration::rep> time_{0};  // control asks too
  bool has_time_ = false;               // of this turn
  Instant last_packet_{};
  Instant next_sockets_{};
  mutable Stock known_stock_;
  mutable unsigned stock_asked_ = 0;
};

}  // namespace ferry::dpdk
