// SPDX-License-Identifier: Apache-2.0
// The changes that packets need between two parties, by the numbers and the agreements of each (EXT-2,
// EXT-4).
#include "control/call/media_extensions.hpp"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using Map = HeaderExtensionMap;
using Entry = MediaExtensions::Entry;

const std::string kMid = "urn:ietf:params:rtp-hdrext:sdes:mid";
constexpr sdp::Direction kBoth{true, true};
constexpr sdp::Direction kSends{true, false};
constexpr sdp::Direction kReceives{false, true};

Entry entry(std::string uri, std::uint8_t id, std::optional<sdp::Direction> offered,
            std::optional<sdp::Direction> agreed = {}) {
  return {std::move(uri), id, offered, agreed, false};
}
MediaExtensions party(std::vector<Entry> entries, bool is_settled = false) {
  MediaExtensions made;
  made.entries = std::move(entries);
  made.is_settled = is_settled;
  return made;
}

TEST(ExtensionMap, PassesWhatOneSendsAndTheOtherReceives) {
  struct Row {
    const char* what;
    MediaExtensions source;
    MediaExtensions sink;
    Map map;
  };
  const Map none{std::vector<Map::Entry>{}};
  const Row rows[] = {
      {"nobody spoke of any", party({}), party({}), Map()},
      {"the same numbers", party({entry("a", 1, kBoth)}), party({entry("a", 1, kBoth)}), Map()},
      {"other numbers", party({entry("a", 1, kBoth)}), party({entry("a", 7, kBoth)}), Map({{1, 7}})},
      {"the sink knows one more", party({entry("a", 1, kBoth)}),
       party({entry("a", 1, kBoth), entry("b", 2, kBoth)}), Map({{1, 1}})},
      {"the sink has none", party({entry("a", 1, kBoth)}), party({}), none},
      {"the source does not send it", party({entry("a", 1, kReceives)}), party({entry("a", 1, kBoth)}), none},
      {"the sink does not receive it", party({entry("a", 1, kBoth)}), party({entry("a", 1, kSends)}), none},
      {"one way", party({entry("a", 1, kSends)}), party({entry("a", 1, kReceives)}), Map()},
      {"a number was not given yet", party({entry("a", 0, kBoth)}), party({entry("a", 1, kBoth)}), none},
      {"offered, but not agreed", party({entry("a", 1, kBoth)}, true), party({entry("a", 1, kBoth)}), none},
      {"agreed, though offered no more", party({entry("a", 1, {}, kBoth)}, true),
       party({entry("a", 1, {}, kBoth)}, true), Map()},
  };
  for (const Row& row : rows) EXPECT_EQ(extension_map(&row.source, &row.sink, true), row.map) << row.what;
}

TEST(ExtensionMap, WithoutExtensionsAPartyHasNone) {
  const MediaExtensions some = party({entry("a", 1, kBoth)});
  const Map none{std::vector<Map::Entry>{}};
  EXPECT_EQ(extension_map(nullptr, nullptr, true), Map());
  EXPECT_EQ(extension_map(&some, nullptr, true), none);
  EXPECT_EQ(extension_map(nullptr, &some, true), none);
}

TEST(ExtensionMap, EXT4_MidPassesWhereItMeansTheSame) {
  const MediaExtensions both = party({entry("a", 1, kBoth), entry(kMid, 4, kBoth)});
  EXPECT_EQ(extension_map(&both, &both, true), Map());
  EXPECT_EQ(extension_map(&both, &both, false), Map({{1, 1}}));
}

TEST(MediaExtensions, AreFoundByTheirUri) {
  MediaExtensions some = party({entry("a", 1, kBoth), entry("b", 2, kBoth)});
  ASSERT_NE(some.find("b"), nullptr);
  EXPECT_EQ(some.find("b")->id, 2);
  EXPECT_EQ(some.find("c"), nullptr);
}

}  // namespace
}  // namespace ferry
