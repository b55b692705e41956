// SPDX-License-Identifier: Apache-2.0
// Starts DPDK and its ports, and gives each worker its queues.
//
// Order at the start: take a stale XDP program off → start the environment (EAL) → count lcores → choose the
// ports → configure their queues → make the pool of buffers, whose size depends on the queues → make the
// rings → bring the ports up → open a TAP interface for each. All of this needs rights. `serve` comes later,
// without them, and starts the threads: the one that watches routes, and the one between ports and kernel.
//
// Order at the end: KernelPath, then whoever has rings and buffers, then `Shared`: it stops the ports first,
// because their queues hold buffers, empties the rings, and frees the pool last.
//
// Numbers: one receive and one transmit queue for each worker, if the device has so many. Worker 0 stands in
// for the others: it hands their frames on, and sends what they put into the port's outbox.
#include "relay/io/dpdk/dpdk_engine.hpp"

#include "relay/io/dpdk/dpdk_io.hpp"
#include "relay/io/dpdk/eal.hpp"
#include "relay/io/dpdk/kernel_path.hpp"
#include "relay/io/dpdk/shared.hpp"
#include "relay/io/dpdk/stale_programs.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fmt/format.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_version.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace ferry::dpdk {

namespace {

// Descriptors of a queue; buffers that a thread keeps to itself; frames in the rings between threads.
constexpr std::uint16_t kDescriptors = 1024;
constexpr unsigned kCache = 256;
constexpr unsigned kInbox = 2048;
constexpr unsigned kOutbox = 1024;
constexpr unsigned kKernelQueue = 1024;
// Packet buffers for each worker: under probation, in two batches, in the queues of recorders.
constexpr std::size_t kBuffersOfWorker = 2048;

// DPDK's text for an error, which its functions return with either sign.
std::string of(int error) { return rte_strerror(error < 0 ? -error : error); }

/// Opens each port as a bound socket too. Thus the kernel knows who has the port, and what DPDK cannot send
/// leaves by it (docs/adr/0007).
class DpdkProvider final : public PortProvider {
 public:
  explicit DpdkProvider(Shared& shared) : shared_(shared) {}
  Result<PortHandle, PortError> activate(const Endpoint& local, std::uint8_t tos) override {
    auto port = sockets_.activate(local, tos);
    if (port) shared_.claims.set_tos(*port, tos);
    return port;
  }
  void release(PortHandle port) override { sockets_.release(port); }
  void set_tos(PortHandle port, AddressFamily family, std::uint8_t tos) override {
    sockets_.set_tos(port, family, tos);
    shared_.claims.set_tos(port, tos);
  }

 private:
  Shared& shared_;
  PortableProvider sockets_;
};

/// A name for an object of DPDK. Names are unique in the process.
std::string unique(std::string_view what) {
  static unsigned number = 0;
  return fmt::format("ferry_{}_{}", what, number++);
}

// A packet's slot lies between its mbuf and its octets, so that a packet never moves in memory.
constexpr std::size_t kPrivate = RTE_ALIGN(sizeof(PacketSlot), RTE_MBUF_PRIV_ALIGN);
constexpr std::size_t kObject = sizeof(rte_mbuf) + kPrivate + kMbufRoom;

/// Makes the pool of buffers. `rte_pktmbuf_pool_create` would do the same, but its pool leaves gaps at the
/// ends of pages. net_af_xdp shows the pool to the kernel as one piece without gaps, and would lose buffers
/// at its end.
rte_mempool* make_pool(std::size_t buffers, int node) {
  const unsigned flags = rte_eal_iova_mode() == RTE_IOVA_VA ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0;
  rte_mempool* pool =
      rte_mempool_create_empty(unique("pool").c_str(), static_cast<unsigned>(buffers), kObject, kCache,
                               sizeof(rte_pktmbuf_pool_private), node, flags);
  if (pool == nullptr) return nullptr;
  rte_pktmbuf_pool_private sizes{};
  sizes.mbuf_data_room_size = static_cast<std::uint16_t>(kMbufRoom);
  sizes.mbuf_priv_size = static_cast<std::uint16_t>(kPrivate);
  rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr);
  rte_pktmbuf_pool_init(pool, &sizes);
  // Without memory for all buffers there is no pool.
  if (rte_mempool_populate_default(pool) < 0) {
    rte_mempool_free(pool);
    return nullptr;
  }
  rte_mempool_obj_iter(
      pool,
      [](rte_mempool* mempool, void*, void* object, unsigned index) {
        rte_pktmbuf_init(mempool, nullptr, object, index);
        new (rte_mbuf_to_priv(static_cast<rte_mbuf*>(object))) PacketSlot;
      },
      nullptr);
  return pool;
}

