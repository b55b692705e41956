// SPDX-License-Identifier: Apache-2.0
// DTLS 1.2 by OpenSSL, as far as SRTP keys need it (RFC 5764).
//
// An association is an SSL object over a `Wire`, a BIO that carries one datagram at a time. OpenSSL reads and
// writes whenever it likes during a call, so the wire is connected to the owner only for the time of one call
// (`Using`): what OpenSSL sends goes straight to `DtlsOwner::send`, and nothing is sent outside a call.
//
// States: kHandshaking → kEstablished or kFailed. A server that was made after a cookie exchange first lets
// DTLSv1_listen see the ClientHello. The cookie itself was checked before by the channel, without any state
// (DTL-5), so the callbacks here accept every one.
//
// The peer's certificate is judged by the owner at the moment when the handshake brings it
// (`judge_certificate`). No chain is verified: the fingerprint in the SDP says whose certificate it is
// (DTL-8). A refusal makes OpenSSL send its own alert.
//
// Traps:
// - OpenSSL's retransmission timer reads the clock by itself. A handshake with losses needs real time, in
//   tests too.
// - OpenSSL's memory BIO joins datagrams, hence a BIO of our own.
// - Errors lie in a queue of the thread. It is emptied before and after each call, or another association
//   would read them.
#include "relay/dtls/openssl_dtls.hpp"

#include "relay/base/random.hpp"

#include <algorithm>
#include <cstring>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace ferry {

