// SPDX-License-Identifier: Apache-2.0
// One association by OpenSSL, without the channel around it: against another one of ours, and against an
// OpenSSL that was set up here and knows nothing of ours.

#include "relay/dtls/openssl_dtls.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace ferry::openssl_dtls_test {
namespace {

using State = DtlsAssociation::State;
using Octets = std::vector<std::byte>;

constexpr std::uint8_t kAlert = 21;
constexpr std::uint8_t kFatal = 2;
constexpr std::uint8_t kBadCertificate = 42;

/// One side with what it has sent.
class Side final : public DtlsOwner {
 public:
  Side(const DtlsBackend& backend, DtlsRole role)
      : identity(backend.make_identity()), association(identity->make(role, false)) {}
  void send(Bytes datagram) noexcept override { sent.emplace_back(datagram.begin(), datagram.end()); }
  bool accepts(const DtlsAssociation& of) noexcept override {
    asked += 1;
    shown = of.peer_fingerprint(FingerprintHash::kSha256);
    return trusts;
  }
  State start() { return association->start(*this); }
  State take(Bytes datagram) { return association->take(datagram, *this); }
  /// The datagrams that were sent since the last call.
  std::vector<Octets> flight() { return std::exchange(sent, {}); }

  std::shared_ptr<const DtlsIdentity> identity;
  std::unique_ptr<DtlsAssociation> association;
  std::vector<Octets> sent;
  bool trusts = true;
  int asked = 0;
  Fingerprint shown;
};

class OpenSslDtlsTest : public ::testing::Test {
 protected:
  /// Carries flights to and fro; `change` may alter each before it arrives.
  void handshake(const std::function<void(std::vector<Octets>&)>& change = [](std::vector<Octets>&) {}) {
    client_.start();
    for (int turn = 0; turn < 10; ++turn) {
      for (auto [from, to] : {std::pair{&client_, &server_}, std::pair{&server_, &client_}}) {
        std::vector<Octets> flight = from->flight();
        change(flight);
        for (const Octets& each : flight) to->take(each);
      }
    }
  }
  void expect_keys() {
    const auto ours = client_.association->keys();
    const auto theirs = server_.association->keys();
    ASSERT_TRUE(ours && theirs);
    EXPECT_EQ(ours->send, theirs->receive);
    EXPECT_EQ(ours->receive, theirs->send);
    EXPECT_NE(ours->send, ours->receive);
  }
  OpenSslDtls backend_;
  Side client_{backend_, DtlsRole::kClient};
  Side server_{backend_, DtlsRole::kServer};
};

TEST_F(OpenSslDtlsTest, OnlyTheClientBegins) {
  EXPECT_EQ(server_.start(), State::kHandshaking);
  EXPECT_TRUE(server_.sent.empty());
  EXPECT_FALSE(server_.association->timer());
  EXPECT_EQ(client_.start(), State::kHandshaking);
  EXPECT_EQ(client_.sent.size(), 1u);
  const auto timer = client_.association->timer();
  ASSERT_TRUE(timer);
  EXPECT_LE(*timer, std::chrono::milliseconds(50)) << "DTL-12";
  EXPECT_GT(*timer, Duration{0});
  EXPECT_EQ(client_.association->on_time(client_), State::kHandshaking);
  EXPECT_EQ(client_.sent.size(), 1u) << "it is not due yet";
}

TEST_F(OpenSslDtlsTest, EachIsAskedOnceAboutTheCertificateThatItWasShown) {
  EXPECT_TRUE(client_.association->peer_fingerprint(FingerprintHash::kSha256).octets.empty());
  EXPECT_FALSE(client_.association->keys());
  handshake();
  expect_keys();
  EXPECT_EQ(client_.asked, 1);
  EXPECT_EQ(server_.asked, 1);
  EXPECT_EQ(client_.shown, server_.identity->fingerprint(FingerprintHash::kSha256));
  EXPECT_EQ(server_.shown, client_.identity->fingerprint(FingerprintHash::kSha256));
  for (const FingerprintHashRow& row : kFingerprintHashes) {
    const Fingerprint fingerprint = client_.association->peer_fingerprint(row.hash);
    EXPECT_EQ(fingerprint.octets.size(), row.octets) << row.name;
    EXPECT_EQ(fingerprint, server_.identity->fingerprint(row.hash)) << row.name;
  }
  EXPECT_FALSE(client_.association->timer());
  EXPECT_FALSE(server_.association->timer());
}

TEST_F(OpenSslDtlsTest, DTL8_WhoIsNotTrustedGetsAnAlertAndNoKeys) {
  for (const bool server_refuses : {true, false}) {
    for (Side* each : {&client_, &server_})
      *each = Side(backend_, each == &client_ ? DtlsRole::kClient : DtlsRole::kServer);
    (server_refuses ? server_ : client_).trusts = false;
    int alerts = 0;
    handshake([&](std::vector<Octets>& flight) {
      for (const Octets& each : flight) {
        if (read_u8(each, 0) != kAlert) continue;
        ++alerts;
        ASSERT_GE(each.size(), 15u);
        EXPECT_EQ(read_u8(each, 13), kFatal);
        EXPECT_EQ(read_u8(each, 14), kBadCertificate);
      }
    });
    EXPECT_EQ(alerts, 1);
    EXPECT_EQ((server_refuses ? server_ : client_).take({}), State::kFailed);
    EXPECT_FALSE(client_.association->keys());
    EXPECT_FALSE(server_.association->keys());
  }
}

// UDP loses, doubles and reorders; what follows from a loss needs time (handshake_test.cpp).
TEST_F(OpenSslDtlsTest, DatagramsMayComeTwiceAndInAnyOrder) {
  std::mt19937 random(5);
  const std::vector<std::pair<const char*, std::function<void(std::vector<Octets>&)>>> ways = {
      {"backwards", [](std::vector<Octets>& flight) { std::ranges::reverse(flight); }},
      {"shuffled", [&](std::vector<Octets>& flight) { std::ranges::shuffle(flight, random); }},
      {"each twice",
       [](std::vector<Octets>& flight) {
         for (std::size_t i = 0; i < flight.size(); i += 2) {
           const Octets again = flight[i];
           flight.insert(flight.begin() + static_cast<std::ptrdiff_t>(i), again);
         }
       }},
      {"all of it twice",
       [](std::vector<Octets>& flight) {
         const std::vector<Octets> again = flight;
         flight.insert(flight.end(), again.begin(), again.end());
       }},
  };
  for (const auto& [what, change] : ways) {
    client_ = Side(backend_, DtlsRole::kClient);
    server_ = Side(backend_, DtlsRole::kServer);
    handshake(change);
    SCOPED_TRACE(what);
    expect_keys();
  }
}

TEST_F(OpenSslDtlsTest, WhatDoesNotBelongToItChangesNothing) {
  std::mt19937 random(9);
  const std::vector<std::pair<const char*, std::function<Octets(const Octets&)>>> kinds = {
      {"nothing", [](const Octets&) { return Octets{}; }},
      {"noise",
       [&](const Octets&) {
         Octets noise(1 + random() % 100);
         for (std::byte& octet : noise) octet = static_cast<std::byte>(random());
         return noise;
       }},
      {"of an epoch that never comes",
       [](const Octets& each) {
         Octets other = each;
         for (std::size_t at = 0; at < other.size(); at += 13u + read_u16(other, at + 11))
           write_u16(other, at + 3, 7);
         return other;
       }},
      {"a record that ends too early",
       [](const Octets& each) { return Octets(each.begin(), each.begin() + 13 + (read_u16(each, 11) / 2)); }},
      {"the start of a header", [](const Octets& each) { return Octets(each.begin(), each.begin() + 7); }},
  };
  for (const auto& kind : kinds) {
    client_ = Side(backend_, DtlsRole::kClient);
    server_ = Side(backend_, DtlsRole::kServer);
    handshake([&](std::vector<Octets>& flight) {
      std::vector<Octets> with_noise;
      for (const Octets& each : flight) {
        with_noise.push_back(kind.second(each));
        with_noise.push_back(each);
      }
      flight = with_noise;
    });
    SCOPED_TRACE(kind.first);
    expect_keys();
    const auto before = server_.association->keys();
    EXPECT_EQ(server_.take(Octets(200, std::byte{23})), State::kEstablished);
    EXPECT_EQ(server_.association->keys(), before);
  }
}

TEST_F(OpenSslDtlsTest, DTL9_AnAssociationThatIsRefusedLaterEndsWithAnAlert) {
  server_.association->refuse(server_);
  EXPECT_TRUE(server_.sent.empty()) << "nothing is established that could be refused";
  handshake();
  expect_keys();
  server_.association->refuse(server_);
  ASSERT_EQ(server_.sent.size(), 1u);
  EXPECT_EQ(read_u8(server_.sent.front(), 0), kAlert);
  EXPECT_EQ(read_u16(server_.sent.front(), 3), 1u) << "under the keys";
  EXPECT_FALSE(server_.association->keys());
  EXPECT_EQ(server_.take(Octets(50)), State::kFailed);
  server_.association->refuse(server_);
  EXPECT_EQ(server_.sent.size(), 1u) << "once";
}

TEST_F(OpenSslDtlsTest, ACookieIsOfItsFactsAndItsIdentity) {
  const Octets facts = {std::byte{1}, std::byte{2}};
  const Octets others = {std::byte{1}, std::byte{3}};
  EXPECT_EQ(client_.identity->cookie(facts), client_.identity->cookie(facts));
  EXPECT_NE(client_.identity->cookie(facts), client_.identity->cookie(others));
  EXPECT_NE(client_.identity->cookie(facts), server_.identity->cookie(facts));
  const auto restored = backend_.identity_of(client_.identity->pem());
  ASSERT_NE(restored, nullptr);
  EXPECT_NE(client_.identity->cookie(facts), restored->cookie(facts)) << "the secret is not exported";
}

struct Free {
  void operator()(X509* what) const noexcept { X509_free(what); }
  void operator()(EVP_PKEY* what) const noexcept { EVP_PKEY_free(what); }
  void operator()(SSL_CTX* what) const noexcept { SSL_CTX_free(what); }
  void operator()(SSL* what) const noexcept { SSL_free(what); }
  void operator()(BIO* what) const noexcept { BIO_free(what); }
};
template <class T>
using Held = std::unique_ptr<T, Free>;

Held<X509> certificate_in(const std::string& pem) {
  const Held<BIO> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Held<X509>(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
}
Held<EVP_PKEY> key_in(const std::string& pem) {
  const Held<BIO> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Held<EVP_PKEY>(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
}

TEST_F(OpenSslDtlsTest, DTL7_ACertificateSaysNothingAboutItsOwner) {
  const Held<X509> certificate = certificate_in(client_.identity->pem());
  const Held<X509> other = certificate_in(server_.identity->pem());
  ASSERT_TRUE(certificate && other);
  std::array<char, 100> name{};
  X509_NAME_oneline(X509_get_subject_name(certificate.get()), name.data(), static_cast<int>(name.size()));
  EXPECT_STREQ(name.data(), "/CN=media");
  EXPECT_EQ(X509_NAME_cmp(X509_get_subject_name(certificate.get()), X509_get_issuer_name(certificate.get())),
            0);
  EVP_PKEY* key = X509_get0_pubkey(certificate.get());
  EXPECT_EQ(X509_verify(certificate.get(), key), 1) << "signed by itself";
  std::array<char, 50> group{};
  std::size_t size = 0;
  ASSERT_EQ(EVP_PKEY_get_group_name(key, group.data(), group.size(), &size), 1);
  EXPECT_STREQ(group.data(), "prime256v1");
  EXPECT_NE(ASN1_INTEGER_cmp(X509_get0_serialNumber(certificate.get()), X509_get0_serialNumber(other.get())),
            0);
  // Valid a day ago, for clocks that are behind, and for a month.
  int days = 0;
  int seconds = 0;
  ASSERT_EQ(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(certificate.get()), nullptr), 1);
  EXPECT_TRUE(days == 1 || (days == 0 && seconds > 86'000)) << days;
  ASSERT_EQ(ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate.get())), 1);
  EXPECT_TRUE(days == 30 || days == 29) << days;
}

TEST_F(OpenSslDtlsTest, AKeyThatIsNotTheCertificatesMakesNoIdentity) {
  const std::string ours = client_.identity->pem();
  const std::string theirs = server_.identity->pem();
  const auto key_at = [](const std::string& pem) { return pem.find("-----BEGIN PRIVATE KEY"); };
  ASSERT_NE(key_at(ours), std::string::npos);
  EXPECT_EQ(backend_.identity_of(ours.substr(0, key_at(ours))), nullptr) << "no key";
  EXPECT_EQ(backend_.identity_of(ours.substr(key_at(ours))), nullptr) << "no certificate";
  EXPECT_EQ(backend_.identity_of(ours.substr(0, key_at(ours)) + theirs.substr(key_at(theirs))), nullptr);
  EXPECT_NE(backend_.identity_of(ours), nullptr);
  EXPECT_EQ(ERR_peek_error(), 0ul) << "no error is left for another association";
}

/// A client by OpenSSL alone, over memory.
class Foreign {
 public:
  explicit Foreign(const std::string& pem, const char* profiles, bool shows_certificate = true,
                   int version = DTLS1_2_VERSION)
      : context_(SSL_CTX_new(DTLS_client_method())) {
    SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    if (shows_certificate) {
      EXPECT_EQ(SSL_CTX_use_certificate(context_.get(), certificate_in(pem).get()), 1);
      EXPECT_EQ(SSL_CTX_use_PrivateKey(context_.get(), key_in(pem).get()), 1);
    }
    if (profiles != nullptr) {
      EXPECT_EQ(SSL_CTX_set_tlsext_use_srtp(context_.get(), profiles), 0);
    }
    session_.reset(SSL_new(context_.get()));
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(session_.get(), in_, out_);  // it owns both
    SSL_set_options(session_.get(), SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(session_.get(), 1200);
    SSL_set_connect_state(session_.get());
  }
  /// Handshakes with `server` as far as it goes. True if this side is content.
  bool meet(Side& server) {
    int result = 0;
    for (int turn = 0; turn < 10 && result != 1; ++turn) {
      result = SSL_do_handshake(session_.get());
      ERR_clear_error();
      Octets said(1 << 16);
      const int size = BIO_read(out_, said.data(), static_cast<int>(said.size()));
      // Record by record: the memory has joined the datagrams.
      for (std::size_t at = 0; size > 0 && at < static_cast<std::size_t>(size);) {
        const std::size_t record = 13u + read_u16(said, at + 11);
        server.take(Bytes(said).subspan(at, record));
        at += record;
      }
      for (const Octets& each : server.flight()) BIO_write(in_, each.data(), static_cast<int>(each.size()));
    }
    return result == 1;
  }
  /// What the exporter of RFC 5764 §4.2 gives this side.
  Octets exported(std::size_t size) {
    Octets out(size);
    const std::string label = "EXTRACTOR-dtls_srtp";
    EXPECT_EQ(SSL_export_keying_material(session_.get(), reinterpret_cast<unsigned char*>(out.data()), size,
                                         label.data(), label.size(), nullptr, 0, 0),
              1);
    return out;
  }

 private:
  Held<SSL_CTX> context_;
  Held<SSL> session_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
};

TEST_F(OpenSslDtlsTest, DTL10_TheKeysAreThoseOfTheExporterInTheOrderOfTheRfc) {
  const struct {
    const char* offered;
    SrtpSuite suite;
  } rows[] = {{"SRTP_AEAD_AES_256_GCM", SrtpSuite::kAeadAes256Gcm},
              {"SRTP_AEAD_AES_128_GCM", SrtpSuite::kAeadAes128Gcm},
              {"SRTP_AES128_CM_SHA1_80", SrtpSuite::kAes128Cm80},
              {"SRTP_AES128_CM_SHA1_32", SrtpSuite::kAes128Cm32},
              {"SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80", SrtpSuite::kAes128Cm80},
              {"SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM", SrtpSuite::kAeadAes128Gcm}};
  for (const auto& row : rows) {
    Side server(backend_, DtlsRole::kServer);
    Foreign client(client_.identity->pem(), row.offered);
    ASSERT_TRUE(client.meet(server)) << row.offered;
    const auto keys = server.association->keys();
    ASSERT_TRUE(keys) << row.offered;
    EXPECT_EQ(keys->receive.suite, row.suite) << row.offered;
    const SrtpSuiteRow& suite = row_of(row.suite);
    const Octets all = client.exported(2u * (suite.key + suite.salt));
    Octets ours;  // client's key, server's key, client's salt, server's salt
    for (const Bytes part :
         {keys->receive.key.get(), keys->send.key.get(), keys->receive.salt.get(), keys->send.salt.get()})
      ours.insert(ours.end(), part.begin(), part.end());
    EXPECT_EQ(ours, all) << row.offered;
    EXPECT_TRUE(keys->send.mki.empty());
  }
}

TEST_F(OpenSslDtlsTest, WhoCannotGiveKeysIsRefused) {
  const std::string pem = client_.identity->pem();
  const struct {
    const char* what;
    const char* profiles;
    bool shows_certificate;
    int version;
  } rows[] = {{"DTL-10: no profile", nullptr, true, DTLS1_2_VERSION},
              {"no certificate", "SRTP_AES128_CM_SHA1_80", false, DTLS1_2_VERSION},
              {"DTL-7: DTLS 1.0", "SRTP_AES128_CM_SHA1_80", true, DTLS1_VERSION}};
  for (const auto& row : rows) {
    Side server(backend_, DtlsRole::kServer);
    Foreign client(pem, row.profiles, row.shows_certificate, row.version);
    static_cast<void>(client.meet(server));
    EXPECT_EQ(server.take({}), State::kFailed) << row.what;
    EXPECT_FALSE(server.association->keys()) << row.what;
  }
}

}  // namespace
}  // namespace ferry::openssl_dtls_test