Ring make_ring(const std::string& name, unsigned size, unsigned flags) {
  return Ring(rte_ring_create(name.c_str(), size, SOCKET_ID_ANY, flags));
}

// Devices that DPDK has found and no other part of the process owns, with their names.
std::vector<std::pair<std::uint16_t, std::string>> devices() {
  std::vector<std::pair<std::uint16_t, std::string>> found;
  const auto next = [](std::uint64_t from) {
    return rte_eth_find_next_owned_by(static_cast<std::uint16_t>(from), RTE_ETH_DEV_NO_OWNER);
  };
  for (std::uint64_t id = next(0); id < RTE_MAX_ETHPORTS; id = next(id + 1)) {
    std::array<char, RTE_ETH_NAME_MAX_LEN> name{};
    const auto number = static_cast<std::uint16_t>(id);
    if (rte_eth_dev_get_name_by_port(number, name.data()) == 0) found.emplace_back(number, name.data());
  }
  return found;
}

// The ports that the operator named, in that order; all that were found if none was named. The error is a
// sentence.
Result<std::vector<std::unique_ptr<EtherPort>>, std::string> choose_ports(
    const std::vector<DpdkSettings::Port>& wanted) {
  std::vector<std::unique_ptr<EtherPort>> chosen;
  const auto found = devices();
  const auto add = [&](const auto& device, const std::string& interface) {
    auto port = std::make_unique<EtherPort>();
    port->id = device.first;
    port->device = device.second;
    port->interface = interface.empty() ? fmt::format("ferry{}", chosen.size()) : interface;
    chosen.push_back(std::move(port));
  };
  for (const DpdkSettings::Port& each : wanted) {
    const auto device = std::ranges::find(found, each.device, &std::pair<std::uint16_t, std::string>::second);
    if (device == found.end()) {
      std::string names;
      for (const auto& other : found) names += (names.empty() ? "" : ", ") + other.second;
      return fail(fmt::format("dpdk-port: DPDK has no port '{}'; it has {}", each.device,
                              names.empty() ? "none: see dpdk-eal" : names));
    }
    add(*device, each.kernel_interface);
  }
  if (wanted.empty()) {
    for (const auto& device : found) add(device, "");
  }
  if (chosen.empty())
    return fail(
        std::string("engine=dpdk: DPDK has found no port: name one with dpdk-eal, as --vdev=… or --allow=…"));
  return chosen;
}

