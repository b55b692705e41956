// SPDX-License-Identifier: Apache-2.0
// Where a message of an NG stream ends.

#include "control/protocol/ng/stream_framing.hpp"

#include <string>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using ng::Framing;
using ng::StreamFraming;

TEST(StreamFraming, MessagesInAnyPieces) {
  const char* messages[] = {
      "c d7:command4:pinge",
      "cookie d1:ali1ei-2e0:3:e:xe1:bd1:cdeee",
      "c i5e",
      "c 4:ping",
      "c 0:",
      "c le",
      R"(c {"a":"}\"{\\","b":[{},[1]]})",
      "c {}",
  };
  for (const std::string message : messages) {
    for (std::size_t piece = 1; piece <= message.size(); ++piece) {
      StreamFraming framing;
      for (std::size_t have = piece; have < message.size(); have += piece)
        ASSERT_EQ(framing.look(message.substr(0, have)), Framing::kIncomplete) << message << " " << have;
      EXPECT_EQ(framing.look(message + "next d"), Framing::kWhole) << message;
      EXPECT_EQ(framing.size(), message.size()) << message;
      framing.reset();
      EXPECT_EQ(framing.look("n d"), Framing::kIncomplete);
    }
  }
}

TEST(StreamFraming, CTL4_TableOfWhatIsNone) {
  const struct {
    std::string text;
    Framing found;
  } rows[] = {
      {"c x", Framing::kBroken},
      {"c e", Framing::kBroken},
      {"c d1", Framing::kIncomplete},
      {"c d1x", Framing::kBroken},
      {"c i", Framing::kIncomplete},
      {"c i1x", Framing::kBroken},
      {"c i" + std::string(21, '1'), Framing::kBroken},
      {"c 99999999", Framing::kBroken},
      {"c 9999999:", Framing::kTooLarge},
      {"c d262145:", Framing::kTooLarge},
      {"c 9223372036854775808:", Framing::kBroken},
      {"c " + std::string(16, 'l'), Framing::kIncomplete},
      {"c " + std::string(17, 'l'), Framing::kBroken},
      {"c {" + std::string(15, '['), Framing::kIncomplete},
      {"c {" + std::string(16, '['), Framing::kBroken},
      {std::string(1024, 'c'), Framing::kIncomplete},
      {std::string(1025, 'c'), Framing::kTooLarge},
      {std::string(1025, 'c') + " de", Framing::kTooLarge},
      {"c {\"" + std::string(262'141, 'x'), Framing::kIncomplete},
      {"c {\"" + std::string(262'142, 'x'), Framing::kTooLarge},
      {"c l262000:" + std::string(262'000, 'x') + std::string(200, 'i'), Framing::kBroken},
  };
  for (const auto& row : rows) {
    StreamFraming framing;
    EXPECT_EQ(framing.look(row.text), row.found) << row.text.substr(0, 40) << " of " << row.text.size();
  }
}

// A message that came octet by octet was decoded anew for each: 256 kB took minutes.
TEST(StreamFraming, CTL12_EachOctetIsLookedAtOnce) {
  const std::string message = "c l262000:" + std::string(262'000, 'x') + "e";
  StreamFraming framing;
  for (std::size_t have = 1; have < message.size(); ++have)
    ASSERT_EQ(framing.look(std::string_view(message).substr(0, have)), Framing::kIncomplete);
  EXPECT_EQ(framing.look(message), Framing::kWhole);
  EXPECT_EQ(framing.size(), message.size());
}

}  // namespace
}  // namespace ferry::test
