#include "relay/io/portable/portable_io.hpp"

#include "relay/io/portable/socket_address.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry {

Result<PortHandle, PortError> PortableProvider::activate(const Endpoint& local, std::uint8_t tos) {
  const SocketAddress address(local);
  const int fd = socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(errno == EMFILE || errno == ENFILE ? PortError::kNoDescriptors : PortError::kOther);
  const PortHandle port{fd};
  if (bind(fd, address.get(), address.size()) != 0) {
    const int error = errno;
    close(fd);
    if (error == EADDRINUSE) return fail(PortError::kInUse);
    return fail(error == EADDRNOTAVAIL ? PortError::kNoAddress : PortError::kOther);
  }
  if (tos != 0) set_tos(port, local.address.family(), tos);
  return port;
}

void PortableProvider::release(PortHandle port) { close(port.native); }

void PortableProvider::set_tos(PortHandle port, AddressFamily family, std::uint8_t tos) {
  const int value = tos;
  if (family == AddressFamily::kIpv4) {
    setsockopt(port.native, IPPROTO_IP, IP_TOS, &value, sizeof value);
  } else {
    setsockopt(port.native, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value);
  }
}

PortableIo::PortableIo(std::size_t buffers) : pool_(buffers) {
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

bool PortableIo::attach(PortHandle port, std::uint64_t cookie) noexcept {
  const auto fd = static_cast<std::size_t>(port.native);
  if (fd >= ports_.size()) ports_.resize(fd + 64);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = port.native;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, port.native, &event) != 0) return false;
  ports_[fd] = {cookie, true};
  return true;
}

void PortableIo::detach(PortHandle port) noexcept {
  const auto fd = static_cast<std::size_t>(port.native);
  if (fd >= ports_.size() || !ports_[fd].attached) return;
  ports_[fd].attached = false;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, port.native, nullptr);
}

std::size_t PortableIo::receive(std::span<PacketBuffer> batch) noexcept {
  std::size_t filled = 0;
  while (filled < batch.size() && ready_next_ < ready_count_) {
    const int fd = ready_[ready_next_++].data.fd;
    if (fd == event_) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto n = read(event_, &count, sizeof count);
      continue;
    }
    // Detached between the wait and now: whatever waits belongs to the next owner of the port.
    if (!ports_[static_cast<std::size_t>(fd)].attached) continue;
    PacketBuffer buffer = pool_.allocate();
    if (!buffer) return filled;
    SocketAddress from;
    const MutableBytes space = buffer.space();
    const ssize_t n = recvfrom(fd, space.data(), space.size(), MSG_TRUNC, from.get(), from.size_pointer());
    if (n < 0) continue;  // EAGAIN, or an ICMP error that the kernel reports once
    buffer->truncated = static_cast<std::size_t>(n) > space.size();
    buffer.set_data_size(std::min(static_cast<std::size_t>(n), space.size()));
    buffer->remote = from.endpoint();
    buffer->cookie = ports_[static_cast<std::size_t>(fd)].cookie;
    batch[filled++] = std::move(buffer);
  }
  return filled;
}

void PortableIo::send(std::span<PacketBuffer> batch, std::span<bool> failed) noexcept {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const PacketBuffer buffer = std::move(batch[i]);
    const SocketAddress to(buffer->remote);
    const Bytes data = buffer.data();
    ssize_t n = -1;
    // A pending ICMP error of an earlier datagram is reported by the next call and says nothing about this
    // one.
    for (int attempt = 0; attempt < 2 && n < 0; ++attempt) {
      n = sendto(buffer->via.native, data.data(), data.size(), MSG_NOSIGNAL, to.get(), to.size());
      if (n < 0 && errno != ECONNREFUSED && errno != EINTR) break;
    }
    failed[i] = n < 0;
  }
}

void PortableIo::wait(Instant deadline) noexcept {
  if (ready_next_ < ready_count_) return;  // leftovers of a full batch
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now()).count();
  const int n = epoll_wait(epoll_, ready_.data(), static_cast<int>(ready_.size()),
                           static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
  ready_count_ = n > 0 ? static_cast<std::size_t>(n) : 0;
  ready_next_ = 0;
}

void PortableIo::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = write(event_, &one, sizeof one);
}

}  // namespace ferry
