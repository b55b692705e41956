// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/stream_listener.hpp"

#include "relay/io/portable/socket_address.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace ferry {

namespace {

constexpr int kBacklog = 128;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// Mode of a folder: whoever may use the socket may enter its folder.
mode_t folder_mode(unsigned mode) {
  return static_cast<mode_t>(0700 | ((mode & 0060) != 0 ? 0050 : 0) | ((mode & 0006) != 0 ? 0005 : 0));
}

/// Makes a folder with the folders above it; only the last one gets `mode`.
void make_folder(const std::filesystem::path& folder, mode_t mode) {
  if (folder.empty() || folder == folder.parent_path()) return;
  if (access(folder.c_str(), F_OK) == 0) return;
  make_folder(folder.parent_path(), 0755);
  // If this fails, the socket cannot be made either, and its error tells the reason.
  mkdir(folder.c_str(), mode);
}

void remove_dead_socket(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return;
  if (!S_ISSOCK(info.st_mode)) {
    errno = EEXIST;
    throw_errno(fmt::format("socket path {} is taken by something that is no socket", path));
  }
  const FileDescriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const bool is_alive =
      connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EAGAIN ||  // more clients wait already than it takes
      errno == EACCES;    // a socket of another user is not ours to judge, nor to remove
  if (is_alive) {
    errno = EADDRINUSE;
    throw_errno(fmt::format("another process listens on {}", path));
  }
  unlink(path.c_str());
}

}  // namespace

FileDescriptor listen_on_path(const std::string& path, unsigned mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    throw_errno("socket " + path);
  }
  path.copy(address.sun_path, sizeof address.sun_path - 1);  // the rest is zero
  make_folder(std::filesystem::path(path).parent_path(), folder_mode(mode));
  remove_dead_socket(path, address);
  FileDescriptor listening(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // bind(2) gives the file the mode of the socket less the umask, so it never has more than `mode`. Missing
  // bits are added afterwards.
  struct stat info {};
  if (!listening || fchmod(listening.get(), mode) != 0 ||
      bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      lstat(path.c_str(), &info) != 0 ||
      ((info.st_mode & 07777u) != mode && chmod(path.c_str(), mode) != 0) ||
      listen(listening.get(), kBacklog) != 0)
    throw_errno("socket " + path);
  return listening;
}

FileDescriptor listen_on_tcp(const Endpoint& local) {
  const SocketAddress address(local);
  FileDescriptor listening(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  // Connections inherit both options: dead peers are noticed, and small replies do not wait.
  setsockopt(listening.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(listening.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!listening || setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(listening.get(), address.get(), address.size()) != 0 || listen(listening.get(), kBacklog) != 0)
    throw_errno("control listener tcp " + local.to_string());
  return listening;
}

IpAddress stream_source(const sockaddr* from, int size) {
  if (from->sa_family != AF_INET && from->sa_family != AF_INET6) return IpAddress::v4({127, 0, 0, 1});
  SocketAddress peer;
  std::memcpy(peer.get(), from, static_cast<std::size_t>(size));
  return peer.endpoint().address;
}

}  // namespace ferry
