// SPDX-License-Identifier: Apache-2.0
// The portable engine: one UDP socket for each port, one epoll for each worker.
//
// Receiving: `wait` asks epoll which sockets have something; `receive` takes one datagram from each of them.
// epoll is level-triggered, so a socket with more datagrams is reported again by the next `wait`, and no port
// can starve the others. A port that many peers share is read until the batch is full: each of them is as
// important as the peer of a port of its own. What did not fit a batch stays in `ready_` for the next call.
//
// Sending: once a peer is locked, a second socket is connected to it beside the port, and media leaves by
// `send` without an address. The kernel then looks the route up once instead of for every packet
// (docs/adr/0002). The datagrams of that peer also arrive there, because the kernel prefers a connected
// socket; so the engine receives from both under the same cookie. Everything else leaves by `sendto` from the
// port itself.
//
// Traps:
// - What the peer has sent before the second socket is there waits in the port's own one, and would leave
// behind
//   what comes to the second. So the engine connects at a moment at which nothing waits.
// - The kernel reuses descriptor numbers at once. A ready event may be for a descriptor that was detached
//   after the wait; `Port::attached` decides, and the next `wait` sorts it out.
// - Linux reports an ICMP error of an earlier datagram as the result of the next `send`. So a failed `send`
//   is tried once more: only the second result is about this datagram.
// - Nobody calls `attach` and `detach` but the worker whose port it is; a call moves to another worker by
//   detach here and attach there, and datagrams wait in the socket in between.
#include "relay/io/portable/portable_io.hpp"

#include "relay/base/memory.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry {

namespace {

/// Packets that leave without a connected socket while datagrams wait. Then it is opened all the same: a
/// flood of strangers must not keep the faster path from the peer.
constexpr std::uint8_t kMostPostponed = 50;

/// True if a datagram waits in a socket.
bool has_waiting(int fd) noexcept {
  char octet = 0;
  return recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

// Sets the DSCP and ECN octet of what leaves a socket.
void set_mark(int fd, AddressFamily family, std::uint8_t tos) noexcept {
  const int value = tos;
  if (family == AddressFamily::kIpv4) {
    setsockopt(fd, IPPROTO_IP, IP_TOS, &value, sizeof value);
  } else {
    setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value);
  }
}

// Reads the octet back from the port's socket, so that its connected twin gets the same one.
std::uint8_t mark_of(int fd, AddressFamily family) noexcept {
  int tos = 0;
  socklen_t length = sizeof tos;
  const bool v6 = family == AddressFamily::kIpv6;
  getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &tos, &length);
  return static_cast<std::uint8_t>(std::max(tos, 0));
}

/// Asks the kernel to keep ICMP errors with the destination they are about (IP_RECVERR, ip(7)). Otherwise it
/// would only report that some datagram of the socket failed.
void hear_errors(int fd, AddressFamily family) noexcept {
  const int on = 1;
  if (family == AddressFamily::kIpv4)
    setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
  else
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
}

SendError send_error_of(int error) noexcept {
  switch (error) {
    case ECONNREFUSED:
      return SendError::kPortUnreachable;
    case EHOSTUNREACH:
    case EHOSTDOWN:
      return SendError::kHostUnreachable;
    case ENETUNREACH:
    case ENETDOWN:
      return SendError::kNoRoute;
    case EPERM:
    case EACCES:
      return SendError::kNotPermitted;
    case EAFNOSUPPORT:
      return SendError::kWrongFamily;
    case EMSGSIZE:
      return SendError::kTooLong;
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN:
      return SendError::kNoBuffers;
    default:
      return SendError::kOther;
  }
}

