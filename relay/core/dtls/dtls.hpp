// DTLS as a way to agree on SRTP keys (RFC 5763, RFC 5764): what signalling says, and what a back end does.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/fingerprint.hpp"
#include "relay/base/types.hpp"
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

/// The user of an association: it gets what the association sends and learns, for the time of one call.
class DtlsOwner {
 public:
  virtual ~DtlsOwner() = default;
  /// Each call is one datagram.
  virtual void send(Bytes datagram) noexcept = 0;
  /// The peer has shown its certificate, of which `peer_fingerprint` knows now. False: the handshake fails
  /// with the alert bad_certificate (DTL-8).
  virtual bool accepts(const DtlsAssociation& association) noexcept = 0;
};

/// Master keys of both directions, as the exporter gave them.
struct DtlsKeys {
  SrtpMasterKey receive;
  SrtpMasterKey send;
  bool operator==(const DtlsKeys&) const = default;
};

/// One handshake and what follows from it. One thread at a time. It authenticates nobody: whoever it speaks
/// with is known by the certificate alone, which its owner compares with what was signalled.
class DtlsAssociation {
 public:
  enum class State : std::uint8_t { kHandshaking, kEstablished, kFailed };

  virtual ~DtlsAssociation() = default;
  /// Sends the first flight of a client. A server waits.
  virtual State start(DtlsOwner& owner) noexcept = 0;
  /// Takes a datagram of the peer; what does not belong to the association changes nothing.
  virtual State take(Bytes datagram, DtlsOwner& owner) noexcept = 0;
  /// Sends its flight again when that is due.
  virtual State on_time(DtlsOwner& owner) noexcept = 0;
  /// The peer is reached another way from now on: the association sends its flight there at once and counts
  /// its tries anew (WDTLS-4).
  virtual void hurry() noexcept = 0;
  /// Ends an established association with a fatal alert: its certificate turned out to be wrong (DTL-9).
  virtual void refuse(DtlsOwner& owner) noexcept = 0;
  /// Time until `on_time` has something to do; nothing if it waits for the peer alone.
  [[nodiscard]] virtual std::optional<Duration> timer() const noexcept = 0;
  /// After the handshake.
  [[nodiscard]] virtual std::optional<DtlsKeys> keys() const = 0;
  /// Of the certificate that the peer showed; no octets before.
  [[nodiscard]] virtual Fingerprint peer_fingerprint(FingerprintHash hash) const = 0;
};

enum class DtlsRole : std::uint8_t {
  kServer,  // setup:passive
  kClient,  // setup:active, the one who begins
};

/// A certificate with its private key, and the associations that show it. Any thread.
class DtlsIdentity {
 public:
  static constexpr std::size_t kCookieSize = 20;
  using Cookie = std::array<std::byte, kCookieSize>;

  virtual ~DtlsIdentity() = default;
  [[nodiscard]] virtual Fingerprint fingerprint(FingerprintHash hash) const = 0;
  /// `after_cookie`: a server whose first message is a ClientHello that brings a cookie back, in one record.
  /// Null if there is no memory.
  [[nodiscard]] virtual std::unique_ptr<DtlsAssociation> make(DtlsRole role, bool after_cookie) const = 0;
  /// What proves that a client can be reached at its address (RFC 6347 §4.2.1): of `facts` under a secret of
  /// this process.
  [[nodiscard]] virtual Cookie cookie(Bytes facts) const = 0;
  /// Certificate and private key in PEM: a secret (SRT-15).
  [[nodiscard]] virtual std::string pem() const = 0;
};

/// Any thread. Null where a library refuses, or a text is not what it should be.
class DtlsBackend {
 public:
  virtual ~DtlsBackend() = default;
  /// A new ECDSA P-256 key with a self-signed certificate that says nothing about its owner (DTL-7).
  [[nodiscard]] virtual std::shared_ptr<const DtlsIdentity> make_identity() const = 0;
  /// As `DtlsIdentity::pem` gave it.
  [[nodiscard]] virtual std::shared_ptr<const DtlsIdentity> identity_of(const std::string& pem) const = 0;
};

/// What control decided about the handshake of one transport. Two plans differ if they do not share it.
struct DtlsPlan {
  std::shared_ptr<const DtlsIdentity> identity;
  /// Before the answer to our `actpass` the peer may already begin: kServer.
  DtlsRole role = DtlsRole::kServer;
  /// Signalled for the peer; empty before its SDP came (DTL-9).
  std::vector<Fingerprint> peer;
  /// Rises when signalling asks for a new association (RFC 8842 §4).
  std::uint32_t association = 0;
  /// Fingerprints of SHA-1 count (DTL-8).
  bool allow_sha1 = false;
  /// Whose handshake it is: budgets are of a call and an address (DTL-14).
  std::uint64_t call = 0;
};

/// DTL-8: the certificate's hash equals one that was signalled with the strongest hash we know.
[[nodiscard]] bool is_signalled(const DtlsAssociation& association, const DtlsPlan& plan);

}  // namespace ferry
