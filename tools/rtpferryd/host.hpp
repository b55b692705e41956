// What the daemon asks of its host.
#pragma once

#include "control/protocol/ng/service.hpp"
#include "control/session/interfaces.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/stat.h>

namespace ferry {

/// The pid file; removed at the end only if it is still the regular file that we made.
class PidFile {
 public:
  /// Throws std::runtime_error with a sentence. An empty path: none.
  explicit PidFile(const std::string& path);
  ~PidFile();
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

 private:
  std::string path_;
  struct stat ours_ {};
};

/// For all media ports: each call needs four, and two more once its peers are locked.
std::size_t wanted_descriptors(const InterfaceSet& interfaces, std::size_t max_clients);

/// As many descriptors as the kernel allows.
void raise_descriptor_limit(const InterfaceSet& interfaces, std::size_t max_clients);

/// Share of CPU time the host spent working since the last call, and the load average.
class HostLoad {
 public:
  LoadFigures read(std::uint64_t bytes_per_second);

 private:
  std::uint64_t total_ = 0;
  std::uint64_t idle_ = 0;
};

/// Whether this process comes near what it may use: its address space limit or its control group's.
class MemoryWatch {
 public:
  MemoryWatch();
  /// For each new call: looks at some of them.
  bool is_short();

 private:
  [[nodiscard]] bool look() const;

  std::string group_file_;
  unsigned asked_ = 0;
  bool short_ = false;
};

/// The host's own address on the way to `peer`.
std::optional<IpAddress> route_to(const IpAddress& peer);

/// What this host is called: for HTTP clients (CTL-13).
std::vector<std::string> host_names();

/// Names of the system's interfaces that have `address`.
std::vector<std::string> system_interfaces_of(const IpAddress& address);

}  // namespace ferry
