// SPDX-License-Identifier: Apache-2.0
// The state that workers, kernel path and control share in this engine. Internal: needs DPDK's headers.
#pragma once

#include "relay/io/dpdk/frames.hpp"
#include "relay/io/dpdk/hop_table.hpp"
#include "relay/io/dpdk/port_claims.hpp"
#include "relay/io/dpdk/settings.hpp"
#include "relay/io/packet_buffer.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <pthread.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

namespace ferry::dpdk {

/// The fates of a frame that are counted. The names below are those of metrics and of `rtpferryctl engines`.
enum class Count : std::uint8_t {
  kReceived,          ///< frames that the devices gave us
  kMedia,             ///< of these: datagrams for a media port
  kHandedOver,        ///< given to the worker that has the port
  kToKernel,          ///< written to a TAP interface
  kFromKernel,        ///< read from a TAP interface
  kSent,              ///< frames given to a device, or to the worker that sends for us
  kSentBySocket,      ///< datagrams that left by the port's socket
  kDropBadChecksum,   ///< the UDP checksum was wrong
  kDropMalformed,     ///< the frame contradicted itself
  kDropOtherMac,      ///< for another host; a switch floods them
  kDropMartian,       ///< from an address that no host sends from
  kDropNoBuffer,      ///< a frame that had to be copied found no buffer
  kDropHandOverFull,  ///< the other worker's inbox was full
  kDropKernelFull,    ///< the queue to the kernel was full, or the kernel refused the frame
  kDropOutboxFull,    ///< the outbox of a port was full
  kDropSendFull,      ///< the device took no more frames
  kCount
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Count::kCount)> kCountNames = {
    "received",      "media",          "handed_over",         "to_kernel",        "from_kernel",
    "sent",          "sent_by_socket", "drop_bad_checksum",   "drop_malformed",   "drop_other_mac",
    "drop_martian",  "drop_no_buffer", "drop_hand_over_full", "drop_kernel_full", "drop_outbox_full",
    "drop_send_full"};

/// Counters of one thread; it alone writes, any thread reads.
struct alignas(64) Counts {
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Count::kCount)> values{};
  /// Counts; only the thread that owns the counters may call it.
  void add(Count which, std::uint64_t number = 1) noexcept {
    auto& value = values[static_cast<std::size_t>(which)];
    value.store(value.load(std::memory_order_relaxed) + number, std::memory_order_relaxed);
  }
};

/// The VLANs that the kernel has set up on a port. One thread writes, any reads; a change need not be seen at
/// once.
class VlanSet {
 public:
  /// `vlan`: number of a VLAN, at most 4095.
  [[nodiscard]] bool contains(std::uint16_t vlan) const noexcept {
    return (words_[vlan / 64 % words_.size()].load(std::memory_order_relaxed) >> (vlan % 64) & 1) != 0;
  }
  /// Replaces all numbers.
  void set(const std::vector<std::uint16_t>& vlans) noexcept {
    std::array<std::uint64_t, 64> words{};
    for (const std::uint16_t vlan : vlans) words[vlan / 64 % words.size()] |= std::uint64_t{1} << (vlan % 64);
    for (std::size_t i = 0; i < words.size(); ++i) words_[i].store(words[i], std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, 64> words_{};
};

/// Frees a ring.
struct FreeRing {
  void operator()(rte_ring* ring) const noexcept { rte_ring_free(ring); }
};
using Ring = std::unique_ptr<rte_ring, FreeRing>;

/// An Ethernet device of DPDK, and its TAP interface.
struct EtherPort {
  /// DPDK's number.
  std::uint16_t id = 0;
  /// Place in `Shared::ports`.
  std::size_t index = 0;
  std::string device;
  std::string driver;
  MacAddress mac{};
  /// Longest IP packet, in octets.
  unsigned mtu = 1500;
  /// Queues in use, one for each worker up to the device's limit.
  std::uint16_t rx_queues = 1;
  std::uint16_t tx_queues = 1;
  /// Checksums that the device checks and computes (RTE_ETH_RX_OFFLOAD_…, RTE_ETH_TX_OFFLOAD_…).
  std::uint64_t rx_offloads = 0;
  std::uint64_t tx_offloads = 0;
  /// -1: not known.
  int numa_node = -1;
  bool is_virtual = false;
  /// Frames of those that have no transmit queue: the kernel, and workers beyond the last queue. Worker 0
  /// sends them.
  Ring outbox;
  // The kernel's end: the TAP interface, its descriptor (-1: none), its index, and the VLANs on it.
  std::string interface;
  int tap = -1;
  unsigned ifindex = 0;
  VlanSet vlans;

  /// Which checksums the device computes.
  [[nodiscard]] Offload offload() const noexcept;
};

/// The state that all parts of the engine share. What has no word about threads is set at the start and
/// stays.
struct Shared {
  explicit Shared(const DpdkSettings& given) : settings(given), claims(given.addresses), ways(kHops) {}
  ~Shared();

  /// Most pairs of addresses in use.
  static constexpr std::uint32_t kHops = 1 << 18;

  /// The device with DPDK's number `id`; null if it is none of ours.
  [[nodiscard]] EtherPort* port_of(std::uint16_t id) const noexcept {
    return id < by_id.size() ? by_id[id] : nullptr;
  }
  /// Hands a frame to the kernel path and takes it; dropped and counted in `counts` if the queue is full. Any
  /// worker.
  void to_kernel(rte_mbuf* frame, Counts& counts) noexcept;

  DpdkSettings settings;
  std::vector<std::unique_ptr<EtherPort>> ports;
  std::array<EtherPort*, 256> by_id{};
  /// Buffers of all workers.
  rte_mempool* pool = nullptr;
  unsigned workers = 1;
  /// CPUs of the lcores that workers may have.
  std::vector<cpu_set_t> cpus;
  /// NUMA nodes, parallel to `cpus`.
  std::vector<int> nodes;
  /// For each worker: frames that another worker has received for it.
  std::vector<Ring> inboxes;
  /// For each worker.
  std::vector<std::unique_ptr<Counts>> counts;
  /// Written by the kernel path.
  Counts kernel_counts;
  PortClaims claims;
  HopTable ways;
  std::unique_ptr<HopSource> hops;
  /// Frames for the kernel path.
  Ring kernel_queue;
  /// True: the bell was rung and the kernel path has not looked yet.
  std::atomic<bool> kernel_is_rung{false};
  /// An eventfd.
  int kernel_bell = -1;
};

/// Offset of a slot's octets in the memory of its mbuf. Chosen so that a datagram of our own begins where
/// DPDK puts data.
constexpr std::size_t kBeforeSlot = RTE_PKTMBUF_HEADROOM - kHeadroom;
/// Ethernet, one VLAN tag, IPv6 and UDP, in octets.
constexpr std::size_t kLongestHeaders = 14 + 4 + 40 + 8;
static_assert(kBeforeSlot + kHeadroom >= kLongestHeaders, "headers are written before the payload");
/// Octets of an mbuf's data: head, the longest datagram, tail.
constexpr std::size_t kMbufRoom = RTE_PKTMBUF_HEADROOM + kLongestHeaders + kMaxFrameDatagram + kTailroom;

/// The slot of an mbuf, in its private area; `mbuf_of` is the way back.
inline PacketSlot* slot_of(rte_mbuf* mbuf) noexcept {
  return static_cast<PacketSlot*>(rte_mbuf_to_priv(mbuf));
}
inline rte_mbuf* mbuf_of(PacketSlot* slot) noexcept { return reinterpret_cast<rte_mbuf*>(slot) - 1; }

}  // namespace ferry::dpdk
