// SPDX-License-Identifier: Apache-2.0
// What the operator sets of the engine with network ports of its own. This header needs no header of DPDK.
#pragma once

#include "relay/base/address.hpp"
#include "relay/io/packet_buffer.hpp"
#include "relay/netlink/next_hops.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ferry::dpdk {

/// Longest datagram that buffers of this engine hold, in octets. A datagram in several fragments comes by the
/// kernel path, which has the same buffers.
inline constexpr std::size_t kMaxFrameDatagram = 2048;
static_assert(kMaxFrameDatagram <= kMaxDatagram);

/// The operator's settings for this engine.
struct DpdkSettings {
  /// Arguments of DPDK's environment (EAL), without a program's name.
  std::vector<std::string> eal;
  /// An Ethernet device and its TAP interface.
  struct Port {
    /// DPDK's name for it: 0000:01:00.0, net_af_packet0.
    std::string device;
    /// Name of the TAP interface; empty: ferry0, ferry1 … in the order of the ports.
    std::string kernel_interface;
  };
  /// The ports to use. Empty: all that DPDK finds.
  std::vector<Port> ports;
  /// True: a worker without packets sleeps for short times. False: it polls all the time.
  bool sleeps = true;
  /// Number of workers; 0: one for each lcore but the main one.
  unsigned workers = 0;
  /// Packet buffers of all workers together; 0: enough for everything that the workers and queues may hold.
  std::size_t buffers = 0;
  /// Local addresses whose media ports are served.
  std::vector<IpAddress> addresses;

  // The rest is for tests.
  /// False: nothing goes to the kernel, and interface number N of a hop is DPDK's port N - 1.
  bool has_kernel_path = true;
  /// Without a kernel path: the VLANs that the kernel would have on each port.
  std::vector<std::uint16_t> vlans;
  /// Makes the source of hops; empty: the kernel's, `NextHops`.
  std::function<std::unique_ptr<HopSource>(std::uint32_t ids, NextHops::Publish publish)> make_hops;
};

}  // namespace ferry::dpdk