/// Translates an ICMP error. `is_own`: this host reported it itself, because nobody answered for the next hop
/// (ARP, neighbour discovery).
SendError send_error_of(const sock_extended_err& error, bool is_own) noexcept {
  const bool v4 = error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH;
  const bool v6 = error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == ICMP6_DST_UNREACH;
  if (!v4 && !v6) return send_error_of(static_cast<int>(error.ee_errno));
  if (error.ee_code == (v4 ? ICMP_PORT_UNREACH : ICMP6_DST_UNREACH_NOPORT))
    return SendError::kPortUnreachable;
  if (v4 && error.ee_code == ICMP_FRAG_NEEDED) return SendError::kTooLong;
  const bool on_link = error.ee_code == (v4 ? ICMP_HOST_UNREACH : ICMP6_DST_UNREACH_ADDR);
  return is_own && on_link ? SendError::kNoNeighbour : SendError::kHostUnreachable;
}

/// Translates an error of `socket` or `bind`.
PortError port_error(int error) {
  switch (error) {
    case EADDRINUSE:
      return PortError::kInUse;
    case EADDRNOTAVAIL:
      return PortError::kNoAddress;
    case EMFILE:
    case ENFILE:
      return PortError::kNoDescriptors;
    case ENOMEM:
    case ENOBUFS:
      return PortError::kNoMemory;
    default:
      return PortError::kOther;
  }
}

}  // namespace

Result<PortHandle, PortError> PortableProvider::activate(const Endpoint& local, std::uint8_t tos) {
  const SocketAddress address(local);
  const int fd = socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(port_error(errno));
  const PortHandle port{fd};
  if (bind(fd, address.get(), address.size()) != 0) {
    const int error = errno;
    close(fd);
    return fail(port_error(error));
  }
  // Zero is the kernel's default, and a system call for each port is felt at set-up.
  if (tos != 0) set_tos(port, local.address.family(), tos);
  return port;
}

Result<std::vector<PortHandle>, PortError> PortableProvider::activate_shared(const Endpoint& local,
                                                                             std::uint8_t tos,
                                                                             std::size_t workers) {
  std::vector<PortHandle> ports;
  const SocketAddress address(local);
  // The sum of all calls arrives here, so the buffer is as large as the host allows (net.core.rmem_max).
  constexpr int kBuffer = 8 << 20;
  const int on = 1;
  for (std::size_t i = 0; i < workers; ++i) {
    // The first one is bound alone, so that a port of another process is found to be in use.
    const auto port = i == 0 ? activate(local, tos) : [&]() -> Result<PortHandle, PortError> {
      const int fd = socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd < 0) return fail(port_error(errno));
      setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
      if (bind(fd, address.get(), address.size()) != 0) {
        const int error = errno;
        close(fd);
        return fail(port_error(error));
      }
      if (tos != 0) set_mark(fd, local.address.family(), tos);
      return PortHandle{fd};
    }();
    if (!port) {
      for (const PortHandle each : ports) close(each.native);
      return fail(port.error());
    }
    if (i == 0 && workers > 1) setsockopt(port->native, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(port->native, SOL_SOCKET, SO_RCVBUF, &kBuffer, sizeof kBuffer);
    ports.push_back(*port);
  }
  return ports;
}

void PortableProvider::release(PortHandle port) {
  if (connected_) connected_->close(port);
  close(port.native);
}

void PortableProvider::set_tos(PortHandle port, AddressFamily family, std::uint8_t tos) {
  set_mark(port.native, family, tos);
  if (const int connected = connected_ ? connected_->of(port) : -1; connected >= 0) {
    set_mark(connected, family, tos);
  }
}

ConnectedSockets::ConnectedSockets() {
  // Indexed by descriptor, so as large as the process may have descriptors. Pages that are never touched take
  // no memory.
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  size_ = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 22));
  twins_.reset(static_cast<int*>(std::calloc(static_cast<std::size_t>(size_), sizeof(int))));
  if (!twins_) size_ = 0;
}

