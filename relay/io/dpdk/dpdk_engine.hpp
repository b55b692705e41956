// SPDX-License-Identifier: Apache-2.0
// The engine for hosts that give the relay network ports of its own (DPDK). This header needs no header of
// DPDK.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"
#include "relay/io/dpdk/settings.hpp"
#include "relay/io/engine.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::dpdk {

/// A counter and its name.
struct DpdkCount {
  std::string name;
  std::uint64_t value = 0;
};

/// Figures of one port, for the operator.
struct DpdkPortFigures {
  std::string device;
  std::string driver;
  std::string kernel_interface;
  std::string mac;
  /// -1: the device does not say.
  int numa_node = -1;
  /// True if the driver is software, without a device on a bus of the host.
  bool is_virtual = false;
  /// Longest IP packet, in octets.
  unsigned mtu = 0;
  unsigned rx_queues = 0;
  unsigned tx_queues = 0;
  bool is_up = false;
  /// 0: unknown.
  unsigned speed_mbps = 0;
  /// Checksums that the device computes or checks, by DPDK's names.
  std::vector<std::string> offloads;
  /// Counters of the device and its queues, by DPDK's names.
  std::vector<DpdkCount> counts;
};

/// Figures of the engine, for the operator.
struct DpdkFigures {
  std::vector<DpdkPortFigures> ports;
  /// Frames by what became of them, all workers together; the names are those of metrics.
  std::vector<DpdkCount> counts;
  /// DPDK's version.
  std::string version;
  /// "hugepages" or "no hugepages".
  std::string memory;
  /// How devices see the memory: "physical" or "virtual" addresses.
  std::string iova;
  /// Packet buffers of all workers.
  std::size_t buffers = 0;
  /// NUMA nodes of the lcores that workers run on; -1: not known.
  std::vector<int> worker_nodes;
  /// How a packet gets to the worker of its call, in words.
  std::string distribution;
};

struct Shared;
class KernelPath;

/// DPDK in this process: there can be only one. The control thread makes and uses it, except for what
/// `make_io` returns. Everything that it made must be gone before it.
class DpdkEngine final : public Engine {
 public:
  /// Starts the environment and the ports. Needs the rights that the devices and TAP interfaces need. `log`
  /// gets DPDK's own lines, on any thread. The error is a sentence for the operator.
  static Result<std::unique_ptr<DpdkEngine>, std::string> start(const DpdkSettings& settings,
                                                                std::function<void(std::string_view)> log);
  ~DpdkEngine() override;
  DpdkEngine(const DpdkEngine&) = delete;
  DpdkEngine& operator=(const DpdkEngine&) = delete;

  [[nodiscard]] bool owns_ports() const override { return true; }
  /// The threads are those of DPDK's environment, lcores and interrupt thread; waits for all of them.
  void on_threads(const std::function<void()>& task) override;
  /// Starts the threads that watch routes and carry the kernel's frames.
  void serve() override;

  [[nodiscard]] unsigned workers() const noexcept override;
  [[nodiscard]] PortProvider& provider() noexcept override;
  [[nodiscard]] std::unique_ptr<PacketIo> make_io(unsigned number) override;
  /// The figures of now. Asks the devices, so not for every packet.
  [[nodiscard]] DpdkFigures figures() const;

 private:
  explicit DpdkEngine(std::unique_ptr<Shared> shared);

  std::unique_ptr<Shared> shared_;
  std::unique_ptr<PortProvider> provider_;
  std::unique_ptr<KernelPath> kernel_path_;
};

}  // namespace ferry::dpdk