// Asks what a device can do and sets its queues up accordingly.
Result<void, std::string> configure(EtherPort& port, unsigned workers) {
  const auto failed = [&](std::string_view what, int error) {
    return fail(fmt::format("dpdk-port: {}: {}: {}", port.device, what, of(error)));
  };
  rte_eth_dev_info info{};
  if (const int error = rte_eth_dev_info_get(port.id, &info); error != 0)
    return failed("no information", error);
  port.driver = info.driver_name;
  port.numa_node = rte_eth_dev_socket_id(port.id);
  const rte_bus* bus = info.device != nullptr ? rte_dev_bus(info.device) : nullptr;
  port.is_virtual = bus == nullptr || std::string_view(rte_bus_name(bus)) == "vdev";
  port.rx_queues = static_cast<std::uint16_t>(std::min<unsigned>(workers, info.max_rx_queues));
  port.tx_queues = static_cast<std::uint16_t>(std::min<unsigned>(workers, info.max_tx_queues));
  port.rx_offloads = info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
  port.tx_offloads = info.tx_offload_capa & (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
                                             RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
  rte_eth_conf conf{};
  conf.rxmode.offloads = port.rx_offloads;
  conf.txmode.offloads = port.tx_offloads;
  // RSS spreads the calls over the queues. Without it all frames come to worker 0, which hands them on.
  const std::uint64_t hashes = info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
  if (port.rx_queues > 1 && hashes != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = hashes;
  }
  if (const int error = rte_eth_dev_configure(port.id, port.rx_queues, port.tx_queues, &conf); error != 0)
    return failed("cannot be configured", error);
  rte_ether_addr mac{};
  if (const int error = rte_eth_macaddr_get(port.id, &mac); error != 0)
    return failed("no MAC address", error);
  std::ranges::copy(mac.addr_bytes, port.mac.begin());
  return {};
}

// Gives a device its queues and starts it.
Result<void, std::string> bring_up(EtherPort& port, rte_mempool* pool) {
  const auto failed = [&](std::string_view what, int error) {
    return fail(fmt::format("dpdk-port: {}: {}: {}", port.device, what, of(error)));
  };
  std::uint16_t rx = kDescriptors;
  std::uint16_t tx = kDescriptors;
  if (const int error = rte_eth_dev_adjust_nb_rx_tx_desc(port.id, &rx, &tx); error != 0 && error != -ENOTSUP)
    return failed("descriptors", error);
  const int node = port.numa_node;
  for (std::uint16_t queue = 0; queue < port.rx_queues; ++queue) {
    const int error = rte_eth_rx_queue_setup(port.id, queue, rx, static_cast<unsigned>(node), nullptr, pool);
    if (error != 0) return failed("receive queue", error);
  }
  for (std::uint16_t queue = 0; queue < port.tx_queues; ++queue) {
    const int error = rte_eth_tx_queue_setup(port.id, queue, tx, static_cast<unsigned>(node), nullptr);
    if (error != 0) return failed("transmit queue", error);
  }
  if (const int error = rte_eth_dev_start(port.id); error != 0) return failed("does not start", error);
  // For neighbour discovery (RFC 4861), on devices that filter multicast at all.
  rte_eth_allmulticast_enable(port.id);
  std::uint16_t mtu = 0;
  if (rte_eth_dev_get_mtu(port.id, &mtu) == 0) port.mtu = std::min<unsigned>(mtu, kMaxFrameDatagram);
  return {};
}

}  // namespace