int ConnectedSockets::open_beside(PortHandle port) const noexcept {
  SocketAddress local;
  if (getsockname(port.native, local.get(), local.size_pointer()) != 0) return -1;
  const int fd = socket(local.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  // The kernel lets a second socket bind to the port only if both have SO_REUSEPORT set. Both set it just for
  // this moment. Otherwise another process of this user could join the port, and `activate` could not see
  // that a port is in use.
  const auto share = [](int socket, int value) {
    return setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value) == 0;
  };
  const bool bound = share(port.native, 1) && share(fd, 1) && bind(fd, local.get(), local.size()) == 0;
  share(port.native, 0);
  share(fd, 0);
  // The kernel gives out the lowest free descriptor, so a high number means that few are left. The last
  // quarter is for the ports of new calls; existing ones do without the faster path.
  if (!bound || fd >= size_ / 4 * 3) {
    ::close(fd);
    return -1;
  }
  const AddressFamily family = local.endpoint().address.family();
  hear_errors(fd, family);
  if (const std::uint8_t tos = mark_of(port.native, family); tos != 0) set_mark(fd, family, tos);
  return fd;
}

int ConnectedSockets::connect_to(PortHandle port, const Endpoint& peer) noexcept {
  if (!covers(port.native)) return -1;
  int fd = of(port);
  if (fd < 0) fd = open_beside(port);
  if (fd < 0) return -1;
  const SocketAddress to(peer);
  if (connect(fd, to.get(), to.size()) != 0) {
    ::close(fd);
    fd = -1;
  }
  // Also after a failure: a socket that was connected to the former peer must not be used for this one.
  element(port).store(fd + 1, std::memory_order_relaxed);
  return fd;
}

void ConnectedSockets::close(PortHandle port) noexcept {
  const int fd = of(port);
  if (fd < 0) return;
  element(port).store(0, std::memory_order_relaxed);
  ::close(fd);
}

PortableIo::PortableIo(std::shared_ptr<ConnectedSockets> connected, std::size_t buffers)
    : PortableIo(std::move(connected), std::make_unique<PacketPool>(buffers)) {}

PortableIo::PortableIo(std::shared_ptr<ConnectedSockets> connected, std::unique_ptr<PacketPool> pool)
    : PortableIo(std::move(connected), *pool) {
  pool_ = std::move(pool);
}

PortableIo::PortableIo(std::shared_ptr<ConnectedSockets> connected, PacketStock& stock)
    : connected_(std::move(connected)), stock_(stock) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  event_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (epoll_ < 0 || event_ < 0) throw std::system_error(errno, std::generic_category(), "epoll/eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = event_;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event);
}

PortableIo::~PortableIo() {
  if (epoll_ >= 0) close(epoll_);
  if (event_ >= 0) close(event_);
}

bool PortableIo::watch(int fd, std::uint64_t cookie) {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= ports_.size() && !had_memory([&] { ports_.resize(index + 64); })) return false;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) return false;
  // The descriptor may have belonged to another port before: nothing of that entry may stay.
  ports_[index] = Port{};
  ports_[index].cookie = cookie;
  ports_[index].attached = true;
  return true;
}

void PortableIo::unwatch(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= ports_.size() || !ports_[index].attached) return;
  ports_[index].attached = false;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

bool PortableIo::attach(PortHandle port, std::uint64_t cookie) noexcept {
  if (!watch(port.native, cookie)) return false;
  // The port came from another worker, where it was connected. Datagrams of the peer arrive at that socket:
  // if it cannot be heard here, it must go, so that they arrive at the port again.
  const int connected = connected_ ? connected_->of(port) : -1;
  if (connected >= 0 && !watch(connected, cookie)) connected_->close(port);
  return true;
}

void PortableIo::detach(PortHandle port) noexcept {
  unwatch(port.native);
  if (const int connected = connected_ ? connected_->of(port) : -1; connected >= 0) unwatch(connected);
}

void PortableIo::expect_many(PortHandle port) noexcept {
  const auto index = static_cast<std::size_t>(port.native);
  if (index < ports_.size()) ports_[index].has_many = true;
}

