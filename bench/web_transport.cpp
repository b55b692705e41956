// SPDX-License-Identifier: Apache-2.0
#include "bench/web_transport.hpp"

#include "relay/base/random.hpp"
#include "relay/io/portable/socket_address.hpp"
#include "relay/srtp/evp_backend.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

namespace ferry::bench {

namespace {

// Between checks before the first answer, and for consent afterwards (RFC 7675 §5.1 asks for 5 s at most).
constexpr Duration kPace = std::chrono::milliseconds(50);
constexpr Duration kConsent = std::chrono::milliseconds(2500);

}  // namespace

int open_socket(const IpAddress& address, Endpoint& at) {
  const SocketAddress wanted({address, UdpPort{0}});
  SocketAddress got;
  const int fd = socket(wanted.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, wanted.get(), wanted.size()) != 0 ||
      getsockname(fd, got.get(), got.size_pointer()) != 0) {
    if (fd >= 0) close(fd);
    throw std::runtime_error("no socket at " + address.to_string());
  }
  at = got.endpoint();
  return fd;
}

void send_datagram(int fd, const Endpoint& to, Bytes datagram) noexcept {
  const SocketAddress address(to);
  static_cast<void>(sendto(fd, datagram.data(), datagram.size(), 0, address.get(), address.size()));
}

std::string_view to_string(WebTransport::Stage stage) noexcept {
  switch (stage) {
    case WebTransport::Stage::kWaiting:
      return "waits for the relay's SDP";
    case WebTransport::Stage::kChecking:
      return "no check was answered";
    case WebTransport::Stage::kHandshaking:
      return "the handshake is not complete";
    case WebTransport::Stage::kReady:
      return "ready";
    case WebTransport::Stage::kFailed:
      return "the handshake failed";
  }
  return "";
}

WebTransport::WebTransport(std::shared_ptr<const DtlsIdentity> identity, const IpAddress& address)
    : identity_(std::move(identity)),
      fd_(open_socket(address, at_)),
      own_{random_hex(8), random_hex(24)},
      tie_breaker_(random_u64()) {}

WebTransport::~WebTransport() { close(fd_); }

void WebTransport::begin(WebRemote remote, bool controls, DtlsRole role) {
  remote_ = std::move(remote);
  controls_ = controls;
  role_ = role;
  stage_ = Stage::kChecking;
  random_octets(transaction_);
}

void WebTransport::send_to_relay(Bytes datagram) noexcept { send_datagram(fd_, remote_.candidate, datagram); }

bool WebTransport::accepts(const DtlsAssociation& association) noexcept {
  return std::ranges::any_of(remote_.fingerprints, [&](const Fingerprint& signalled) {
    return association.peer_fingerprint(signalled.hash) == signalled;
  });
}

std::optional<Bytes> WebTransport::take(const Endpoint& from, MutableBytes datagram, Instant now) {
  if (datagram.empty()) return std::nullopt;
  const std::uint8_t first = read_u8(datagram, 0);
  if (first <= 3) {
    take_stun(from, datagram, now);
    return std::nullopt;
  }
  if (first >= 20 && first < 64) {
    if (stage_ == Stage::kWaiting || from != remote_.candidate) return std::nullopt;
    if (!association_ && role_ == DtlsRole::kServer) association_ = identity_->make(role_, false);
    if (association_) follow(association_->take(datagram, *this));
    return std::nullopt;
  }
  if (datagram.size() < 12) return std::nullopt;
  const unsigned type = read_u8(datagram, 1) & 0x7f;
  if (type >= 64 && type < 96) return std::nullopt;  // RTCP (RFC 5761 §4)
  if (!receiver_) return std::nullopt;               // overtook the end of the handshake
  std::size_t size = datagram.size();
  const SrtpResult result = receiver_->open_rtp(datagram, size);
  if (result == SrtpResult::kReplayed) return std::nullopt;  // the network's copy
  if (result != SrtpResult::kOk)
    throw std::runtime_error("a packet of the relay cannot be opened: " +
                             std::to_string(static_cast<int>(result)));
  return Bytes(datagram).first(size);
}

void WebTransport::take_stun(const Endpoint& from, Bytes datagram, Instant now) {
  const auto message = stun::parse(datagram);
  if (!message) return;
  if (message->kind == stun::Kind::kRequest) {
    if (!stun::is_authentic(datagram, *message, own_.password)) return;
    stun::Contents contents;
    contents.mapped = from;
    send_datagram(fd_, from,
                  stun::write(stun::Kind::kSuccess, message->transaction, contents, own_.password));
    return;
  }
  if (message->kind != stun::Kind::kSuccess || message->transaction != transaction_ ||
      !stun::is_authentic(datagram, *message, remote_.credentials.password))
    return;
  random_octets(transaction_);
  next_check_ = now + kConsent;
  if (stage_ == Stage::kChecking) stage_ = Stage::kHandshaking;
}

void WebTransport::check(Instant now) {
  stun::Contents contents;
  const std::string user = remote_.credentials.ufrag + ":" + own_.ufrag;
  contents.username = user;
  contents.priority = host_priority({Component::kRtp, 0});
  contents.use_candidate = controls_;
  (controls_ ? contents.controlling : contents.controlled) = tie_breaker_;
  send_to_relay(stun::write(stun::Kind::kRequest, transaction_, contents, remote_.credentials.password));
  next_check_ = now + (stage_ == Stage::kChecking ? kPace : kConsent);
}

void WebTransport::drive(Instant now) {
  if (stage_ == Stage::kWaiting || stage_ == Stage::kFailed) return;
  if (now >= next_check_) check(now);
  if (stage_ != Stage::kHandshaking) return;
  if (!association_ && role_ == DtlsRole::kClient) {
    association_ = identity_->make(role_, false);
    follow(association_->start(*this));
  } else if (association_ && association_->timer().value_or(Duration::max()) <= Duration::zero()) {
    follow(association_->on_time(*this));
  }
}

void WebTransport::follow(DtlsAssociation::State state) {
  if (state == DtlsAssociation::State::kFailed) stage_ = Stage::kFailed;
  if (state != DtlsAssociation::State::kEstablished || sender_) return;
  const auto keys = association_->keys();
  if (!keys) {
    stage_ = Stage::kFailed;
    return;
  }
  sender_.emplace(EvpBackend().make(keys->send));
  receiver_.emplace(EvpBackend().make(keys->receive));
  suite_ = row_of(keys->send.suite).name;
  stage_ = Stage::kReady;
}

}  // namespace ferry::bench
