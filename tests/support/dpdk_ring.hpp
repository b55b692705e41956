// SPDX-License-Identifier: Apache-2.0
// A DPDK port made of two rings (net_ring), with a test as the network behind it.
#pragma once

#include "relay/io/dpdk/dpdk_engine.hpp"
#include "relay/io/dpdk/eal.hpp"
#include "relay/io/dpdk/frames.hpp"
#include "tests/support/world.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

namespace ferry::test {

inline constexpr dpdk::MacAddress kNetworkMac = {0x02, 0, 0, 0, 0, 0x99};

/// Every address is behind one router of the port, unless a test says otherwise.
class RingHops final : public HopSource {
 public:
  RingHops(NextHops::Publish publish, unsigned ifindex, const dpdk::MacAddress& own)
      : publish_(std::move(publish)) {
    hop.ifindex = ifindex;
    hop.mtu = 1500;
    hop.source = own;
    hop.destination = kNetworkMac;
  }
  HopAnswer acquire(const Pair& pair, std::uint32_t& id) override {
    const std::lock_guard lock(mutex_);
    ++asked;
    if (answer != HopAnswer::kFound) return answer;
    const auto entry = ids_.try_emplace(pair, static_cast<std::uint32_t>(ids_.size() + 1)).first;
    id = entry->second;
    ++users_[pair];
    publish_(id, pair, &hop);
    return HopAnswer::kFound;
  }
  void release(const Pair& pair) override {
    const std::lock_guard lock(mutex_);
    if (--users_[pair] == 0) users_.erase(pair);
  }
  [[nodiscard]] std::size_t users() {
    const std::lock_guard lock(mutex_);
    return users_.size();
  }
  /// As if the kernel had changed its mind about all of them; null: no way.
  void tell(const NextHop* now) {
    const std::lock_guard lock(mutex_);
    for (const auto& [pair, id] : ids_) publish_(id, pair, now);
  }
  NextHop hop;
  HopAnswer answer = HopAnswer::kFound;
  std::size_t asked = 0;

 private:
  NextHops::Publish publish_;
  std::mutex mutex_;  // workers ask
  std::map<Pair, std::uint32_t> ids_;
  std::map<Pair, std::size_t> users_;
};

/// The engine on such a port. Frames in and out are whole Ethernet frames.
class RingPort {
 public:
  /// Empty = made; else why DPDK cannot be used here.
  static std::unique_ptr<RingPort> make(unsigned workers, std::vector<IpAddress> addresses,
                                        std::string& why) {
    static unsigned number = 0;
    const std::vector<std::string> eal = {
        "--no-huge", "-m", "192", "--no-pci", "--lcores=0@(0-1),1@(0-1),2@(0-1)", "--log-level=error"};
    if (auto started = dpdk::start_eal(eal, nullptr); !started) {
      why = started.error();
      return nullptr;
    }
    auto port = std::unique_ptr<RingPort>(new RingPort);
    const std::string name = fmt::format("t{}", number++);
    port->in_ = rte_ring_create((name + "in").c_str(), 4096, SOCKET_ID_ANY, 0);
    port->out_ = rte_ring_create((name + "out").c_str(), 4096, SOCKET_ID_ANY, 0);
    port->pool_ = rte_pktmbuf_pool_create((name + "pool").c_str(), 4095, 0, 0, 2048 + 512, SOCKET_ID_ANY);
    const int id = rte_eth_from_rings(name.c_str(), &port->in_, 1, &port->out_, 1, 0);
    std::array<char, RTE_ETH_NAME_MAX_LEN> device{};
    if (port->in_ == nullptr || port->out_ == nullptr || port->pool_ == nullptr || id < 0 ||
        rte_eth_dev_get_name_by_port(static_cast<std::uint16_t>(id), device.data()) != 0) {
      why = fmt::format("net_ring: {}", rte_strerror(rte_errno));
      return nullptr;
    }
    rte_ether_addr mac{};
    rte_eth_macaddr_get(static_cast<std::uint16_t>(id), &mac);
    std::ranges::copy(mac.addr_bytes, port->mac_.begin());
    dpdk::DpdkSettings settings;
    settings.ports = {{device.data(), ""}};
    settings.workers = workers;
    settings.addresses = std::move(addresses);
    settings.buffers = 8191;
    settings.has_kernel_path = false;
    settings.vlans = {7, 4094};
    settings.make_hops = [&port, id](std::uint32_t, NextHops::Publish publish) {
      auto hops = std::make_unique<RingHops>(std::move(publish), static_cast<unsigned>(id) + 1, port->mac_);
      port->hops_ = hops.get();
      return hops;
    };
    auto engine = dpdk::DpdkEngine::start(settings, nullptr);
    if (!engine) {
      why = engine.error();
      return nullptr;
    }
    port->engine_ = std::move(*engine);
    port->engine_->serve();
    return port;
  }
  ~RingPort() {
    engine_.reset();
    for (rte_ring* ring : {in_, out_}) {
      void* frame = nullptr;
      while (ring != nullptr && rte_ring_dequeue(ring, &frame) == 0)
        rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
      rte_ring_free(ring);
    }
    rte_mempool_free(pool_);
  }
  RingPort(const RingPort&) = delete;
  RingPort& operator=(const RingPort&) = delete;