namespace {

// Longest datagram of a handshake message, so short that it passes all tunnels.
constexpr long kMtu = 1200;
// Microseconds (DTL-12).
constexpr unsigned kFirstTimer = 50'000;
// How often a flight is sent (DTL-12).
constexpr unsigned kMaxTries = 7;
// Octets of the peer's certificates (DTL-12).
constexpr long kMaxCertificates = 16 * 1024;
// How far a peer's clock may be behind ours, in seconds, for a certificate to be valid already.
constexpr long kClocksDiffer = 24L * 3600;
// Seconds that a certificate of ours is valid.
constexpr long kLifetime = 30L * 24 * 3600;
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES128-SHA";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr const char* kProfiles =
    "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32";
constexpr const char* kExporter = "EXTRACTOR-dtls_srtp";  // RFC 5764 §4.2

template <class T, void (*Free)(T*)>
struct Freer {
  void operator()(T* what) const noexcept { Free(what); }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509, X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Freer<SSL_CTX, SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Freer<SSL, SSL_free>>;
using AddressBuffer = std::unique_ptr<BIO_ADDR, Freer<BIO_ADDR, BIO_ADDR_free>>;
using Number = std::unique_ptr<BIGNUM, Freer<BIGNUM, BN_free>>;
struct FreeBio {
  void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
struct FreeMethod {
  void operator()(BIO_METHOD* method) const noexcept { BIO_meth_free(method); }
};

const EVP_MD* digest_of(FingerprintHash hash) {
  switch (hash) {
    case FingerprintHash::kSha1:
      return EVP_sha1();
    case FingerprintHash::kSha224:
      return EVP_sha224();
    case FingerprintHash::kSha256:
      return EVP_sha256();
    case FingerprintHash::kSha384:
      return EVP_sha384();
    case FingerprintHash::kSha512:
      return EVP_sha512();
  }
  return EVP_sha256();
}

Fingerprint fingerprint_of(const X509* certificate, FingerprintHash hash) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> octets{};
  unsigned size = 0;
  Fingerprint fingerprint{hash, {}};
  if (certificate == nullptr || X509_digest(certificate, digest_of(hash), octets.data(), &size) != 1)
    return fingerprint;
  const Bytes bytes = std::as_bytes(std::span(octets)).first(size);
  fingerprint.octets.assign(bytes.begin(), bytes.end());
  return fingerprint;
}

/// The two ends of an association's BIO, set for the time of one call. `arriving` is the datagram to be read,
/// borrowed; empty: there is none. `owner` gets what is sent.
struct Wire {
  Bytes arriving;
  DtlsOwner* owner = nullptr;
};

// OpenSSL's callbacks of the BIO. One write is one datagram.
int wire_write(BIO* bio, const char* data, int size) {
  auto* wire = static_cast<Wire*>(BIO_get_data(bio));
  if (wire->owner != nullptr && size > 0)
    wire->owner->send(std::as_bytes(std::span(data, static_cast<std::size_t>(size))));
  return size;
}
int wire_read(BIO* bio, char* data, int size) {
  auto* wire = static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (wire->arriving.empty() || size <= 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t count = std::min(wire->arriving.size(), static_cast<std::size_t>(size));
  std::memcpy(data, wire->arriving.data(), count);
  // A datagram that does not fit loses its rest, as with a socket.
  wire->arriving = {};
  return static_cast<int>(count);
}
long wire_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
      return kMtu;
    default:
      return 0;
  }
}
// The BIO's type, made once for the process.
BIO_METHOD* wire_method() {
  static const std::unique_ptr<BIO_METHOD, FreeMethod> kMethod = [] {
    std::unique_ptr<BIO_METHOD, FreeMethod> method(
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagram"));
    BIO_meth_set_write(method.get(), wire_write);
    BIO_meth_set_read(method.get(), wire_read);
    BIO_meth_set_ctrl(method.get(), wire_control);
    BIO_meth_set_create(method.get(), [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    return method;
  }();
  return kMethod.get();
}

class OpenSslAssociation;
unsigned next_timer(SSL* session, unsigned before);
int judge_certificate(X509_STORE_CTX* chain, void* unused);

// The SRTP profile that was agreed on, as a suite; nothing if there was none (RFC 5764 §4.1.2, RFC 7714
// §14.2).
std::optional<SrtpSuite> suite_of(const SSL* session) {
  const SRTP_PROTECTION_PROFILE* profile = SSL_get_selected_srtp_profile(const_cast<SSL*>(session));
  if (profile == nullptr) return std::nullopt;
  switch (profile->id) {
    case SRTP_AES128_CM_SHA1_80:
      return SrtpSuite::kAes128Cm80;
    case SRTP_AES128_CM_SHA1_32:
      return SrtpSuite::kAes128Cm32;
    case SRTP_AEAD_AES_128_GCM:
      return SrtpSuite::kAeadAes128Gcm;
    case SRTP_AEAD_AES_256_GCM:
      return SrtpSuite::kAeadAes256Gcm;
    default:
      return std::nullopt;
  }
}

class OpenSslAssociation final : public DtlsAssociation {
 public:
  OpenSslAssociation(SSL_CTX* context, DtlsRole role, bool after_cookie)
      : session_(SSL_new(context)), role_(role), listens_(after_cookie) {
    Bio bio(BIO_new(wire_method()));
    if (!session_ || !bio) {
      state_ = State::kFailed;
      return;
    }
    BIO_set_data(bio.get(), &wire_);
    // The SSL object owns the BIO now, for both directions.
    SSL_set_bio(session_.get(), bio.get(), bio.get());
    static_cast<void>(bio.release());
    SSL_set_options(session_.get(), SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(session_.get(), kMtu);
    // The timer's callback finds this object by it.
    SSL_set_app_data(session_.get(), this);
    DTLS_set_timer_cb(session_.get(), next_timer);
    role == DtlsRole::kClient ? SSL_set_connect_state(session_.get()) : SSL_set_accept_state(session_.get());
  }

  State start(DtlsOwner& owner) noexcept override {
    if (role_ == DtlsRole::kClient && state_ == State::kHandshaking) advance({}, owner);
    return state_;
  }

  State take(Bytes datagram, DtlsOwner& owner) noexcept override {
    if (state_ == State::kFailed) return state_;
    if (listens_) {
      listen(datagram, owner);
    } else {
      advance(datagram, owner);
    }
    return state_;
  }

  State on_time(DtlsOwner& owner) noexcept override {
    if (state_ != State::kHandshaking) return state_;
    const Using use(*this, {}, owner);
    // 1: a flight was sent again. 0: it was not due yet.
    const long result = DTLSv1_handle_timeout(session_.get());
    if (result > 0 && ++tries_ >= kMaxTries) state_ = State::kFailed;
    if (result < 0) state_ = State::kFailed;
    return state_;
  }

  void hurry() noexcept override {
    tries_ = 0;
    is_hurried_ = true;
  }

  void refuse(DtlsOwner& owner) noexcept override {
    if (state_ != State::kEstablished) return;
    // OpenSSL has no call that sends a fatal alert. A renegotiation for which no cipher is left ends with
    // one.
    const Using use(*this, {}, owner);
    SSL_clear_options(session_.get(), SSL_OP_NO_RENEGOTIATION);
    SSL_set_cipher_list(session_.get(), "-ALL");
    if (SSL_renegotiate(session_.get()) == 1) SSL_do_handshake(session_.get());
    state_ = State::kFailed;
  }

  /// The length in microseconds of a timer that starts for the first time (`before` is 0) or again. It
  /// doubles, until the peer is reached another way.
  unsigned timer_after(unsigned before) noexcept {
    const bool is_first = before == 0 || is_hurried_;
    is_hurried_ = false;
    return is_first ? kFirstTimer : before * 2;
  }

  // Called while the handshake runs. False ends it with the alert bad_certificate.
  bool judge(X509* certificate) noexcept {
    if (certificate == nullptr || X509_up_ref(certificate) != 1) return false;
    shown_.reset(certificate);
    return wire_.owner != nullptr && wire_.owner->accepts(*this);
  }

  [[nodiscard]] std::optional<Duration> timer() const noexcept override {
    timeval left{};
    if (state_ != State::kHandshaking || DTLSv1_get_timeout(session_.get(), &left) != 1) return std::nullopt;
    return std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec);
  }

  [[nodiscard]] std::optional<DtlsKeys> keys() const override {
    const auto suite = state_ == State::kEstablished ? suite_of(session_.get()) : std::nullopt;
    if (!suite) return std::nullopt;
    const SrtpSuiteRow& row = row_of(*suite);
    std::array<unsigned char, 2 * (32 + 14)> octets{};
    const std::size_t size = 2 * (std::size_t{row.key} + row.salt);
    if (SSL_export_keying_material(session_.get(), octets.data(), size, kExporter, std::strlen(kExporter),
                                   nullptr, 0, 0) != 1)
      return std::nullopt;
    // RFC 5764 §4.2: the client's key, the server's key, then their salts in the same order.
    const Bytes all = std::as_bytes(std::span(octets));
    const auto side = [&](std::size_t which) {
      SrtpMasterKey key;
      key.suite = *suite;
      key.key = SecretBytes<32>(all.subspan(which * row.key, row.key));
      key.salt = SecretBytes<14>(all.subspan(2 * std::size_t{row.key} + which * row.salt, row.salt));
      return key;
    };
    // We receive what the other side sends.
    const bool is_client = role_ == DtlsRole::kClient;
    DtlsKeys keys{side(is_client ? 1 : 0), side(is_client ? 0 : 1)};
    OPENSSL_cleanse(octets.data(), octets.size());
    return keys;
  }

  [[nodiscard]] Fingerprint peer_fingerprint(FingerprintHash hash) const override {
    return fingerprint_of(shown_.get(), hash);
  }

 private:
  /// Connects the wire to the owner for the time of one call.
  struct Using {
    Using(OpenSslAssociation& of, Bytes datagram, DtlsOwner& owner) : wire(of.wire_) {
      ERR_clear_error();
      wire = {datagram, &owner};
    }
    ~Using() {
      wire = {};
      ERR_clear_error();
    }
    Using(const Using&) = delete;
    Using& operator=(const Using&) = delete;
    Wire& wire;
  };

  // The first ClientHello after the cookie exchange: sets OpenSSL's numbers as if it had done the exchange.
  void listen(Bytes datagram, DtlsOwner& owner) noexcept {
    listens_ = false;
    const AddressBuffer from(BIO_ADDR_new());
    {
      const Using use(*this, datagram, owner);
      if (!from || DTLSv1_listen(session_.get(), from.get()) != 1) state_ = State::kFailed;
    }
    // OpenSSL keeps the message; the handshake goes on from there.
    if (state_ != State::kFailed) advance({}, owner);
  }

  void advance(Bytes datagram, DtlsOwner& owner) noexcept {
    const Using use(*this, datagram, owner);
    int result = 0;
    if (state_ == State::kEstablished) {
      // The peer sends its last flight again because ours was lost. Reading makes OpenSSL answer it.
      // Application data is for nobody.
      std::array<char, 256> ignored;
      while (SSL_read(session_.get(), ignored.data(), static_cast<int>(ignored.size())) > 0) {
      }
      return;
    }
    result = SSL_do_handshake(session_.get());
    if (result == 1) {
      state_ = suite_of(session_.get()) ? State::kEstablished
                                        : State::kFailed;  // without a profile there are no keys (DTL-10)
      return;
    }
    // "Want read" is the normal case: the next flight of the peer is needed.
    const int why = SSL_get_error(session_.get(), result);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) state_ = State::kFailed;
  }

  Wire wire_;
  Session session_;
  // The certificate that the peer has shown; null before.
  Certificate shown_;
  State state_ = State::kHandshaking;
  DtlsRole role_;
  bool listens_;
  // The next timer is a first one.
  bool is_hurried_ = false;
  // How often the present flight was sent again.
  unsigned tries_ = 0;
};

OpenSslAssociation& association_of(const SSL* session) {
  return *static_cast<OpenSslAssociation*>(SSL_get_app_data(session));
}

unsigned next_timer(SSL* session, unsigned before) { return association_of(session).timer_after(before); }

int judge_certificate(X509_STORE_CTX* chain, void* /*unused*/) {
  const auto* session =
      static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  if (association_of(session).judge(X509_STORE_CTX_get0_cert(chain))) return 1;
  // Becomes the alert bad_certificate.
  X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_REJECTED);
  return 0;
}

// A certificate with its key. Its SSL_CTX is made once and shared by all associations, on any thread.
class OpenSslIdentity final : public DtlsIdentity {
 public:
  OpenSslIdentity(Key key, Certificate certificate)
      : key_(std::move(key)), certificate_(std::move(certificate)), context_(SSL_CTX_new(DTLS_method())) {
    random_octets(secret_);
    SSL_CTX* context = context_.get();
    if (context == nullptr) return;
    // No tickets and no cache: no session is ever resumed. No renegotiation. RELEASE_BUFFERS gives memory
    // back between flights, because there may be thousands of associations.
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(context, kMaxCertificates);
    // Both sides must show a certificate. Whose it is, the fingerprint says (DTL-8).
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_cert_verify_callback(context, judge_certificate, nullptr);
    // The channel has checked the cookie before it made the association (DTL-5).
    SSL_CTX_set_cookie_generate_cb(context, [](SSL*, unsigned char*, unsigned*) { return 0; });
    SSL_CTX_set_cookie_verify_cb(context, [](SSL*, const unsigned char*, unsigned) { return 1; });
    is_good_ = SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) == 1 &&
               SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION) == 1 &&
               SSL_CTX_set_cipher_list(context, kCiphers) == 1 &&
               SSL_CTX_set1_groups_list(context, kGroups) == 1 &&
               // This function returns 0 for success, unlike the others.
               SSL_CTX_set_tlsext_use_srtp(context, kProfiles) == 0 &&
               SSL_CTX_use_certificate(context, certificate_.get()) == 1 &&
               SSL_CTX_use_PrivateKey(context, key_.get()) == 1 && SSL_CTX_check_private_key(context) == 1;
  }
  ~OpenSslIdentity() override { OPENSSL_cleanse(secret_.data(), secret_.size()); }
  OpenSslIdentity(const OpenSslIdentity&) = delete;
  OpenSslIdentity& operator=(const OpenSslIdentity&) = delete;

