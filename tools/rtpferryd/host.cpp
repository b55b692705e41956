// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/host.hpp"

#include "control/log/log.hpp"
#include "control/protocol/http/host_guard.hpp"
#include "relay/base/capabilities.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

namespace ferry {

namespace {

// Calls between two looks at the memory.
constexpr unsigned kCallsBetween = 32;

/// True if `used` octets are within 5 % of `limit`. Freed memory that the allocator keeps counts as free. The
/// allocator walks through all of it to tell its size, so it is asked only if the answer matters.
bool is_near(std::uint64_t used, std::uint64_t limit) {
  const std::uint64_t bound = limit - limit / 20;
  if (used <= bound) return false;
  const std::uint64_t kept = mallinfo2().fordblks;
  return used > kept && used - kept > bound;
}

}  // namespace

PidFile::PidFile(const std::string& path) : path_(path) {
  if (path.empty()) return;
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    throw std::runtime_error(fmt::format("pidfile: '{}' exists and is no regular file", path));
  }
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) throw std::runtime_error(fmt::format("pidfile: cannot write '{}': {}", path, strerror(errno)));
  const std::string text = fmt::format("{}\n", getpid());
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  fstat(fd, &ours_);
  close(fd);
  if (!written) throw std::runtime_error(fmt::format("pidfile: cannot write '{}'", path));
}

PidFile::~PidFile() {
  // The file may lie in a folder of root.
  const RaisedRights raised;
  struct stat now {};
  if (path_.empty() || lstat(path_.c_str(), &now) != 0) return;
  if (S_ISREG(now.st_mode) && now.st_dev == ours_.st_dev && now.st_ino == ours_.st_ino) unlink(path_.c_str());
}

std::size_t wanted_descriptors(const InterfaceSet& interfaces, std::size_t max_clients) {
  // For recordings, listeners and BPF.
  constexpr std::size_t kFiles = 1024;
  std::size_t wanted = kFiles + max_clients;
  for (const auto& logical : interfaces.all()) {
    for (const auto& local : logical.addresses)
      // Two for each pair of ports, and one for a connected socket.
      wanted += local.ports->total() * 3;
  }
  return wanted;
}

void raise_descriptor_limit(const InterfaceSet& interfaces, std::size_t max_clients) {
  const std::size_t wanted = wanted_descriptors(interfaces, max_clients);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return;
  rlimit better = limit;
  better.rlim_cur = wanted;
  better.rlim_max = std::max<rlim_t>(limit.rlim_max, wanted);
  if (setrlimit(RLIMIT_NOFILE, &better) == 0) return;
  better = limit;
  better.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &better);
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted) {
    log::warn("descriptor limit is {}: enough for {} media ports, the port ranges have {}", limit.rlim_cur,
              limit.rlim_cur, wanted);
  }
}

LoadFigures HostLoad::read(std::uint64_t bytes_per_second) {
  LoadFigures figures;
  figures.bytes_per_second = bytes_per_second;
  double average = 0;
  if (getloadavg(&average, 1) == 1) figures.load_average = average;
  std::ifstream stat("/proc/stat");
  std::string cpu;
  std::uint64_t field = 0;
  std::uint64_t total = 0;
  std::uint64_t idle = 0;
  stat >> cpu;
  for (int i = 0; i < 8 && stat >> field; ++i) {
    total += field;
    if (i == 3 || i == 4) idle += field;
  }
  if (total > total_) {
    figures.cpu_percent =
        100.0 * (1.0 - static_cast<double>(idle - idle_) / static_cast<double>(total - total_));
  }
  total_ = total;
  idle_ = idle;
  return figures;
}

MemoryWatch::MemoryWatch() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.starts_with("0::")) group_file_ = "/sys/fs/cgroup" + line.substr(3) + "/memory.max";
  }
}

bool MemoryWatch::is_short() {
  // A look costs some microseconds, so it is not done for every call.
  if (asked_++ % kCallsBetween == 0) short_ = look();
  return short_;
}

bool MemoryWatch::look() const {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  if (!(file >> size >> resident)) return false;
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  if (limit.rlim_cur != RLIM_INFINITY && is_near(size * page, limit.rlim_cur)) return true;
  std::uint64_t group = 0;
  return std::ifstream(group_file_) >> group && is_near(resident * page, group);
}

std::optional<IpAddress> route_to(const IpAddress& peer) {
  const SocketAddress to(Endpoint{peer, UdpPort{9}});
  const int fd = socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  SocketAddress own;
  // Connecting a datagram socket sends nothing: the kernel only looks up the route.
  const bool found =
      connect(fd, to.get(), to.size()) == 0 && getsockname(fd, own.get(), own.size_pointer()) == 0;
  close(fd);
  if (!found) return std::nullopt;
  return own.endpoint().address;
}

std::vector<std::string> host_names() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return {};
  std::ifstream file("/etc/hosts");
  const std::string hosts((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return http::names_of_host(name.data(), hosts);
}

std::vector<std::string> system_interfaces_of(const IpAddress& address) {
  std::vector<std::string> names;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return names;
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    const int family = each->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    SocketAddress known;
    std::memcpy(known.get(), each->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    if (known.endpoint().address == address) names.emplace_back(each->ifa_name);
  }
  freeifaddrs(all);
  return names;
}

}  // namespace ferry