  [[nodiscard]] dpdk::DpdkEngine& engine() { return *engine_; }
  [[nodiscard]] RingHops& hops() { return *hops_; }
  [[nodiscard]] const dpdk::MacAddress& mac() const { return mac_; }
  [[nodiscard]] std::uint64_t count(std::string_view name) const {
    for (const dpdk::DpdkCount& each : engine_->figures().counts) {
      if (each.name == name) return each.value;
    }
    return ~std::uint64_t{0};
  }

  /// False: the wire is full.
  bool put(Bytes frame, std::size_t segment = ~std::size_t{0}, std::uint64_t flags = 0) {
    rte_mbuf* first = nullptr;
    for (std::size_t at = 0; at < frame.size();) {
      const std::size_t size = std::min({frame.size() - at, segment, std::size_t{2048}});
      rte_mbuf* part = rte_pktmbuf_alloc(pool_);
      if (part == nullptr) return false;
      std::memcpy(rte_pktmbuf_append(part, static_cast<std::uint16_t>(size)), frame.data() + at, size);
      at += size;
      if (first == nullptr)
        first = part;
      else
        rte_pktmbuf_chain(first, part);
    }
    first->ol_flags = flags;
    if (rte_ring_enqueue(in_, first) == 0) return true;
    rte_pktmbuf_free(first);
    return false;
  }
  /// Empty: there is none. `start`: where it was in memory.
  [[nodiscard]] Packet take(const std::byte** start = nullptr) {
    void* frame = nullptr;
    if (rte_ring_dequeue(out_, &frame) != 0) return {};
    auto* mbuf = static_cast<rte_mbuf*>(frame);
    const auto* octets = rte_pktmbuf_mtod(mbuf, const std::byte*);
    if (start != nullptr) *start = octets;
    Packet packet(octets, octets + mbuf->data_len);
    rte_pktmbuf_free(mbuf);
    return packet;
  }

 private:
  RingPort() = default;
  rte_ring* in_ = nullptr;
  rte_ring* out_ = nullptr;
  rte_mempool* pool_ = nullptr;
  dpdk::MacAddress mac_{};
  RingHops* hops_ = nullptr;
  std::unique_ptr<dpdk::DpdkEngine> engine_;
};

/// A UDP frame to the relay's port.
inline Packet frame_to(const dpdk::MacAddress& mac, const Endpoint& from, const Endpoint& to, Bytes payload,
                       std::uint16_t vlan = 0) {
  const dpdk::FrameAddresses addresses{kNetworkMac, mac, vlan, from, to, 0};
  Packet frame(dpdk::headers_size(addresses) + payload.size());
  std::ranges::copy(payload, frame.end() - static_cast<std::ptrdiff_t>(payload.size()));
  dpdk::write_headers(frame, addresses, dpdk::Offload::kNone);
  return frame;
}

/// Two workers behind one receive queue: half of the packets are handed over.
class RingEngine final : public LiveEngine {
 public:
  /// Adds what left by sockets to `by_socket` at its end.
  RingEngine(std::unique_ptr<RingPort> port, std::uint64_t& by_socket)
      : port_(std::move(port)), by_socket_(by_socket) {}
  ~RingEngine() override { by_socket_ += port_->count("sent_by_socket"); }
  [[nodiscard]] std::string name() const override { return "dpdk (net_ring)"; }
  [[nodiscard]] std::size_t workers(std::size_t) const override { return port_->engine().workers(); }
  [[nodiscard]] PortProvider& provider() override { return port_->engine().provider(); }
  [[nodiscard]] std::unique_ptr<PacketIo> make_io(unsigned worker) override {
    return port_->engine().make_io(worker);
  }
  [[nodiscard]] IpAddress peer_address(unsigned row, char who) const override {
    return IpAddress::v4({198, 51, static_cast<std::uint8_t>(row), static_cast<std::uint8_t>(who)});
  }
  /// Longer ones come in fragments, which are the kernel's.
  [[nodiscard]] std::size_t longest_datagram() const override { return dpdk::kMaxFrameDatagram + 52; }
  void send(const Endpoint& from, const Endpoint& to, const Packet& packet) override {
    open(from);
    const Packet frame = frame_to(port_->mac(), from, to, packet);
    while (!port_->put(frame)) std::this_thread::yield();
  }
  void open(const Endpoint& peer) override { peers_.insert(peer); }
  void collect(Duration limit, const std::function<void(Received)>& take) override {
    const auto end = std::chrono::steady_clock::now() + limit;
    do {
      Packet frame = port_->take();
      if (frame.empty()) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        continue;
      }
      dpdk::UdpFrame udp;
      if (dpdk::parse_frame(frame, udp) != dpdk::FrameKind::kUdp || !peers_.contains(udp.to) ||
          dpdk::check_udp(frame, udp) != dpdk::UdpChecksum::kGood)
        continue;
      const auto start = frame.begin() + udp.payload_at;
      take({udp.to, udp.from, {start, start + udp.payload_size}, {}});
    } while (std::chrono::steady_clock::now() < end);
  }

 private:
  std::unique_ptr<RingPort> port_;
  std::uint64_t& by_socket_;
  std::set<Endpoint> peers_;
};

}  // namespace ferry::test
