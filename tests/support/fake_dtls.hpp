// SPDX-License-Identifier: Apache-2.0
// A DTLS back end without cryptography, in virtual time: its messages have the form of DTLS 1.2, and what a
// real stack would find out by a signature or a key it finds out by comparing random numbers. It fails where
// OpenSSL fails: at a message that is another one than the next, and at one that does not fit what came
// before.
#pragma once

#include "relay/core/dtls/dtls.hpp"
#include "relay/core/dtls/records.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ferry::test {

using Octets = std::vector<std::byte>;
using FakeRandom = std::array<std::byte, 32>;

inline constexpr std::uint8_t kHelloRequest = 0, kClientHello = 1, kServerHello = 2, kHelloVerify = 3,
                              kCertificate = 11, kServerKeyExchange = 12, kServerHelloDone = 14,
                              kClientKeyExchange = 16;

/// A record of DTLS 1.2.
inline Octets dtls_record(std::uint8_t type, std::uint16_t epoch, Bytes body, std::uint32_t number = 0) {
  Octets out(13 + body.size());
  write_u8(out, 0, type);
  write_u16(out, 1, 0xfefd);
  write_u16(out, 3, epoch);
  write_u32(out, 7, number);
  write_u16(out, 11, static_cast<std::uint16_t>(body.size()));
  std::ranges::copy(body, out.begin() + 13);
  return out;
}

/// A handshake message, or the piece of it from `offset` of `size` octets.
inline Octets dtls_message(std::uint8_t type, std::uint16_t sequence, Bytes body, std::size_t offset = 0,
                           std::optional<std::size_t> size = {}) {
  const Bytes piece = body.subspan(offset, size.value_or(body.size() - offset));
  Octets message(12 + piece.size());
  const auto u24 = [&](std::size_t at, std::size_t v) {
    write_u8(message, at, static_cast<std::uint8_t>(v >> 16));
    write_u16(message, at + 1, static_cast<std::uint16_t>(v));
  };
  write_u8(message, 0, type);
  u24(1, body.size());
  write_u16(message, 4, sequence);
  u24(6, offset);
  u24(9, piece.size());
  std::ranges::copy(piece, message.begin() + 12);
  return dtls_record(22, 0, message, sequence);
}

inline Octets dtls_alert(std::uint8_t level, std::uint8_t description) {
  const Octets body = {std::byte{level}, std::byte{description}};
  return dtls_record(21, 0, body);
}

/// The body of a ClientHello of 150 octets or more, as phones send them.
inline Octets hello_body(const FakeRandom& random, Bytes cookie = {}, std::size_t extensions = 100) {
  Octets body = {std::byte{0xfe}, std::byte{0xfd}};
  body.insert(body.end(), random.begin(), random.end());
  body.push_back(std::byte{0});  // session
  body.push_back(static_cast<std::byte>(cookie.size()));
  body.insert(body.end(), cookie.begin(), cookie.end());
  body.resize(body.size() + 14 + extensions, std::byte{7});
  return body;
}

inline Octets server_hello_body(const FakeRandom& random) {
  Octets body = {std::byte{0xfe}, std::byte{0xfd}};
  body.insert(body.end(), random.begin(), random.end());
  body.resize(38 + 20);
  return body;
}

inline FakeRandom random_of(std::uint64_t seed) {
  FakeRandom random{};
  for (std::byte& each : random) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    each = static_cast<std::byte>(seed >> 56);
  }
  return random;
}

/// What a signature or a Finished message stands for.
inline Octets proof_of(const FakeRandom& client, const FakeRandom& server) {
  Octets proof(32);
  for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = client[i] ^ (server[i] << 1) ^ (server[i] >> 7);
  return proof;
}

/// `name` stands for the key and the certificate.
class FakeIdentity final : public DtlsIdentity {
 public:
  FakeIdentity(const Instant& now, std::uint64_t name) : now_(now), name_(name) {}
  [[nodiscard]] Fingerprint fingerprint(FingerprintHash hash) const override {
    const FakeRandom octets = random_of(name_);
    return {hash, {octets.begin(), octets.end()}};
  }
  [[nodiscard]] Cookie cookie(Bytes facts) const override {
    std::uint64_t digest = name_;
    for (const std::byte each : facts)
      digest = (digest ^ std::to_integer<std::uint64_t>(each)) * 0x100000001b3;
    Cookie cookie{};
    std::ranges::copy_n(random_of(digest).begin(), cookie.size(), cookie.begin());
    return cookie;
  }
  [[nodiscard]] std::string pem() const override { return {}; }
  [[nodiscard]] std::unique_ptr<DtlsAssociation> make(DtlsRole role, bool after_cookie) const override;

