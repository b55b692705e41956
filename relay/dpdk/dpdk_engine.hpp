// The engine for hosts that give the relay network ports of its own (DPDK). Needs no DPDK header.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"
#include "relay/io/packet_io.hpp"
#include "relay/io/port_provider.hpp"
#include "relay/netlink/next_hops.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::dpdk {

/// Longest datagram that buffers of this engine hold. Those that need more than one frame come by the kernel
/// path, which has the same buffers.
inline constexpr std::size_t kMaxFrameDatagram = 2048;
static_assert(kMaxFrameDatagram <= kMaxDatagram);

struct DpdkSettings {
  /// Arguments of DPDK's environment (EAL), without a program's name.
  std::vector<std::string> eal;
  struct Port {
    std::string device;            // as DPDK names it: 0000:01:00.0, net_af_packet0
    std::string kernel_interface;  // empty: ferry0, ferry1, … in order
  };
  /// Empty: all that DPDK finds.
  std::vector<Port> ports;
  /// A worker without packets sleeps for short times, else it polls always.
  bool sleeps = true;
  /// 0: one for each lcore but the main one.
  unsigned workers = 0;
  /// Packet buffers of all workers together; 0: enough for what they may hold.
  std::size_t buffers = 0;
  /// Whose media ports are served.
  std::vector<IpAddress> addresses;

  // For tests.
  /// Without it nothing goes to the kernel and interface number N of a hop is DPDK's port N - 1.
  bool has_kernel_path = true;
  /// What the kernel would have on each port then.
  std::vector<std::uint16_t> vlans;
  std::function<std::unique_ptr<HopSource>(std::uint32_t ids, NextHops::Publish publish)> make_hops;
};

struct DpdkCount {
  std::string name;
  std::uint64_t value = 0;
};

struct DpdkPortFigures {
  std::string device;
  std::string driver;
  std::string kernel_interface;
  std::string mac;
  int numa_node = -1;  // -1: the device does not say
  /// No device of the host's bus: the driver is software.
  bool is_virtual = false;
  unsigned mtu = 0;
  unsigned rx_queues = 0;
  unsigned tx_queues = 0;
  bool is_up = false;
  unsigned speed_mbps = 0;  // 0: unknown
  /// What the device computes or checks.
  std::vector<std::string> offloads;
  /// Of the device and its queues, as DPDK names them.
  std::vector<DpdkCount> counts;
};

struct DpdkFigures {
  std::vector<DpdkPortFigures> ports;
  /// Of the engine: what became of frames, all workers together.
  std::vector<DpdkCount> counts;
  std::string version;
  std::string memory;  // "hugepages" or "no hugepages"
  std::string iova;
  std::size_t buffers = 0;
  /// Of the lcores that the workers run on; -1: not known.
  std::vector<int> worker_nodes;
  /// How a packet comes to the worker of its call.
  std::string distribution;
};

struct Shared;
class KernelPath;

/// One per process: DPDK allows no second. Made and used by the control thread, but for what `make_io`
/// returns. What it made dies before it.
class DpdkEngine {
 public:
  /// Starts the environment and the ports; needs the rights that the devices and TAP interfaces need. `log`
  /// gets DPDK's own lines. Fails with a sentence for the operator.
  static Result<std::unique_ptr<DpdkEngine>, std::string> start(const DpdkSettings& settings,
                                                                std::function<void(std::string_view)> log);
  ~DpdkEngine();
  DpdkEngine(const DpdkEngine&) = delete;
  DpdkEngine& operator=(const DpdkEngine&) = delete;

  /// Runs `task` once on each thread of the environment, for what belongs to a thread, as capabilities do.
  void on_threads(const std::function<void()>& task);
  /// Starts the threads of its own: routes are watched, and the kernel gets what is its own. Needs no rights.
  /// Throws std::system_error.
  void serve();

  [[nodiscard]] unsigned workers() const noexcept;
  [[nodiscard]] PortProvider& provider() noexcept;
  /// For worker `number`, the first is 0. After `serve`.
  [[nodiscard]] std::unique_ptr<PacketIo> make_io(unsigned number);
  [[nodiscard]] DpdkFigures figures() const;

 private:
  explicit DpdkEngine(std::unique_ptr<Shared> shared);

  std::unique_ptr<Shared> shared_;
  std::unique_ptr<PortProvider> provider_;
  std::unique_ptr<KernelPath> kernel_path_;
};

}  // namespace ferry::dpdk
