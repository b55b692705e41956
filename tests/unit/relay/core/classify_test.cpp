// SPDX-License-Identifier: Apache-2.0
// Which protocol a datagram is, by its first octets.

#include "relay/core/classify.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry::classify_test {
namespace {

using test::bytes_of;

TEST(Classify, DMX1_FirstOctetDecides) {
  EXPECT_EQ(classify(bytes_of({0, 1})), DatagramClass::kStun);
  EXPECT_EQ(classify(bytes_of({3, 1})), DatagramClass::kStun);
  EXPECT_EQ(classify(bytes_of({4, 1})), DatagramClass::kUnknown);
  EXPECT_EQ(classify(bytes_of({22, 1})), DatagramClass::kDtls);
  EXPECT_EQ(classify(bytes_of({64, 1})), DatagramClass::kUnknown);
  EXPECT_EQ(classify(bytes_of({0x80, 8})), DatagramClass::kRtp);
  EXPECT_EQ(classify(bytes_of({0xc0, 8})), DatagramClass::kUnknown);
  EXPECT_EQ(classify({}), DatagramClass::kUnknown);
}

TEST(Classify, DMX2_SecondOctetTellsRtcp) {
  EXPECT_EQ(classify(bytes_of({0x80, 192})), DatagramClass::kRtcp);
  EXPECT_EQ(classify(bytes_of({0x80, 223})), DatagramClass::kRtcp);
  EXPECT_EQ(classify(bytes_of({0x80, 191})), DatagramClass::kRtp);
  EXPECT_EQ(classify(bytes_of({0x80, 224})), DatagramClass::kRtp);
}

}  // namespace
}  // namespace ferry::classify_test
