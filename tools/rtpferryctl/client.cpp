// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryctl/client.hpp"

#include "control/log/printable_json.hpp"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace ferry::ctl {

using nlohmann::json;

Client::~Client() {
  if (fd_ >= 0) close(fd_);
}

std::string Client::error() const { return errno_ != 0 ? std::strerror(errno_) : "is rtpferryd running?"; }

bool Client::connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) {
    errno_ = ENAMETOOLONG;
    return false;
  }
  path_.copy(address.sun_path, sizeof address.sun_path - 1);  // the rest is zero
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ >= 0 && ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return true;
  errno_ = errno;
  return false;
}

std::optional<json> Client::ask(json request) {
  if (fd_ < 0 && !connect()) return std::nullopt;
  if (for_people_) request["printable"] = true;
  const std::string line = to_ascii(std::move(request)) + "\n";
  if (send(fd_, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    errno_ = errno;
    return std::nullopt;
  }
  return next();
}

std::optional<json> Client::next() {
  char piece[16384];
  std::size_t end = 0;
  while ((end = buffer_.find('\n')) == std::string::npos) {
    const ssize_t n = read(fd_, piece, sizeof piece);
    if (n <= 0) {
      errno_ = n < 0 ? errno : 0;
      return std::nullopt;
    }
    buffer_.append(piece, static_cast<std::size_t>(n));
  }
  json parsed = json::parse(buffer_.substr(0, end), nullptr, false);
  buffer_.erase(0, end + 1);
  if (parsed.is_discarded()) return std::nullopt;
  return parsed;
}

}  // namespace ferry::ctl