  [[nodiscard]] bool is_good() const noexcept { return is_good_; }

  [[nodiscard]] Fingerprint fingerprint(FingerprintHash hash) const override {
    return fingerprint_of(certificate_.get(), hash);
  }

  [[nodiscard]] std::unique_ptr<DtlsAssociation> make(DtlsRole role, bool after_cookie) const override {
    return std::make_unique<OpenSslAssociation>(context_.get(), role, after_cookie);
  }

  [[nodiscard]] Cookie cookie(Bytes facts) const override {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned size = 0;
    HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()),
         reinterpret_cast<const unsigned char*>(facts.data()), facts.size(), mac.data(), &size);
    Cookie cookie{};
    std::ranges::copy(std::as_bytes(std::span(mac)).first(kCookieSize), cookie.begin());
    return cookie;
  }

  [[nodiscard]] std::string pem() const override {
    // The text holds the private key, so it is written to memory that OpenSSL wipes.
    const Bio out(BIO_new(BIO_s_secmem()));
    if (!out || PEM_write_bio_X509(out.get(), certificate_.get()) != 1 ||
        PEM_write_bio_PrivateKey(out.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
      return {};
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
  }

 private:
  Key key_;
  Certificate certificate_;
  Context context_;
  // The secret of cookies, of this process alone.
  std::array<std::byte, 32> secret_{};
  bool is_good_ = false;
};

// Null if OpenSSL refused any of it.
std::shared_ptr<const DtlsIdentity> checked(Key key, Certificate certificate) {
  auto identity = std::make_shared<const OpenSslIdentity>(std::move(key), std::move(certificate));
  return identity->is_good() ? identity : nullptr;
}

}  // namespace

