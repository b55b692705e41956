// SPDX-License-Identifier: Apache-2.0
// Asks the host for what the daemon needs: pid file, descriptors, load, memory, routes and names.
#pragma once

#include "control/ports/interfaces.hpp"
#include "control/protocol/ng/service.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/stat.h>

namespace ferry {

/// The pid file. At the end it is removed only if it is still the regular file that this object made.
class PidFile {
 public:
  /// Writes the file. An empty path: there is none. Throws std::runtime_error with a sentence.
  explicit PidFile(const std::string& path);
  ~PidFile();
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

 private:
  std::string path_;
  struct stat ours_ {};
};

/// Number of descriptors for all media ports, all control connections and files. A pair of ports may need one
/// more for a connected socket.
std::size_t wanted_descriptors(const InterfaceSet& interfaces, std::size_t max_clients);

/// Raises the limit of descriptors to that number, or as far as the kernel allows; then it logs a warning.
void raise_descriptor_limit(const InterfaceSet& interfaces, std::size_t max_clients);

/// Measures the share of CPU time that the host spent working since the last call, and the load average.
/// Control thread only.
class HostLoad {
 public:
  /// Measures now. `bytes_per_second` is passed on in the result.
  LoadFigures read(std::uint64_t bytes_per_second);

 private:
  std::uint64_t total_ = 0;
  std::uint64_t idle_ = 0;
};

/// Watches whether this process comes near the memory that it may use: the limit of its address space or of
/// its control group. Control thread only.
class MemoryWatch {
 public:
  MemoryWatch();
  /// True if memory is short. Call it for each new call: it looks at every 32nd one, because a look costs
  /// some microseconds.
  bool is_short();

 private:
  [[nodiscard]] bool look() const;

  std::string group_file_;
  unsigned asked_ = 0;
  bool short_ = false;
};

/// The host's own address on the way to `peer`; nothing if there is no route. Sends nothing.
std::optional<IpAddress> route_to(const IpAddress& peer);

/// Names of this host, for HTTP clients (CTL-13).
std::vector<std::string> host_names();

/// Names of the system's network interfaces that have `address`.
std::vector<std::string> system_interfaces_of(const IpAddress& address);

}  // namespace ferry
