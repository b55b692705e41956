// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/udp_listener.hpp"

#include "relay/io/portable/socket_address.hpp"

#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry {

namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kMaxDatagramSize = 65'535;
constexpr int kReceiveBuffer = 8 * 1024 * 1024;
/// If this many full batches come without a pause, requests come faster than they can be served (CTL-5).
constexpr unsigned kOverloadBatches = 16;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

/// Buffers for one batch, made once. A reply uses the place of its request.
struct UdpListener::Batch {
  static constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(in6_pktinfo));
  std::array<std::vector<char>, kBatch> data;
  std::array<SocketAddress, kBatch> peer;
  std::array<std::array<char, kControlSize>, kBatch> control{};
  std::array<iovec, kBatch> iov{};
  std::array<mmsghdr, kBatch> header{};
  std::array<std::string, kBatch> reply;
};

UdpListener::UdpListener(event_base* base, const Endpoint& local, DatagramService& service,
                         SessionManager& manager, AccessList& access, std::function<Clock()> clock,
                         std::uint8_t tos)
    : service_(service),
      manager_(manager),
      access_(access),
      clock_(std::move(clock)),
      batch_(std::make_unique<Batch>()) {
  const SocketAddress address(local);
  socket_ = socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) throw_errno("control listener udp " + local.to_string());
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
    throw_errno("control listener udp " + local.to_string());
  }
  access.note_listener(socket_);
  name_ = fmt::format("{} over UDP on {}", service_.protocol(), this->local().to_string());
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

/// Goes on as long as full batches come. After many of them in a row the service is told that it is
/// overloaded.
void UdpListener::on_readable() {
  for (unsigned batches = 1; serve_batch() == kBatch; ++batches) {
    service_.set_overloaded(batches >= kOverloadBatches);
    // Timers and other listeners get their turn. The rest wakes the listener again at once.
    if (batches == kOverloadBatches * 4) return;
  }
  service_.set_overloaded(false);
}

/// Receives a batch, checks all sources, serves all commands, flushes once, and sends all replies.
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
  // All sources are checked before the first command is served: a command may close the media port from which
  // a later datagram came.
  std::array<bool, kBatch> is_admitted{};
  for (std::size_t i = 0; i < count; ++i) {
    is_admitted[i] = access_.admit_datagram(b.peer[i].endpoint(), clock.now, name_);
    if (!is_admitted[i]) ++refused_;
  }
  std::size_t replies = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_admitted[i]) continue;
    auto reply = service_.handle({b.data[i].data(), b.header[i].msg_len}, b.peer[i].endpoint().address);
    if (!reply) continue;
    // The received header with its packet information becomes the header of the reply: same peer, same local
    // address.
    b.reply[replies] = std::move(*reply);
    mmsghdr header = b.header[i];
    header.msg_hdr.msg_flags = 0;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header.msg_hdr); c != nullptr; c = CMSG_NXTHDR(&header.msg_hdr, c)) {
      if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        // The kernel fills in ipi_addr, the destination; a sender sets ipi_spec_dst.
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
    // If a reply cannot be sent, the client asks again.
    sent += n > 0 ? static_cast<std::size_t>(n) : 1;
  }
  return count;
}

}  // namespace ferry