Endpoint PortableIo::local_of(PortHandle port) const noexcept {
  SocketAddress local;
  return getsockname(port.native, local.get(), local.size_pointer()) == 0 ? local.endpoint() : Endpoint{};
}

int PortableIo::connected_to(PortHandle port, const PacketSlot& packet) noexcept {
  if (!connected_ || !packet.to_locked_peer) return -1;
  const auto index = static_cast<std::size_t>(port.native);
  if (index >= ports_.size() || !ports_[index].attached) return -1;
  // Its connected socket could not be had once. That is not tried again for every packet.
  if (ports_[index].refused || ports_[index].has_many) return -1;
  if (ports_[index].peer == packet.remote) return connected_->of(port);
  // The peer has moved, or this is the first packet to a locked peer.
  std::uint8_t& postponed = ports_[index].postponed;
  if (postponed < kMostPostponed && has_waiting(port.native)) {
    ++postponed;
    return -1;
  }
  postponed = 0;
  const int before = connected_->of(port);
  const int fd = connected_->connect_to(port, packet.remote);
  // A new descriptor is one that epoll does not know yet.
  if (fd >= 0 && fd != before && !watch(fd, ports_[index].cookie)) {
    connected_->close(port);
    ports_[index].refused = true;
    return -1;
  }
  // `connect_to` closed it; epoll forgets a closed descriptor by itself.
  if (fd < 0 && before >= 0) ports_[static_cast<std::size_t>(before)].attached = false;
  ports_[index].refused = fd < 0;
  ports_[index].peer = fd >= 0 ? packet.remote : Endpoint{};
  return fd;
}

std::size_t PortableIo::receive(std::span<PacketBuffer> batch) noexcept {
  std::size_t filled = 0;
  while (filled < batch.size() && ready_next_ < ready_count_) {
    const epoll_event& ready = ready_[ready_next_++];
    const int fd = ready.data.fd;
    if (fd == event_) continue;
    // Detached between the wait and now: what waits there belongs to the next owner of the port.
    if (!ports_[static_cast<std::size_t>(fd)].attached) continue;
    if ((ready.events & EPOLLERR) != 0) read_errors(fd);
    if ((ready.events & EPOLLIN) == 0) continue;
    const bool has_many = ports_[static_cast<std::size_t>(fd)].has_many;
    do {
      bool is_dry = false;
      PacketBuffer buffer = receive_one(fd, is_dry);
      if (is_dry) return filled;
      if (!buffer) break;
      batch[filled++] = std::move(buffer);
    } while (has_many && filled < batch.size());
  }
  return filled;
}

PacketBuffer PortableIo::receive_one(int fd, bool& is_dry) noexcept {
  PacketBuffer buffer = stock_.allocate();
  // Not received, so not lost: the datagram stays in the socket until buffers are free again.
  is_dry = !buffer;
  if (is_dry) return {};
  SocketAddress from;
  const MutableBytes space = buffer.space();
  // MSG_TRUNC makes the kernel return the whole length, also if it is more than the buffer took.
  const ssize_t n = recvfrom(fd, space.data(), space.size(), MSG_TRUNC, from.get(), from.size_pointer());
  if (n < 0) return {};  // EAGAIN, or an ICMP error that the kernel reports once
  buffer->truncated = static_cast<std::size_t>(n) > space.size();
  buffer.set_data_size(std::min(static_cast<std::size_t>(n), space.size()));
  buffer->remote = from.endpoint();
  buffer->cookie = ports_[static_cast<std::size_t>(fd)].cookie;
  return buffer;
}

