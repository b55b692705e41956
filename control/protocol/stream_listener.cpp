#include "control/protocol/stream_listener.hpp"

#include "relay/io/portable/socket_address.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace ferry {

namespace {

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void prepare_socket_path(const std::string& path, const sockaddr_un& address) {
  const std::filesystem::path file(path);
  if (file.has_parent_path()) {
    std::error_code ignored;
    std::filesystem::create_directories(file.parent_path(), ignored);
  }
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return;
  if (!S_ISSOCK(info.st_mode)) {
    errno = EEXIST;
    throw_errno(fmt::format("socket path {} is taken by something that is no socket", path));
  }
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool alive =
      probe >= 0 && connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (probe >= 0) ::close(probe);
  if (alive) {
    errno = EADDRINUSE;
    throw_errno(fmt::format("another process listens on {}", path));
  }
  unlink(path.c_str());
}

}  // namespace

StreamListener listen_on_path(event_base* base, const std::string& path, evconnlistener_cb accept,
                              void* self) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    throw_errno("socket " + path);
  }
  path.copy(address.sun_path, sizeof address.sun_path - 1);  // the rest is zero
  prepare_socket_path(path, address);
  StreamListener listener(evconnlistener_new_bind(base, accept, self,
                                                  LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 128,
                                                  reinterpret_cast<sockaddr*>(&address), sizeof address));
  if (!listener) throw_errno("socket " + path);
  chmod(path.c_str(), 0660);
  return listener;
}

StreamListener listen_on_tcp(event_base* base, const Endpoint& local, evconnlistener_cb accept, void* self) {
  const SocketAddress address(local);
  StreamListener listener(evconnlistener_new_bind(
      base, accept, self, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 128,
      address.get(), static_cast<int>(address.size())));
  if (!listener) throw_errno("control listener tcp " + local.to_string());
  return listener;
}

IpAddress stream_source(const sockaddr* from, int size) {
  if (from->sa_family != AF_INET && from->sa_family != AF_INET6) return IpAddress::v4({127, 0, 0, 1});
  SocketAddress peer;
  std::memcpy(peer.get(), from, static_cast<std::size_t>(size));
  return peer.endpoint().address;
}

}  // namespace ferry
