// SPDX-License-Identifier: Apache-2.0
#include "relay/core/dtls/records.hpp"

#include "tests/support/fake_dtls.hpp"

#include <gtest/gtest.h>

namespace ferry::test::records_test {
namespace {

using Progress = HelloAssembly::Progress;
const FakeRandom kRandom = random_of(1);

TEST(DtlsRecordsTest, DTL13_AHelloWithoutItsCookieInTheFirstPieceIsNone) {
  const Octets body = hello_body(kRandom, Octets(20));
  for (std::size_t size = 0; size <= body.size(); ++size) {
    const auto hello = parse_client_hello(dtls_message(kClientHello, 1, body, 0, size));
    EXPECT_EQ(hello.has_value(), size >= 2 + 32 + 1 + 1 + 20) << size;
    EXPECT_TRUE(is_hello_piece(dtls_message(kClientHello, 1, body, 0, size)));
  }
  EXPECT_FALSE(parse_client_hello(dtls_message(kClientHello, 1, body, 1)));
  EXPECT_FALSE(is_hello_piece(dtls_message(kServerHello, 1, body)));
}

TEST(DtlsRecordsTest, DTL13_NothingIsAssembledBeforeTheFirstPiece) {
  const Octets body = hello_body(kRandom, Octets(20));
  HelloAssembly assembly;
  EXPECT_EQ(assembly.take(dtls_message(kClientHello, 1, body)), Progress::kRefused);
  EXPECT_EQ(assembly.take(dtls_message(kClientHello, 1, body, 80)), Progress::kRefused);
  EXPECT_FALSE(assembly.is_open());
  EXPECT_EQ(assembly.begin(dtls_message(kClientHello, 1, body, 80)), Progress::kRefused);
  EXPECT_EQ(assembly.begin(dtls_message(kClientHello, 1, body, 0, 80)), Progress::kMore);
  EXPECT_EQ(assembly.take(dtls_message(kClientHello, 2, body, 80)), Progress::kRefused)
      << "of another message";
  EXPECT_EQ(assembly.take(dtls_message(kClientHello, 1, Octets(body.size() + 1), 80)), Progress::kRefused);
  EXPECT_EQ(assembly.take(dtls_message(kClientHello, 1, Octets(body.size()), 70)), Progress::kWhole)
      << "what came first stays";
  const Octets record = assembly.take_record();
  const auto whole = parse_client_hello(record);
  ASSERT_TRUE(whole);
  EXPECT_TRUE(std::ranges::equal(whole->random, kRandom));
  EXPECT_EQ(whole->message_sequence, 1u);
  EXPECT_EQ(whole->piece, whole->length);
  EXPECT_FALSE(assembly.is_open());
}

TEST(DtlsRecordsTest, ALongHelloIsNotKept) {
  HelloAssembly assembly;
  const Octets body = hello_body(kRandom, Octets(20), HelloAssembly::kMax);
  EXPECT_EQ(assembly.begin(dtls_message(kClientHello, 1, body, 0, 1000)), Progress::kRefused);
}

TEST(DtlsRecordsTest, LIM2_ARequestIsShorterThanTheShortestHello) {
  for (std::uint16_t number = 0; number < 3; ++number) {
    const Octets body = hello_body(kRandom, {}, 0);
    const Octets datagram = dtls_message(kClientHello, number, body, 0, 2 + 32 + 1 + 1);
    const auto hello = parse_client_hello(datagram);
    ASSERT_TRUE(hello);
    const Octets request = hello_verify_request(*hello, Octets(20));
    EXPECT_LE(request.size(), datagram.size());
    PieceReader reader(request);
    const auto piece = reader.next();
    ASSERT_TRUE(piece);
    EXPECT_EQ(piece->type, kHelloVerify);
    EXPECT_EQ(piece->sequence, 0u);
  }
}

TEST(DtlsRecordsTest, PiecesAreReadOneAfterTheOther) {
  // Two records, the first with two messages.
  Octets both = dtls_message(kServerHelloDone, 3, {});
  const Octets one = dtls_message(kServerHello, 2, Octets(40));
  Octets body(one.begin() + 13, one.end());
  body.insert(body.end(), both.begin() + 13, both.end());
  Octets datagram = dtls_record(22, 0, body);
  const Octets third = dtls_message(kCertificate, 4, Octets(50), 10, 20);
  datagram.insert(datagram.end(), third.begin(), third.end());
  PieceReader reader(datagram);
  std::vector<std::uint16_t> numbers;
  while (const auto piece = reader.next()) numbers.push_back(piece->sequence);
  EXPECT_EQ(numbers, (std::vector<std::uint16_t>{2, 3, 4}));
  EXPECT_TRUE(reader.is_good());
  const Octets short_record = dtls_record(22, 0, Bytes(body).first(body.size() - 1));
  PieceReader cut(short_record);
  EXPECT_TRUE(cut.next());
  EXPECT_FALSE(cut.next());
  EXPECT_FALSE(cut.is_good());
}

TEST(DtlsRecordsTest, DTL13_AlertsInClearAreNamed) {
  EXPECT_EQ(plain_alert(dtls_alert(2, 40)), (DtlsAlert{2, 40}));
  EXPECT_EQ(to_string(*plain_alert(dtls_alert(2, 40))), "handshake_failure");
  EXPECT_EQ(to_string(*plain_alert(dtls_alert(1, 0))), "close_notify");
  EXPECT_EQ(to_string(DtlsAlert{2, 200}), "unknown");
  EXPECT_FALSE(plain_alert(dtls_record(21, 1, Octets(20)))) << "encrypted";
  EXPECT_FALSE(plain_alert(dtls_message(kClientHello, 0, hello_body(kRandom))));
  EXPECT_EQ(plain_alert(fatal_alert()), (DtlsAlert{2, 10}));
  Octets behind = dtls_message(kClientHello, 0, hello_body(kRandom));
  const Octets alert = dtls_alert(2, 80);
  behind.insert(behind.end(), alert.begin(), alert.end());
  EXPECT_EQ(plain_alert(behind), (DtlsAlert{2, 80}));
}

TEST(DtlsRecordsTest, CutAndSpoiledRecordsAreLeftOut) {
  const std::vector<std::byte> good = {std::byte{22}, std::byte{0xfe}, std::byte{0xfd}, std::byte{0},
                                       std::byte{0},  std::byte{0},    std::byte{0},    std::byte{0},
                                       std::byte{0},  std::byte{0},    std::byte{1},    std::byte{0},
                                       std::byte{1},  std::byte{7}};
  EXPECT_EQ(sift_records(good), good);
  EXPECT_TRUE(sift_records(Bytes(good).first(13)).empty());
  EXPECT_TRUE(sift_records({}).empty());
  auto two = good;
  two.insert(two.end(), good.begin(), good.end() - 1);
  EXPECT_EQ(sift_records(two), good);
  auto heartbeat = good;
  heartbeat[0] = std::byte{24};
  EXPECT_TRUE(sift_records(heartbeat).empty());
  EXPECT_FALSE(parse_client_hello(good));
}

}  // namespace
}  // namespace ferry::test::records_test
