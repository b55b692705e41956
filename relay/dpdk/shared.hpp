// What the workers, the kernel path and control have of each other. Internal: needs DPDK's headers.
#pragma once

#include "relay/dpdk/dpdk_engine.hpp"
#include "relay/dpdk/frames.hpp"
#include "relay/dpdk/hop_table.hpp"
#include "relay/dpdk/port_claims.hpp"
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

/// What became of a frame. The names are those of metrics and `rtpferryctl engines`.
enum class Count : std::uint8_t {
  kReceived,
  kMedia,
  kHandedOver,
  kToKernel,
  kFromKernel,
  kSent,
  kSentBySocket,
  kDropBadChecksum,
  kDropMalformed,
  kDropOtherMac,
  kDropMartian,
  kDropNoBuffer,
  kDropHandOverFull,
  kDropKernelFull,
  kDropOutboxFull,
  kDropSendFull,
  kCount
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Count::kCount)> kCountNames = {
    "received",      "media",          "handed_over",         "to_kernel",        "from_kernel",
    "sent",          "sent_by_socket", "drop_bad_checksum",   "drop_malformed",   "drop_other_mac",
    "drop_martian",  "drop_no_buffer", "drop_hand_over_full", "drop_kernel_full", "drop_outbox_full",
    "drop_send_full"};

/// One thread writes, any reads.
struct alignas(64) Counts {
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Count::kCount)> values{};
  void add(Count which, std::uint64_t number = 1) noexcept {
    auto& value = values[static_cast<std::size_t>(which)];
    value.store(value.load(std::memory_order_relaxed) + number, std::memory_order_relaxed);
  }
};

/// Numbers of VLANs that the kernel has on a port. One thread writes.
class VlanSet {
 public:
  [[nodiscard]] bool contains(std::uint16_t vlan) const noexcept {
    return (words_[vlan / 64 % words_.size()].load(std::memory_order_relaxed) >> (vlan % 64) & 1) != 0;
  }
  void set(const std::vector<std::uint16_t>& vlans) noexcept {
    std::array<std::uint64_t, 64> words{};
    for (const std::uint16_t vlan : vlans) words[vlan / 64 % words.size()] |= std::uint64_t{1} << (vlan % 64);
    for (std::size_t i = 0; i < words.size(); ++i) words_[i].store(words[i], std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, 64> words_{};
};

struct FreeRing {
  void operator()(rte_ring* ring) const noexcept { rte_ring_free(ring); }
};
using Ring = std::unique_ptr<rte_ring, FreeRing>;

/// An Ethernet device of DPDK.
struct EtherPort {
  std::uint16_t id = 0;
  std::size_t index = 0;  // in `Shared::ports`
  std::string device;
  std::string driver;
  MacAddress mac{};
  unsigned mtu = 1500;
  std::uint16_t rx_queues = 1;
  std::uint16_t tx_queues = 1;
  std::uint64_t rx_offloads = 0;
  std::uint64_t tx_offloads = 0;
  int numa_node = -1;
  bool is_virtual = false;
  /// Frames of those who have no transmit queue: workers beyond the last one, the kernel. Worker 0 sends
  /// them.
  Ring outbox;
  // The kernel's end.
  std::string interface;
  int tap = -1;
  unsigned ifindex = 0;
  VlanSet vlans;

  [[nodiscard]] Offload offload() const noexcept;
};

struct Shared {
  explicit Shared(const DpdkSettings& given) : settings(given), claims(given.addresses), ways(kHops) {}
  ~Shared();

  static constexpr std::uint32_t kHops = 1 << 18;  // pairs of addresses in use

  [[nodiscard]] EtherPort* port_of(std::uint16_t id) const noexcept {
    return id < by_id.size() ? by_id[id] : nullptr;
  }
  /// Hands a frame to the kernel path. Takes the frame.
  void to_kernel(rte_mbuf* frame, Counts& counts) noexcept;

  DpdkSettings settings;
  std::vector<std::unique_ptr<EtherPort>> ports;
  std::array<EtherPort*, 256> by_id{};
  rte_mempool* pool = nullptr;
  unsigned workers = 1;
  std::vector<cpu_set_t> cpus;  // of the lcores that workers may have
  std::vector<int> nodes;       // parallel
  std::vector<Ring> inboxes;    // of the workers: frames that another one received
  std::vector<std::unique_ptr<Counts>> counts;
  Counts kernel_counts;
  PortClaims claims;
  HopTable ways;
  std::unique_ptr<HopSource> hops;
  Ring kernel_queue;
  std::atomic<bool> kernel_is_rung{false};
  int kernel_bell = -1;
};

/// Where a slot's octets begin in the memory of its mbuf: a datagram of our own begins where DPDK puts data.
constexpr std::size_t kBeforeSlot = RTE_PKTMBUF_HEADROOM - kHeadroom;
/// Ethernet, one tag, IPv6, UDP.
constexpr std::size_t kLongestHeaders = 14 + 4 + 40 + 8;
static_assert(kBeforeSlot + kHeadroom >= kLongestHeaders, "headers are written before the payload");
constexpr std::size_t kMbufRoom = RTE_PKTMBUF_HEADROOM + kLongestHeaders + kMaxFrameDatagram + kTailroom;

/// A slot stands in the private area of its mbuf.
inline PacketSlot* slot_of(rte_mbuf* mbuf) noexcept {
  return static_cast<PacketSlot*>(rte_mbuf_to_priv(mbuf));
}
inline rte_mbuf* mbuf_of(PacketSlot* slot) noexcept { return reinterpret_cast<rte_mbuf*>(slot) - 1; }

}  // namespace ferry::dpdk
