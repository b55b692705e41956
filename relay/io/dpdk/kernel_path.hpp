// SPDX-License-Identifier: Apache-2.0
// Carries everything that is not media between DPDK's ports and the kernel, by one TAP interface for each
// port. Internal: needs DPDK's headers.
#pragma once

#include "relay/base/result.hpp"
#include "relay/io/dpdk/shared.hpp"

#include <string>
#include <thread>

namespace ferry::dpdk {

/// Opens the TAP interface of `port` under its name, creates it if it is missing, and gives it the port's MAC
/// address and MTU. Addresses and routes are left to the operator. The error is a sentence for the operator.
Result<void, std::string> open_tap(EtherPort& port);

/// The thread between the ports and the kernel, so that no worker waits for the kernel. It also tells the
/// kernel when a link comes up or goes down, and learns which VLANs the kernel has on it.
class KernelPath {
 public:
  /// Starts the thread. `shared` outlives it. Throws std::system_error.
  explicit KernelPath(Shared& shared);
  ~KernelPath();
  KernelPath(const KernelPath&) = delete;
  KernelPath& operator=(const KernelPath&) = delete;

 private:
  void run();
  /// Writes the frames that workers have queued to the TAP interfaces.
  void to_kernel();
  /// Puts frames of the kernel into the outbox of `port`.
  void from_kernel(EtherPort& port);
  /// Passes links and VLANs on in both directions.
  void watch_links();

  Shared& shared_;
  RouteQuery links_;
  /// For each link: the kernel was told that it is up.
  std::vector<bool> is_up_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace ferry::dpdk