std::shared_ptr<const DtlsIdentity> OpenSslDtls::make_identity() const {
  Key key(EVP_EC_gen("P-256"));
  Certificate certificate(X509_new());
  std::array<std::byte, 8> serial{};
  // A random serial number; the first bit would make it negative.
  random_octets(serial);
  serial[0] &= std::byte{0x7f};
  const Number number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()), serial.size(), nullptr));
  if (!key || !certificate || !number) return nullptr;
  X509* made = certificate.get();
  X509_NAME* name = X509_get_subject_name(made);
  const bool is_signed =
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(made)) != nullptr &&
      X509_set_version(made, X509_VERSION_3) == 1 &&
      // Valid from yesterday on, for peers whose clock is behind. The name says nothing about the host
      // (DTL-7).
      X509_gmtime_adj(X509_getm_notBefore(made), -kClocksDiffer) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(made), kLifetime) != nullptr &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("media"),
                                 -1, -1, 0) == 1 &&
      X509_set_issuer_name(made, name) == 1 && X509_set_pubkey(made, key.get()) == 1 &&
      X509_sign(made, key.get(), EVP_sha256()) != 0;
  ERR_clear_error();
  return is_signed ? checked(std::move(key), std::move(certificate)) : nullptr;
}

std::shared_ptr<const DtlsIdentity> OpenSslDtls::identity_of(const std::string& pem) const {
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Certificate certificate(in ? PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr) : nullptr);
  Key key(certificate ? PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr) : nullptr);
  ERR_clear_error();
  return certificate && key ? checked(std::move(key), std::move(certificate)) : nullptr;
}

}  // namespace ferry
