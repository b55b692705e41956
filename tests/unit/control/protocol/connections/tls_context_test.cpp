// SPDX-License-Identifier: Apache-2.0
// Certificates of the listeners.

#include "control/protocol/connections/tls_context.hpp"

#include "tests/support/certificate.hpp"

#include <stdexcept>

namespace ferry::test::tls_context_test {
namespace {

using Names = std::vector<std::string>;

TEST(TlsContext, CTL13_NamesOfTheCertificate) {
  const struct {
    const char* alternatives;
    Names names;
  } rows[] = {
      {"", {"common.example"}},
      {"DNS:a.example,DNS:*.b.example,IP:192.0.2.1", {"a.example", "*.b.example"}},
      {"IP:192.0.2.1", {}},  // with subjectAltName the common name counts for nothing
  };
  for (const auto& row : rows) {
    const TestCertificate certificate(row.alternatives);
    EXPECT_EQ(TlsContext(certificate.file(), {}).names(), row.names) << row.alternatives;
  }
}

TEST(TlsContext, CTL12_TheBudgetFollowsTheKey) {
  const struct {
    unsigned rsa_bits;
    std::uint32_t per_second;
  } rows[] = {{0, 200}, {2048, 100}, {3072, 50}};
  for (const auto& row : rows) {
    const TestCertificate certificate({}, row.rsa_bits);
    EXPECT_EQ(TlsContext(certificate.file(), {}).handshakes_per_second(), row.per_second) << row.rsa_bits;
  }
}

TEST(TlsContext, WhatIsWrongIsSaid) {
  EXPECT_THROW(TlsContext("/nowhere", {}), std::runtime_error);
  const TestCertificate certificate;
  EXPECT_THROW(TlsContext(certificate.file(), "/nowhere"), std::runtime_error);
  EXPECT_THROW(TlsContext(certificate.file(), {}, "/nowhere"), std::runtime_error);
  EXPECT_TRUE(TlsContext(certificate.file(), {}, certificate.file()).asks_for_certificate());
  EXPECT_FALSE(TlsContext(certificate.file(), {}).asks_for_certificate());
}

}  // namespace
}  // namespace ferry::test::tls_context_test
