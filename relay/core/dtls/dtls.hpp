// SPDX-License-Identifier: Apache-2.0
// DTLS as a way to agree on SRTP keys (RFC 5763, RFC 5764): what signalling says about it, and the interface
// of the back end that does it.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"
#include "relay/core/dtls/fingerprint.hpp"
#include "relay/core/srtp/srtp_key.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

class DtlsAssociation;

/// The user of an association. The association calls it to send a datagram and to ask about a certificate,
/// and only during one of the user's own calls.
class DtlsOwner {
 public:
  virtual ~DtlsOwner() = default;
  /// Sends one datagram to the peer; borrowed for the call.
  virtual void send(Bytes datagram) noexcept = 0;
  /// The peer has shown its certificate, so `peer_fingerprint` knows it. If this returns false, the handshake
  /// fails with the alert bad_certificate (DTL-8).
  virtual bool accepts(const DtlsAssociation& association) noexcept = 0;
};

/// SRTP master keys of both directions, as the exporter gave them (RFC 5764 §4.2).
struct DtlsKeys {
  SrtpMasterKey receive;
  SrtpMasterKey send;
  bool operator==(const DtlsKeys&) const = default;
};

/// One handshake and what follows from it, in the hands of a library. One thread at a time. It authenticates
/// nobody: the peer is known only by its certificate, which the user compares with signalling.
class DtlsAssociation {
 public:
  enum class State : std::uint8_t { kHandshaking, kEstablished, kFailed };

  virtual ~DtlsAssociation() = default;
  /// Sends the first flight of a client. A server waits for `take`.
  virtual State start(DtlsOwner& owner) noexcept = 0;
  /// Takes a datagram of the peer. One that does not belong to the association changes nothing.
  virtual State take(Bytes datagram, DtlsOwner& owner) noexcept = 0;
  /// Sends the last flight again if that is due.
  virtual State on_time(DtlsOwner& owner) noexcept = 0;
  /// Tells it that the peer is now reached another way: it counts its tries and times anew. The caller sends
  /// the flight there.
  virtual void hurry() noexcept = 0;
  /// Ends an established association with a fatal alert, because its certificate turned out to be wrong
  /// (DTL-9).
  virtual void refuse(DtlsOwner& owner) noexcept = 0;
  /// Time until `on_time` has something to do; nothing if it only waits for the peer.
  [[nodiscard]] virtual std::optional<Duration> timer() const noexcept = 0;
  /// The keys; nothing before the handshake is complete, or if no protection profile was agreed.
  [[nodiscard]] virtual std::optional<DtlsKeys> keys() const = 0;
  /// Fingerprint of the certificate that the peer showed; empty before it did.
  [[nodiscard]] virtual Fingerprint peer_fingerprint(FingerprintHash hash) const = 0;
};

/// Which side of the handshake we are (RFC 5763 §5).
enum class DtlsRole : std::uint8_t {
  /// `a=setup:passive`: we wait for a ClientHello.
  kServer,
  /// `a=setup:active`: we begin.
  kClient,
};

/// A certificate with its private key. It makes the associations that show it. Safe on any thread.
class DtlsIdentity {
 public:
  static constexpr std::size_t kCookieSize = 20;
  using Cookie = std::array<std::byte, kCookieSize>;

  virtual ~DtlsIdentity() = default;
  /// Fingerprint of the certificate, for our SDP.
  [[nodiscard]] virtual Fingerprint fingerprint(FingerprintHash hash) const = 0;
  /// Makes an association; null if there is no memory. `after_cookie`: a server whose first message is a
  /// ClientHello that already brings the right cookie back, in one record.
  [[nodiscard]] virtual std::unique_ptr<DtlsAssociation> make(DtlsRole role, bool after_cookie) const = 0;
  /// The cookie of `facts` under a secret of this process. A client that sends it back can be reached at its
  /// address (RFC 6347 §4.2.1).
  [[nodiscard]] virtual Cookie cookie(Bytes facts) const = 0;
  /// Certificate and private key in PEM, for exports: a secret (SRT-15).
  [[nodiscard]] virtual std::string pem() const = 0;
};

/// Makes identities. Safe on any thread. The results are null if the library refuses or the text is wrong.
class DtlsBackend {
 public:
  virtual ~DtlsBackend() = default;
  /// A new ECDSA P-256 key with a self-signed certificate that says nothing about its owner (DTL-7).
  [[nodiscard]] virtual std::shared_ptr<const DtlsIdentity> make_identity() const = 0;
  /// The identity that `DtlsIdentity::pem` wrote.
  [[nodiscard]] virtual std::shared_ptr<const DtlsIdentity> identity_of(const std::string& pem) const = 0;
};

/// The handshakes of one transport as control decided on them. Immutable part of a plan; two plans count as
/// different if they do not share the object.
struct DtlsPlan {
  /// Our certificate; never null.
  std::shared_ptr<const DtlsIdentity> identity;
  /// Our role. kServer also before the answer to our `actpass`, as the peer may begin already.
  DtlsRole role = DtlsRole::kServer;
  /// Fingerprints that were signalled for the peer; empty before its SDP came (DTL-9).
  std::vector<Fingerprint> peer;
  /// Rises when signalling asks for a new association (RFC 8842 §4).
  std::uint32_t association = 0;
  /// True if SHA-1 fingerprints count (DTL-8).
  bool allow_sha1 = false;
  /// The call that the handshakes belong to: budgets are kept by call and address (DTL-14).
  std::uint64_t call = 0;
};

/// True if the peer's certificate is the signalled one: its fingerprint is among those with the strongest
/// signalled hash function (DTL-8). False if nothing usable was signalled.
[[nodiscard]] bool is_signalled(const DtlsAssociation& association, const DtlsPlan& plan);

}  // namespace ferry
