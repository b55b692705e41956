// SPDX-License-Identifier: Apache-2.0
// Frames of WebSocket (RFC 6455).

#include "control/protocol/http/web_socket.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using http::shape_of_frame;

TEST(WebSocket, Rfc6455_ShapesOfFrames) {
  const struct {
    const char* what;
    std::string octets;
    std::uint64_t size;  // 0 = the header is not whole
    bool is_control;
    bool is_final;
  } rows[] = {
      {"nothing", "", 0, false, false},
      {"an octet", "\x81", 0, false, false},
      {"text", std::string("\x81\x85", 2), 0, false, false},
      {"text with its mask", std::string("\x81\x85mask", 6), 11, false, true},
      {"a fragment", std::string("\x01\x80mask", 6), 6, false, false},
      {"ping", std::string("\x89\x80mask", 6), 6, true, true},
      {"close", std::string("\x88\x82mask", 6), 8, true, true},
      {"without a mask", std::string("\x82\x05", 2), 7, false, true},
      {"16 bits, half", std::string("\x81\xfe\x01", 3), 0, false, false},
      {"16 bits", std::string("\x81\xfe\x01\x00mask", 8), 264, false, true},
      {"64 bits", std::string("\x81\xff\0\0\0\0\0\x04\0\0mask", 14), 262158, false, true},
      {"2^64-1", std::string("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xffmask", 14), (1ULL << 62) + 14, false,
       true},
  };
  for (const auto& row : rows) {
    const auto shape = shape_of_frame(row.octets);
    ASSERT_EQ(shape.has_value(), row.size != 0) << row.what;
    if (!shape) continue;
    EXPECT_EQ(shape->size, row.size) << row.what;
    EXPECT_EQ(shape->is_control, row.is_control) << row.what;
    EXPECT_EQ(shape->is_final, row.is_final) << row.what;
  }
}

TEST(WebSocket, Rfc6455_TheKeyOfTheExample) {
  EXPECT_EQ(http::accept_value("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace ferry::test