void PortableIo::read_errors(int fd) noexcept {
  // The rest is reported by the next wait.
  constexpr int kAtOnce = 8;
  for (int i = 0; i < kAtOnce; ++i) {
    SocketAddress to;
    alignas(cmsghdr) std::array<char, 256> control{};
    msghdr message{};
    message.msg_name = to.get();
    message.msg_namelen = to.size();
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
      // There is an error without a message. Reading SO_ERROR clears it; otherwise epoll would report it for
      // ever.
      int error = 0;
      socklen_t length = sizeof error;
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
      return;
    }
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      const bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
      const bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
      if ((!v4 && !v6) || problem_count_ == problems_.size()) continue;
      sock_extended_err error{};
      std::memcpy(&error, CMSG_DATA(c), sizeof error);
      SocketAddress reporter;
      std::memcpy(reporter.get(), CMSG_DATA(c) + sizeof error,
                  v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
      const IpAddress by = reporter.endpoint().address;
      SocketAddress local;
      // For want of a neighbour the kernel makes the ICMP message up itself and signs it with its own
      // address.
      const bool is_own = getsockname(fd, local.get(), local.size_pointer()) == 0 &&
                          (by == local.endpoint().address || by.is_unspecified() || by.is_loopback());
      const SendError what = send_error_of(error, is_own);
      const bool names_reporter = what != SendError::kNoNeighbour && by.family() != AddressFamily::kNone;
      problems_[problem_count_++] = {ports_[static_cast<std::size_t>(fd)].cookie, to.endpoint(), what,
                                     names_reporter ? by : IpAddress{}};
    }
  }
}

void PortableIo::hear_problems(PortHandle port, AddressFamily family) noexcept {
  const auto index = static_cast<std::size_t>(port.native);
  if (index >= ports_.size() || ports_[index].hears_errors) return;
  hear_errors(port.native, family);
  ports_[index].hears_errors = true;
}

std::size_t PortableIo::take_problems(std::span<PortProblem> into) noexcept {
  const std::size_t count = std::min(into.size(), problem_count_);
  std::copy_n(problems_.begin(), count, into.begin());
  std::copy(problems_.begin() + static_cast<std::ptrdiff_t>(count),
            problems_.begin() + static_cast<std::ptrdiff_t>(problem_count_), problems_.begin());
  problem_count_ -= count;
  return count;
}

void PortableIo::send(std::span<PacketBuffer> batch, std::span<SendError> errors) noexcept {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const PacketBuffer buffer = std::move(batch[i]);
    const int connected = connected_to(buffer->via, *buffer.operator->());
    const SocketAddress to(buffer->remote);
    // Asked for with the first packet, not in `activate`: the relay opens more ports than it sends from.
    hear_problems(buffer->via, buffer->remote.address.family());
    const Bytes data = buffer.data();
    ssize_t n = -1;
    // A pending error of an earlier datagram ends the first attempt and says nothing about this one.
    for (int attempt = 0; attempt < 2 && n < 0; ++attempt) {
      n = connected >= 0
              ? ::send(connected, data.data(), data.size(), MSG_NOSIGNAL)
              : sendto(buffer->via.native, data.data(), data.size(), MSG_NOSIGNAL, to.get(), to.size());
    }
    errors[i] = n < 0 ? send_error_of(errno) : SendError::kNone;
  }
}

void PortableIo::wait(Instant deadline) noexcept {
  if (ready_next_ < ready_count_) return;  // what a full batch has left over comes first
  // Rounded up, so that the worker never wakes up a moment before its deadline and has to wait again.
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now()).count();
  const int n = epoll_wait(epoll_, ready_.data(), static_cast<int>(ready_.size()),
                           static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
  ready_count_ = n > 0 ? static_cast<std::size_t>(n) : 0;
  ready_next_ = 0;
  // The event is cleared here, before the worker runs its commands. If it were cleared later, a command
  // posted in between would not end the next wait.
  for (std::size_t i = 0; i < ready_count_; ++i) {
    if (ready_[i].data.fd != event_) continue;
    std::uint64_t count = 0;
    [[maybe_unused]] const auto size = read(event_, &count, sizeof count);
  }
}

void PortableIo::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = write(event_, &one, sizeof one);
}

}  // namespace ferry
