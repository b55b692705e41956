// SPDX-License-Identifier: Apache-2.0
// Takes HEP packets apart, for tests.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace ferry::telemetry {

/// The chunks of a packet by their type. Fails the test if the lengths do not add up.
inline std::map<unsigned, std::string> hep_chunks(std::string_view packet) {
  const auto u16 = [&](std::size_t at) {
    return static_cast<unsigned>(static_cast<unsigned char>(packet[at])) << 8 |
           static_cast<unsigned char>(packet[at + 1]);
  };
  std::map<unsigned, std::string> chunks;
  EXPECT_EQ(packet.substr(0, 4), "HEP3");
  EXPECT_EQ(u16(4), packet.size());
  for (std::size_t at = 6; at < packet.size();) {
    const unsigned size = u16(at + 4);
    if (size < 6 || at + size > packet.size()) {
      ADD_FAILURE() << "a chunk of " << size << " octets at " << at;
      break;
    }
    EXPECT_EQ(u16(at), 0u) << "the generic vendor";
    EXPECT_TRUE(chunks.emplace(u16(at + 2), packet.substr(at + 6, size - 6)).second);
    at += size;
  }
  return chunks;
}

}  // namespace ferry::telemetry
