// SPDX-License-Identifier: Apache-2.0
// A browser's end of one transport: a UDP socket with ICE, DTLS and SRTP, as little of it as a load needs.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/dtls/dtls.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "relay/core/ice/stun.hpp"
#include "relay/core/srtp/srtp_context.hpp"

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace ferry::bench {

/// What the relay's SDP says about its end.
struct WebRemote {
  IceCredentials credentials;
  Endpoint candidate;
  std::vector<Fingerprint> fingerprints;
};

/// A full ICE agent with one host candidate that meets one candidate, nominates at once (as Chromium does)
/// and asks for consent; then DTLS and SRTP. One thread. Its owner waits for the socket and hands over what
/// came.
class WebTransport final : private DtlsOwner {
 public:
  enum class Stage : std::uint8_t { kWaiting, kChecking, kHandshaking, kReady, kFailed };

  /// Opens a socket at `address`, at a port that the kernel chooses. Throws if there is none.
  WebTransport(std::shared_ptr<const DtlsIdentity> identity, const IpAddress& address);
  ~WebTransport() override;
  WebTransport(const WebTransport&) = delete;
  WebTransport& operator=(const WebTransport&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] const Endpoint& at() const noexcept { return at_; }
  [[nodiscard]] const IceCredentials& own() const noexcept { return own_; }
  [[nodiscard]] const WebRemote& remote() const noexcept { return remote_; }
  [[nodiscard]] Stage stage() const noexcept { return stage_; }

  /// The relay's SDP came. `controls`: this end has offered. `role`: that in the handshake.
  void begin(WebRemote remote, bool controls, DtlsRole role);
  /// Takes a datagram that came by its socket. Of media the plain packet, which lies in `datagram`; else
  /// nothing. Media that is not authentic throws: no relay may send that.
  std::optional<Bytes> take(const Endpoint& from, MutableBytes datagram, Instant now);
  /// Sends what is due: checks, the first flight, flights that got lost.
  void drive(Instant now);
  /// Encrypts what it sends; null before there are keys.
  [[nodiscard]] SrtpSender* sender() noexcept { return sender_ ? &*sender_ : nullptr; }
  /// The suite that was agreed on; empty before.
  [[nodiscard]] std::string_view suite() const noexcept { return suite_; }
  /// Sends a datagram to the relay's candidate.
  void send_to_relay(Bytes datagram) noexcept;

 private:
  void send(Bytes datagram) noexcept override { send_to_relay(datagram); }
  bool accepts(const DtlsAssociation& association) noexcept override;
  void take_stun(const Endpoint& from, Bytes datagram, Instant now);
  void check(Instant now);
  void follow(DtlsAssociation::State state);

  std::shared_ptr<const DtlsIdentity> identity_;
  // Before the socket, whose opening sets it.
  Endpoint at_;
  int fd_ = -1;
  IceCredentials own_;
  WebRemote remote_;
  bool controls_ = false;
  DtlsRole role_ = DtlsRole::kServer;
  Stage stage_ = Stage::kWaiting;
  std::uint64_t tie_breaker_ = 0;
  stun::TransactionId transaction_{};
  Instant next_check_{};
  std::unique_ptr<DtlsAssociation> association_;
  std::optional<SrtpSender> sender_;
  std::optional<SrtpReceiver> receiver_;
  std::string_view suite_;
};

/// For messages.
std::string_view to_string(WebTransport::Stage stage) noexcept;

/// A UDP socket bound to `address` at a port that the kernel chooses, which goes to `at`. Throws if there is
/// none.
int open_socket(const IpAddress& address, Endpoint& at);
/// Sends one datagram; what the kernel does not take is lost.
void send_datagram(int fd, const Endpoint& to, Bytes datagram) noexcept;

}  // namespace ferry::bench
