#include "control/protocol/ng/listeners.hpp"

#include "control/protocol/ng/json_codec.hpp"
#include "relay/base/random.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace ferry::ng {

namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kMaxDatagramSize = 65'535;
constexpr int kReceiveBuffer = 8 * 1024 * 1024;
/// That many full batches in a row without a pause: requests come faster than they are served (CTL-5).
constexpr unsigned kOverloadBatches = 16;
constexpr std::size_t kMaxMessage = 256 * 1024;  // CTL-4
constexpr std::size_t kMaxConnections = 1024;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

struct UdpListener::Batch {
  static constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(in6_pktinfo));
  std::array<std::vector<char>, kBatch> data;
  std::array<SocketAddress, kBatch> peer;
  std::array<std::array<char, kControlSize>, kBatch> control{};
  std::array<iovec, kBatch> iov{};
  std::array<mmsghdr, kBatch> header{};
  std::array<std::string, kBatch> reply;
};

UdpListener::UdpListener(event_base* base, const Endpoint& local, NgService& service, SessionManager& manager,
                         AccessList& access, std::function<Clock()> clock, std::uint8_t tos)
    : service_(service),
      manager_(manager),
      access_(access),
      clock_(std::move(clock)),
      batch_(std::make_unique<Batch>()) {
  const SocketAddress address(local);
  socket_ = socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) throw_errno("NG listener " + local.to_string());
  const int on = 1;
  const bool v6 = local.address.is_v6();
  if (v6) setsockopt(socket_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  setsockopt(socket_, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on);
  if (setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) != 0) {
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  }
  if (tos != 0) {
    const int value = tos;
    setsockopt(socket_, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &value, sizeof value);
  }
  if (bind(socket_, address.get(), address.size()) != 0) {
    const int error = errno;
    ::close(socket_);
    errno = error;
    throw_errno("NG listener " + local.to_string());
  }
  for (auto& buffer : batch_->data) buffer.resize(kMaxDatagramSize);
  event_.reset(event_new(
      base, socket_, EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<UdpListener*>(self)->on_readable(); }, this));
  event_add(event_.get(), nullptr);
}

UdpListener::~UdpListener() {
  event_.reset();
  if (socket_ >= 0) ::close(socket_);
}

Endpoint UdpListener::local() const {
  SocketAddress address;
  getsockname(socket_, address.get(), address.size_pointer());
  return address.endpoint();
}

void UdpListener::on_readable() {
  for (unsigned batches = 1; serve_batch() == kBatch; ++batches) {
    service_.set_overloaded(batches >= kOverloadBatches);
    // Timers and other listeners get their turn; what is left wakes us again at once.
    if (batches == kOverloadBatches * 4) return;
  }
  service_.set_overloaded(false);
}

std::size_t UdpListener::serve_batch() {
  Batch& b = *batch_;
  for (std::size_t i = 0; i < kBatch; ++i) {
    b.peer[i] = SocketAddress();
    b.iov[i] = {b.data[i].data(), b.data[i].size()};
    b.header[i].msg_hdr = {b.peer[i].get(),     b.peer[i].size(),    &b.iov[i], 1,
                           b.control[i].data(), Batch::kControlSize, 0};
  }
  const int received = recvmmsg(socket_, b.header.data(), kBatch, MSG_DONTWAIT, nullptr);
  if (received <= 0) return 0;
  const auto count = static_cast<std::size_t>(received);
  const Clock clock = clock_();
  std::size_t replies = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const IpAddress source = b.peer[i].endpoint().address;
    if (!access_.admit(source, clock.now)) {
      ++refused_;
      continue;
    }
    auto reply = service_.handle({b.data[i].data(), b.header[i].msg_len}, source);
    if (!reply) continue;
    // The received header with its pktinfo serves as the header of the reply: same peer, same local address.
    b.reply[replies] = std::move(*reply);
    mmsghdr header = b.header[i];
    header.msg_hdr.msg_flags = 0;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header.msg_hdr); c != nullptr; c = CMSG_NXTHDR(&header.msg_hdr, c)) {
      if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        // The kernel fills in ipi_addr (destination); ipi_spec_dst is what a sender sets.
        auto* info = reinterpret_cast<in_pktinfo*>(CMSG_DATA(c));
        info->ipi_spec_dst = info->ipi_addr;
        info->ipi_ifindex = 0;
      } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        auto* info = reinterpret_cast<in6_pktinfo*>(CMSG_DATA(c));
        if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr)) info->ipi6_ifindex = 0;
      }
    }
    b.header[replies] = header;
    ++replies;
  }
  manager_.flush(clock);
  for (std::size_t i = 0; i < replies; ++i) {
    b.iov[i] = {b.reply[i].data(), b.reply[i].size()};
    b.header[i].msg_hdr.msg_iov = &b.iov[i];
  }
  for (std::size_t sent = 0; sent < replies;) {
    const int n = sendmmsg(socket_, b.header.data() + sent, static_cast<unsigned>(replies - sent), 0);
    sent += n > 0 ? static_cast<std::size_t>(n) : 1;  // a reply that cannot be sent is asked for again
  }
  return count;
}