 private:
  const Instant& now_;
  std::uint64_t name_;
  mutable std::uint64_t made_ = 0;
};

class FakeAssociation final : public DtlsAssociation {
 public:
  FakeAssociation(const Instant& now, DtlsRole role, const FakeRandom& random, Fingerprint own)
      : now_(now), role_(role), own_random_(random), own_(std::move(own)) {}

  State start(DtlsOwner& owner) noexcept override {
    say({dtls_message(kClientHello, 0, hello_body(own_random_))}, owner);
    return state_;
  }
  State take(Bytes datagram, DtlsOwner& owner) noexcept override {
    if (state_ == State::kFailed) return state_;
    PieceReader reader(datagram);
    while (const auto piece = reader.next()) {
      if (state_ == State::kHandshaking) on_message(*piece, owner);
    }
    if (datagram.size() >= 13 && read_u8(datagram, 0) == 22 && read_u16(datagram, 3) == 1)
      on_finished(datagram.subspan(13), owner);
    return state_;
  }
  State on_time(DtlsOwner& owner) noexcept override {
    if (state_ != State::kHandshaking || now_ < due_) return state_;
    if (++tries_ >= 7) state_ = State::kFailed;
    gap_ = std::exchange(is_hurried_, false) ? kFirstGap : gap_ * 2;
    due_ = now_ + gap_;
    if (state_ == State::kHandshaking) repeat(owner);
    return state_;
  }
  // As OpenSSL's timer: the one that runs goes on, and the next is the first again.
  void hurry() noexcept override {
    tries_ = 0;
    is_hurried_ = true;
  }
  void refuse(DtlsOwner& owner) noexcept override {
    owner.send(dtls_record(21, 1, Octets(20)));
    state_ = State::kFailed;
  }
  [[nodiscard]] std::optional<Duration> timer() const noexcept override {
    return state_ == State::kHandshaking && !flight_.empty() ? std::optional(due_ - now_) : std::nullopt;
  }
  [[nodiscard]] std::optional<DtlsKeys> keys() const override {
    if (state_ != State::kEstablished) return std::nullopt;
    const bool is_client = role_ == DtlsRole::kClient;
    const Octets proof =
        is_client ? proof_of(own_random_, peer_random_) : proof_of(peer_random_, own_random_);
    const auto key = [&](std::byte side) {
      SrtpMasterKey made;
      made.suite = SrtpSuite::kAes128Cm80;
      Octets octets(proof.begin(), proof.begin() + 16);
      octets[0] = side;
      made.key = SecretBytes<32>(octets);
      made.salt = SecretBytes<14>(Bytes(proof).subspan(16, 14));
      return made;
    };
    const SrtpMasterKey of_client = key(std::byte{1});
    const SrtpMasterKey of_server = key(std::byte{2});
    return is_client ? DtlsKeys{of_server, of_client} : DtlsKeys{of_client, of_server};
  }
  [[nodiscard]] Fingerprint peer_fingerprint(FingerprintHash hash) const override { return {hash, shown_}; }

