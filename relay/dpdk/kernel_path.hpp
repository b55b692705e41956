// The way of everything that is not media: between DPDK's ports and the kernel, by a TAP interface each.
// Internal: needs DPDK's headers.
#pragma once

#include "relay/base/result.hpp"
#include "relay/dpdk/shared.hpp"

#include <string>
#include <thread>

namespace ferry::dpdk {

/// Opens the TAP interface of `port` under its name, makes it where it is missing, and gives it the port's
/// MAC address and MTU. Addresses and routes are the operator's. Fails with a sentence.
Result<void, std::string> open_tap(EtherPort& port);

/// A thread of its own, so that no worker waits for the kernel. Also tells the kernel when a link comes and
/// goes, and learns which VLANs it has.
class KernelPath {
 public:
  /// Throws std::system_error.
  explicit KernelPath(Shared& shared);
  ~KernelPath();
  KernelPath(const KernelPath&) = delete;
  KernelPath& operator=(const KernelPath&) = delete;

 private:
  void run();
  /// Frames of the workers.
  void to_kernel();
  void from_kernel(EtherPort& port);
  void watch_links();

  Shared& shared_;
  RouteQuery links_;
  std::vector<bool> is_up_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace ferry::dpdk