struct StreamServer::Connection {
  StreamServer* server = nullptr;
  bufferevent* stream = nullptr;
  IpAddress source;
};

namespace {

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

StreamServer::StreamServer(event_base* base, const Endpoint& local, NgService& service,
                           SessionManager& manager, AccessList& access, std::function<Clock()> clock)
    : base_(base), service_(service), manager_(manager), access_(access), clock_(std::move(clock)) {
  const SocketAddress address(local);
  listener_.reset(evconnlistener_new_bind(base, on_accept, this,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                          128, address.get(), static_cast<int>(address.size())));
  if (!listener_) throw_errno("NG listener tcp " + local.to_string());
}

StreamServer::StreamServer(event_base* base, const std::string& path, NgService& service,
                           SessionManager& manager, AccessList& access, std::function<Clock()> clock)
    : listener_(listen_on_path(base, path, on_accept, this)),
      base_(base),
      unlink_path_(path),
      service_(service),
      manager_(manager),
      access_(access),
      clock_(std::move(clock)) {}

StreamServer::~StreamServer() {
  while (!connections_.empty()) close(*connections_.front());
  if (!unlink_path_.empty()) unlink(unlink_path_.c_str());
}

void StreamServer::on_accept(evconnlistener*, evutil_socket_t fd, sockaddr* from, int from_size, void* self) {
  SocketAddress peer;
  const bool is_ip = from->sa_family == AF_INET || from->sa_family == AF_INET6;
  if (is_ip) std::memcpy(peer.get(), from, static_cast<std::size_t>(from_size));
  // A peer on a Unix socket is this host.
  static_cast<StreamServer*>(self)->accept(fd,
                                           is_ip ? peer.endpoint().address : IpAddress::v4({127, 0, 0, 1}));
}

void StreamServer::accept(int fd, const IpAddress& source) {
  if (connections_.size() >= kMaxConnections || !access_.admit(source, clock_().now)) {
    ::close(fd);
    return;
  }
  auto connection = std::make_unique<Connection>();
  connection->server = this;
  connection->source = source;
  connection->stream = bufferevent_socket_new(base_, fd, BEV_OPT_CLOSE_ON_FREE);
  bufferevent_setcb(
      connection->stream,
      [](bufferevent*, void* c) { static_cast<Connection*>(c)->server->serve(*static_cast<Connection*>(c)); },
      nullptr,
      [](bufferevent*, short what, void* c) {
        if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) != 0) {
          static_cast<Connection*>(c)->server->close(*static_cast<Connection*>(c));
        }
      },
      connection.get());
  bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
  connections_.push_back(std::move(connection));
}

void StreamServer::serve(Connection& connection) {
  evbuffer* input = bufferevent_get_input(connection.stream);
  while (evbuffer_get_length(input) > 0) {
    const std::size_t available = evbuffer_get_length(input);
    const std::string_view text(reinterpret_cast<const char*>(evbuffer_pullup(input, -1)), available);
    const auto blank = text.find(' ');
    if (blank == std::string_view::npos || blank + 1 == text.size()) {
      if (available > 1024 && blank == std::string_view::npos)
        return close(connection);  // no cookie is that long
      return;
    }
    const std::string_view document = text.substr(blank + 1);
    std::size_t size = 0;
    if (document.front() == '{') {
      const auto end = json_document_size(document);
      if (end)
        size = *end;
      else if (end.error() != DecodeError::kIncomplete)
        size = document.size();
    } else {
      const auto decoded = decode_bencode(document);
      if (decoded)
        size = decoded->size;
      else if (decoded.error() != DecodeError::kIncomplete)
        size = document.size();
    }
    if (size == 0) {
      if (available > kMaxMessage + 1024) close(connection);
      return;  // the rest has not come yet
    }
    // Where a broken document ends nobody knows: answer it and give the stream up.
    const bool broken = size == document.size() && document.front() != '{' && !decode_bencode(document);
    const auto reply = service_.handle(text.substr(0, blank + 1 + size), connection.source);
    manager_.flush(clock_());
    if (reply) bufferevent_write(connection.stream, reply->data(), reply->size());
    evbuffer_drain(input, blank + 1 + size);
    if (broken) {
      evbuffer_write(bufferevent_get_output(connection.stream), bufferevent_getfd(connection.stream));
      return close(connection);
    }
  }
}

void StreamServer::broadcast(const Dict& message) {
  const std::string text = random_hex(16) + " " + encode_bencode(Value(message));
  for (const auto& connection : connections_) bufferevent_write(connection->stream, text.data(), text.size());
}

void StreamServer::close(Connection& connection) {
  bufferevent_free(connection.stream);
  connections_.remove_if([&](const auto& each) { return each.get() == &connection; });
}

}  // namespace ferry::ng