 private:
  void say(std::vector<Octets> flight, DtlsOwner& owner) {
    flight_ = std::move(flight);
    gap_ = kFirstGap;
    is_hurried_ = false;
    due_ = now_ + gap_;
    tries_ = 0;
    repeat(owner);
  }
  void repeat(DtlsOwner& owner) {
    for (const Octets& datagram : flight_) owner.send(datagram);
  }
  void fail(std::uint8_t alert, DtlsOwner& owner) {
    owner.send(dtls_alert(2, alert));
    state_ = State::kFailed;
  }
  void on_message(const HandshakePiece& piece, DtlsOwner& owner) {
    if (role_ == DtlsRole::kServer && piece.type == kClientHello && !flight_.empty()) {
      if (piece.sequence < expected_) repeat(owner);
      if (piece.sequence == expected_) fail(10, owner);
      return;
    }
    // As OpenSSL does behind a cookie, whatever the number of the hello was.
    if (role_ == DtlsRole::kServer && flight_.empty()) expected_ = std::min<std::uint16_t>(piece.sequence, 1);
    if ((piece.sequence != expected_ && !flight_.empty()) || piece.octets.size() != piece.length) return;
    ++expected_;
    role_ == DtlsRole::kClient ? on_server(piece, owner) : on_client(piece, owner);
  }
  /// The next message is of one of `types`.
  bool expects(const HandshakePiece& piece, std::initializer_list<std::uint8_t> types, DtlsOwner& owner) {
    if (std::ranges::find(types, piece.type) != types.end()) return true;
    fail(10, owner);
    return false;
  }
  void on_server(const HandshakePiece& piece, DtlsOwner& owner) {
    switch (step_) {
      case 0:
        if (!expects(piece, {kHelloVerify, kServerHello}, owner)) return;
        if (piece.type == kHelloVerify) {
          const Bytes cookie = piece.octets.subspan(3);
          say({dtls_message(kClientHello, ++hellos_, hello_body(own_random_, cookie))}, owner);
          return;
        }
        std::ranges::copy_n(piece.octets.begin() + 2, 32, peer_random_.begin());
        break;
      case 1:
        if (!expects(piece, {kCertificate}, owner)) return;
        if (!shows(piece, owner)) return;
        break;
      case 2:
        if (!expects(piece, {kServerKeyExchange}, owner)) return;
        if (!std::ranges::equal(piece.octets, proof_of(own_random_, peer_random_))) {
          fail(51, owner);
          return;
        }
        break;
      default:
        if (!expects(piece, {kServerHelloDone}, owner)) return;
        say({dtls_message(kCertificate, static_cast<std::uint16_t>(hellos_ + 1), certificate()),
             dtls_message(kClientKeyExchange, static_cast<std::uint16_t>(hellos_ + 2), Octets(33)),
             finished()},
            owner);
        break;
    }
    ++step_;
  }
  void on_client(const HandshakePiece& piece, DtlsOwner& owner) {
    switch (step_) {
      case 0: {
        if (!expects(piece, {kClientHello}, owner)) return;
        std::ranges::copy_n(piece.octets.begin() + 2, 32, peer_random_.begin());
        const auto first = std::min<std::uint16_t>(piece.sequence, 1);
        const auto number = [&](int n) { return static_cast<std::uint16_t>(first + n); };
        say({dtls_message(kServerHello, number(0), server_hello_body(own_random_)),
             dtls_message(kCertificate, number(1), certificate()),
             dtls_message(kServerKeyExchange, number(2), proof_of(peer_random_, own_random_)),
             dtls_message(kServerHelloDone, number(3), {})},
            owner);
        break;
      }
      case 1:
        if (!expects(piece, {kCertificate}, owner) || !shows(piece, owner)) return;
        break;
      default:
        if (!expects(piece, {kClientKeyExchange}, owner)) return;
        break;
    }
    ++step_;
  }
  bool shows(const HandshakePiece& piece, DtlsOwner& owner) {
    shown_.assign(piece.octets.begin() + 3, piece.octets.end());
    if (owner.accepts(*this)) return true;
    fail(42, owner);
    return false;
  }
  void on_finished(Bytes body, DtlsOwner& owner) {
    const bool is_client = role_ == DtlsRole::kClient;
    const Octets wanted =
        is_client ? proof_of(own_random_, peer_random_) : proof_of(peer_random_, own_random_);
    const bool is_due = is_client ? step_ == 4 : step_ == 3;
    if (!is_due || !std::ranges::equal(body, wanted)) return;
    if (!is_client) say({finished()}, owner);
    state_ = State::kEstablished;
  }
  [[nodiscard]] Octets certificate() const {
    Octets body(3);
    body.insert(body.end(), own_.octets.begin(), own_.octets.end());
    return body;
  }
  [[nodiscard]] Octets finished() const {
    const bool is_client = role_ == DtlsRole::kClient;
    return dtls_record(22, 1,
                       is_client ? proof_of(own_random_, peer_random_) : proof_of(peer_random_, own_random_));
  }

  static constexpr Duration kFirstGap = std::chrono::milliseconds(50);

  const Instant& now_;
  DtlsRole role_;
  FakeRandom own_random_;
  FakeRandom peer_random_{};
  Fingerprint own_;
  std::vector<std::byte> shown_;
  State state_ = State::kHandshaking;
  std::vector<Octets> flight_;
  Instant due_{};
  Duration gap_{};
  bool is_hurried_ = false;
  unsigned tries_ = 0;
  std::uint16_t expected_ = 0;
  std::uint16_t hellos_ = 0;
  int step_ = 0;
};

inline std::unique_ptr<DtlsAssociation> FakeIdentity::make(DtlsRole role, bool) const {
  return std::make_unique<FakeAssociation>(now_, role, random_of(name_ * 1000 + ++made_),
                                           fingerprint(FingerprintHash::kSha256));
}

/// Makes identities with names that follow each other. Set `now` whenever the time moves.
class FakeDtls final : public DtlsBackend {
 public:
  [[nodiscard]] std::shared_ptr<const DtlsIdentity> make_identity() const override {
    return std::make_shared<FakeIdentity>(now, ++names_);
  }
  [[nodiscard]] std::shared_ptr<const DtlsIdentity> identity_of(const std::string&) const override {
    return nullptr;
  }

  Instant now{};

 private:
  mutable std::uint64_t names_ = 0;
};

}  // namespace ferry::test
