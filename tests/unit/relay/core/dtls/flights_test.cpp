// SPDX-License-Identifier: Apache-2.0
#include "relay/core/dtls/flights.hpp"

#include "tests/support/fake_dtls.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

TEST(DtlsFlights, DTL13_AMessageThatThePeerCannotHaveToSayIsNotPlausible) {
  const struct {
    std::uint8_t type;
    std::size_t length;
    bool to_client;
    bool to_server;
  } rows[] = {{0, 0, true, false},    {0, 1, false, false},  {1, 150, false, true}, {1, 10, false, false},
              {2, 0, false, false},   {2, 38, true, false},  {3, 0, false, false},  {3, 23, true, false},
              {3, 300, false, false}, {4, 60, true, false},  {11, 3, true, true},   {11, 0, false, false},
              {12, 100, true, false}, {13, 30, true, false}, {14, 0, true, false},  {14, 5, false, false},
              {15, 70, false, true},  {16, 33, false, true}, {16, 0, false, false}, {20, 12, false, false},
              {22, 10, true, false},  {99, 10, false, false}};
  for (const auto& row : rows) {
    const Octets datagram = dtls_message(row.type, 1, Octets(row.length));
    EXPECT_EQ(is_plausible(datagram, DtlsRole::kClient), row.to_client) << int{row.type} << ' ' << row.length;
    EXPECT_EQ(is_plausible(datagram, DtlsRole::kServer), row.to_server) << int{row.type} << ' ' << row.length;
  }
}

TEST(DtlsFlights, DTL12_MessagesAboveTheBoundOfACertificateAreNotPlausible) {
  EXPECT_TRUE(is_plausible(dtls_message(kCertificate, 1, Octets(16 * 1024), 0, 100), DtlsRole::kClient));
  EXPECT_FALSE(is_plausible(dtls_message(kCertificate, 1, Octets(18 * 1024), 0, 100), DtlsRole::kClient));
}

TEST(DtlsFlights, WhatIsEncryptedIsNotLookedAt) {
  EXPECT_TRUE(is_plausible(dtls_record(22, 1, Octets(40)), DtlsRole::kClient));
  EXPECT_TRUE(is_plausible(dtls_record(20, 0, Octets(1)), DtlsRole::kServer));
  EXPECT_FALSE(is_plausible(dtls_record(22, 0, Octets(40)), DtlsRole::kServer));
  EXPECT_FALSE(is_plausible(dtls_record(22, 0, Octets(5)), DtlsRole::kServer));
}

TEST(DtlsFlights, APieceWithoutOctetsSaysNothing) {
  EXPECT_FALSE(is_plausible(dtls_message(kCertificate, 1, Octets(40), 0, 0), DtlsRole::kClient));
}

TEST(DtlsFlights, DTL13_TwoMessagesUnderOneNumberDiffer) {
  const Octets hello = dtls_message(kServerHello, 0, server_hello_body(random_of(1)));
  const Octets other = dtls_message(kServerHello, 0, server_hello_body(random_of(2)));
  const Octets request = dtls_message(kHelloVerify, 0, Octets(23));
  FlightWatch watch;
  EXPECT_TRUE(watch.note(hello));
  EXPECT_TRUE(watch.note(hello)) << "repeated";
  EXPECT_TRUE(watch.note(dtls_message(kCertificate, 1, Octets(40))));
  EXPECT_FALSE(watch.note(other));
  EXPECT_FALSE(watch.note(request));
  FlightWatch pieces;
  EXPECT_TRUE(pieces.note(dtls_message(kCertificate, 1, Octets(400), 0, 200)));
  EXPECT_TRUE(pieces.note(dtls_message(kCertificate, 1, Octets(400), 200)));
  EXPECT_TRUE(pieces.note(dtls_message(kCertificate, 1, Octets(400), 0, 100))) << "cut in another way";
  EXPECT_FALSE(pieces.note(dtls_message(kCertificate, 1, Octets(401), 0, 200)));
  EXPECT_TRUE(pieces.note(dtls_message(kCertificate, 60, Octets(4)))) << "beyond what a server says";
}

}  // namespace
}  // namespace ferry::test
