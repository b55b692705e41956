// SPDX-License-Identifier: Apache-2.0
// a=extmap lines (RFC 8285 §5).
#include "control/sdp/extmap.hpp"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::sdp {
namespace {

TEST(Extmap, Rfc8285Line_IsRead) {
  struct Row {
    const char* value;
    unsigned id;  // 0 = it is none
    Direction direction;
    const char* uri;
    const char* attributes;
  };
  const Row rows[] = {
      {"1 urn:a", 1, {}, "urn:a", ""},
      {"2/sendonly urn:a", 2, {true, false}, "urn:a", ""},
      {"14/recvonly  urn:a  x=1 y ", 14, {false, true}, "urn:a", "x=1 y"},
      {"255/inactive urn:a", 255, {false, false}, "urn:a", ""},
      {"3/SendRecv urn:a", 3, {}, "urn:a", ""},
      {"4096 urn:a", 4096, {}, "urn:a", ""},
      {"256 urn:a", 0, {}, "", ""},
      {"0 urn:a", 0, {}, "", ""},
      {"x urn:a", 0, {}, "", ""},
      {"1/both urn:a", 0, {}, "", ""},
      {"1", 0, {}, "", ""},
      {"", 0, {}, "", ""},
  };
  for (const Row& row : rows) {
    const auto map = parse_extmap(row.value);
    ASSERT_EQ(map.has_value(), row.id != 0) << row.value;
    if (!map) continue;
    EXPECT_EQ(map->id, row.id) << row.value;
    EXPECT_EQ(map->direction, row.direction) << row.value;
    EXPECT_EQ(map->uri, row.uri);
    EXPECT_EQ(map->attributes, row.attributes);
  }
}

TEST(Extmap, Rfc8285SessionLevel_IsForAllSections) {
  const std::string text =
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=extmap:1 urn:a\r\n"
      "a=extmap:2 urn:b\r\nm=audio 4000 RTP/AVP 8\r\na=extmap:5 urn:a\r\na=extmap:6 urn:a\r\n"
      "m=video 4002 RTP/AVP 96\r\na=extmap:2 urn:c\r\n";
  const auto session = parse(text);
  ASSERT_TRUE(session);
  const auto audio = extmaps_of(*session, session->media[0]);
  ASSERT_EQ(audio.size(), 2u);
  EXPECT_EQ(audio[0].id, 5u) << "the section speaks before the session, its first line before others";
  EXPECT_EQ(audio[1].uri, "urn:b");
  const auto video = extmaps_of(*session, session->media[1]);
  ASSERT_EQ(video.size(), 2u);
  EXPECT_EQ(video[0].uri, "urn:c");
  EXPECT_EQ(video[1].uri, "urn:a") << "number 2 is taken";
}

TEST(Extmap, Rfc8285Mixed_IsAllowedByALineOfTheSectionOrTheSession) {
  const auto allows = [](const std::string& session, const std::string& section) {
    const std::string text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" +
                             session + "m=audio 4000 RTP/AVP 8\r\n" + section;
    const auto parsed = parse(text);
    return allows_mixed_extensions(*parsed, parsed->media.front());
  };
  EXPECT_FALSE(allows("", ""));
  EXPECT_TRUE(allows("a=extmap-allow-mixed\r\n", ""));
  EXPECT_TRUE(allows("", "a=extmap-allow-mixed\r\n"));
  EXPECT_FALSE(allows("a=extmap:1 urn:a\r\n", "a=extmap:1 urn:a\r\n"));
}

TEST(Extmap, ADirectionOfBothWaysIsNotWritten) {
  EXPECT_EQ(write_extmap(1, {}, "urn:a", ""), "1 urn:a");
  EXPECT_EQ(write_extmap(14, {true, false}, "urn:a", "x y"), "14/sendonly urn:a x y");
  EXPECT_EQ(write_extmap(255, {false, true}, "urn:a", ""), "255/recvonly urn:a");
  EXPECT_EQ(write_extmap(4096, {false, false}, "urn:a", ""), "4096/inactive urn:a");
}

TEST(Extmap, IsReadAsItWasWritten) {
  EXPECT_TRUE(rc::check([] {
    const unsigned id = *rc::gen::oneOf(rc::gen::inRange(1u, 256u), rc::gen::inRange(4096u, 4352u));
    const Direction direction{*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()};
    const std::string attributes = *rc::gen::element<std::string>("", "x", "x=1 y=2");
    const std::string text = write_extmap(id, direction, "urn:a", attributes);
    const auto map = parse_extmap(text);
    RC_ASSERT(map.has_value());
    RC_ASSERT(map->id == id && map->direction == direction && map->uri == "urn:a" &&
              map->attributes == attributes);
  }));
}

}  // namespace
}  // namespace ferry::sdp