Offload EtherPort::offload() const noexcept {
  if ((tx_offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) == 0) return Offload::kNone;
  return (tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0 ? Offload::kIpAndUdp : Offload::kUdp;
}

// Devices first: they hold buffers and use the rings.
Shared::~Shared() {
  hops.reset();
  for (const auto& port : ports) {
    rte_eth_dev_stop(port->id);
    rte_eth_dev_close(port->id);
    if (port->tap >= 0) close(port->tap);
  }
  const auto empty = [](const Ring& ring) {
    void* frame = nullptr;
    while (ring && rte_ring_dequeue(ring.get(), &frame) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
  };
  for (const auto& port : ports) empty(port->outbox);
  for (const Ring& inbox : inboxes) empty(inbox);
  empty(kernel_queue);
  if (kernel_bell >= 0) close(kernel_bell);
  rte_mempool_free(pool);
}

void Shared::to_kernel(rte_mbuf* frame, Counts& from) noexcept {
  if (rte_ring_mp_enqueue(kernel_queue.get(), frame) != 0) {
    from.add(Count::kDropKernelFull);
    rte_pktmbuf_free(frame);
    return;
  }
  // One ring of the bell is enough until the kernel path has looked.
  if (kernel_is_rung.exchange(true, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = write(kernel_bell, &one, sizeof one);
}

DpdkEngine::DpdkEngine(std::unique_ptr<Shared> shared)
    : shared_(std::move(shared)), provider_(std::make_unique<DpdkProvider>(*shared_)) {}

// Its thread uses everything else.
DpdkEngine::~DpdkEngine() {
  kernel_path_.reset();
  provider_.reset();
}

Result<std::unique_ptr<DpdkEngine>, std::string> DpdkEngine::start(
    const DpdkSettings& settings, std::function<void(std::string_view)> log) {
  remove_stale_programs(settings.eal);
  if (auto started = start_eal(settings.eal, std::move(log)); !started) return fail(started.error());
  auto shared = std::make_unique<Shared>(settings);
  unsigned lcore = 0;
  const auto add_lcore = [&](unsigned number) {
    shared->cpus.push_back(rte_lcore_cpuset(number));
    shared->nodes.push_back(static_cast<int>(rte_lcore_to_socket_id(number)));
  };
  RTE_LCORE_FOREACH_WORKER(lcore) { add_lcore(lcore); }
  // If there is a single lcore, the worker shares it with control.
  if (shared->cpus.empty()) add_lcore(rte_get_main_lcore());
  shared->workers = settings.workers != 0 ? settings.workers : static_cast<unsigned>(shared->cpus.size());
  if (shared->workers > shared->cpus.size())
    return fail(
        fmt::format("num-threads: {} workers need as many lcores beside the main one, dpdk-eal gives {}",
                    shared->workers, shared->cpus.size()));

  auto ports = choose_ports(settings.ports);
  if (!ports) return fail(ports.error());
  std::size_t buffers = settings.buffers;
  for (auto& port : *ports) {
    if (auto done = configure(*port, shared->workers); !done) return fail(done.error());
    // Twice the descriptors: some drivers fill rings of their own besides.
    buffers +=
        settings.buffers != 0 ? 0 : 2 * std::size_t{kDescriptors} * (port->rx_queues + port->tx_queues);
  }
  if (settings.buffers == 0) buffers += kBuffersOfWorker * shared->workers + kKernelQueue + kInbox;
  shared->pool = make_pool(buffers, (*ports)[0]->numa_node);
  if (shared->pool == nullptr)
    return fail(fmt::format("engine=dpdk: no memory for {} packet buffers ({} MB): {}", buffers,
                            buffers * kObject >> 20, of(rte_errno)));

  for (unsigned worker = 0; worker < shared->workers; ++worker) {
    shared->inboxes.push_back(make_ring(unique("inbox"), kInbox, RING_F_SC_DEQ));
    shared->counts.push_back(std::make_unique<Counts>());
    if (!shared->inboxes.back()) return fail("engine=dpdk: no memory for a ring: " + of(rte_errno));
  }
  shared->kernel_queue = make_ring(unique("kernel"), kKernelQueue, RING_F_SC_DEQ);
  shared->kernel_bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  for (auto& port : *ports) {
    port->outbox = make_ring(unique("outbox"), kOutbox, RING_F_SC_DEQ);
    if (!port->outbox) return fail("engine=dpdk: no memory for a ring: " + of(rte_errno));
    port->index = shared->ports.size();
    EtherPort& placed = *shared->ports.emplace_back(std::move(port));
    // From now on frames may come from it.
    if (placed.id < shared->by_id.size()) shared->by_id[placed.id] = &placed;
    if (auto done = bring_up(placed, shared->pool); !done) return fail(done.error());
    // Without a kernel path, tests name links by DPDK's numbers.
    placed.ifindex = placed.id + 1u;
    placed.vlans.set(settings.vlans);
    if (!settings.has_kernel_path) continue;
    if (auto done = open_tap(placed); !done) return fail(done.error());
  }
  return std::unique_ptr<DpdkEngine>(new DpdkEngine(std::move(shared)));
}

void DpdkEngine::on_threads(const std::function<void()>& task) { on_eal_threads(task); }

void DpdkEngine::serve() {
  Shared& shared = *shared_;
  const NextHops::Publish publish = [&shared](std::uint32_t id, const NextHops::Pair&, const NextHop* hop) {
    Way way;
    if (hop != nullptr) {
      // A VLAN has no device of its own: the frame leaves by the link below it, with a tag.
      const unsigned link = hop->vlan != 0 ? hop->lower_ifindex : hop->ifindex;
      for (const auto& port : shared.ports) {
        if (port->ifindex == link) way.port = port->id;
      }
      way.vlan = hop->vlan;
      way.mtu = static_cast<std::uint16_t>(std::min(hop->mtu, 0xffffu));
      way.source = hop->source;
      way.destination = hop->destination;
    }
    shared.ways.write(id, way);
  };
  // Tests bring ways of their own.
  if (shared.settings.make_hops)
    shared.hops = shared.settings.make_hops(Shared::kHops, publish);
  else
    shared.hops = std::make_unique<NextHops>(Shared::kHops, publish);
  if (shared.settings.has_kernel_path) kernel_path_ = std::make_unique<KernelPath>(shared);
}

unsigned DpdkEngine::workers() const noexcept { return shared_->workers; }

PortProvider& DpdkEngine::provider() noexcept { return *provider_; }

std::unique_ptr<PacketIo> DpdkEngine::make_io(unsigned number) {
  return std::make_unique<DpdkIo>(*shared_, number);
}

DpdkFigures DpdkEngine::figures() const {
  DpdkFigures figures;
  figures.version = rte_version();
  figures.memory = rte_eal_has_hugepages() != 0 ? "hugepages" : "no hugepages";
  figures.iova = rte_eal_iova_mode() == RTE_IOVA_PA ? "physical" : "virtual";
  figures.buffers = shared_->pool->size;
  figures.worker_nodes.assign(shared_->nodes.begin(), shared_->nodes.begin() + shared_->workers);
  bool has_all_queues = true;
  for (const auto& port : shared_->ports) {
    DpdkPortFigures& one = figures.ports.emplace_back();
    one.device = port->device;
    one.driver = port->driver;
    one.kernel_interface = port->tap >= 0 ? port->interface : "";
    one.mac = fmt::format("{:02x}", fmt::join(port->mac, ":"));
    one.numa_node = port->numa_node;
    one.is_virtual = port->is_virtual;
    one.mtu = port->mtu;
    one.rx_queues = port->rx_queues;
    one.tx_queues = port->tx_queues;
    has_all_queues = has_all_queues && port->rx_queues == shared_->workers;
    rte_eth_link link{};
    if (rte_eth_link_get_nowait(port->id, &link) == 0) {
      one.is_up = link.link_status == RTE_ETH_LINK_UP;
      if (link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN) one.speed_mbps = link.link_speed;
    }
    // Bits of a mask, lowest first; DPDK names each one.
    for (std::uint64_t left = port->rx_offloads; left != 0; left &= left - 1)
      one.offloads.emplace_back(fmt::format("rx {}", rte_eth_dev_rx_offload_name(left & (~left + 1))));
    for (std::uint64_t left = port->tx_offloads; left != 0; left &= left - 1)
      one.offloads.emplace_back(fmt::format("tx {}", rte_eth_dev_tx_offload_name(left & (~left + 1))));
    // Asked twice: first for the number. It may change in between; the device is left out then.
    const int count = rte_eth_xstats_get(port->id, nullptr, 0);
    if (count <= 0) continue;
    std::vector<rte_eth_xstat> values(static_cast<std::size_t>(count));
    std::vector<rte_eth_xstat_name> names(values.size());
    if (rte_eth_xstats_get_names(port->id, names.data(), static_cast<unsigned>(count)) != count ||
        rte_eth_xstats_get(port->id, values.data(), static_cast<unsigned>(count)) != count)
      continue;
    for (const rte_eth_xstat& each : values) one.counts.push_back({names[each.id].name, each.value});
  }
  figures.distribution = shared_->workers == 1 ? "one worker"
                         : has_all_queues      ? "by the devices' queues, then by software"
                                               : "by software";
  for (std::size_t i = 0; i < kCountNames.size(); ++i) {
    std::uint64_t sum = shared_->kernel_counts.values[i].load(std::memory_order_relaxed);
    for (const auto& of_worker : shared_->counts) sum += of_worker->values[i].load(std::memory_order_relaxed);
    figures.counts.push_back({std::string(kCountNames[i]), sum});
  }
  return figures;
}

}  // namespace ferry::dpdk
