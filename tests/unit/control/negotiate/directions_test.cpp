// SPDX-License-Identifier: Apache-2.0
// What a party may send and receive, and what a subscriber is offered (docs/reference/ng.md#direction).
#include "control/negotiate/directions.hpp"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using sdp::Direction;

constexpr Direction kBoth{true, true};
constexpr Direction kSends{true, false};
constexpr Direction kReceives{false, true};
constexpr Direction kNothing{false, false};

TEST(TakeDirection, IsWhatThePartySaysAsFarAsItMay) {
  struct Row {
    Direction said;
    Direction most;
    Direction taken;
  };
  const Row rows[] = {
      {kBoth, kBoth, kBoth},       {kSends, kBoth, kSends},       {kReceives, kBoth, kReceives},
      {kNothing, kBoth, kNothing}, {kBoth, kOnHold, kSends},      {kReceives, kOnHold, kNothing},
      {kSends, kOnHold, kSends},   {kBoth, kReceives, kReceives}, {kSends, kReceives, kNothing},
      {kBoth, kNothing, kNothing},
  };
  for (const Row& row : rows) {
    Media media;
    take_direction(media, row.said, row.most);
    EXPECT_EQ((Direction{media.may_send, media.may_receive}), row.taken)
        << to_string(row.said) << " of at most " << to_string(row.most);
  }
}

TEST(TakeDirection, WithoutABoundTheLastWordCounts) {
  Media media;
  take_direction(media, kNothing);
  take_direction(media, kBoth);
  EXPECT_TRUE(media.may_send);
  EXPECT_TRUE(media.may_receive);
}

TEST(IsOnHold, ByTheUnspecifiedAddressWithoutIce) {
  const auto hold = [](const std::string& address, const std::string& lines) {
    const std::string text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n" +
                             (address.empty() ? "" : "c=IN " + address + "\r\n") + lines;
    return is_on_hold(sdp::parse(text).value().media.front());
  };
  EXPECT_TRUE(hold("IP4 0.0.0.0", ""));
  EXPECT_TRUE(hold("IP6 ::", ""));
  EXPECT_FALSE(hold("IP4 192.0.2.1", ""));
  EXPECT_FALSE(hold("", "")) << "a section without an address is refused elsewhere";
  EXPECT_FALSE(hold("IP4 192.0.2.1", "a=inactive\r\n")) << "that is another hold";
  EXPECT_FALSE(hold("IP4 0.0.0.0", "a=ice-ufrag:Qz8d\r\na=ice-pwd:4hJk8LmN2pQrStUvWxYzAbCd\r\n"));
}

struct CopyRow {
  const char* name;
  std::vector<Direction> sources;
  std::vector<Flag> flags;
  Direction offered;
};
void PrintTo(const CopyRow& row, std::ostream* out) { *out << row.name; }

class CopiedDirection : public ::testing::TestWithParam<CopyRow> {};

TEST_P(CopiedDirection, FollowsTheSources) {
  std::vector<std::unique_ptr<Media>> medias;
  std::vector<Media*> sources;
  for (const Direction direction : GetParam().sources) {
    sources.push_back(medias.emplace_back(std::make_unique<Media>()).get());
    take_direction(*sources.back(), direction);
  }
  Request request;
  for (const Flag flag : GetParam().flags) request.flags.set(static_cast<std::size_t>(flag));
  EXPECT_EQ(copied_direction(sources, request), GetParam().offered);
}

INSTANTIATE_TEST_SUITE_P(
    Table, CopiedDirection,
    ::testing::Values(CopyRow{"ASourceThatSends", {kBoth}, {}, kSends},
                      CopyRow{"ASourceOnHold", {kReceives}, {}, kNothing},
                      CopyRow{"OneOfTwoSends", {kReceives, kSends}, {}, kSends},
                      CopyRow{"EgressOfOneThatReceives", {kReceives}, {Flag::kEgress}, kSends},
                      CopyRow{"EgressOfOneThatOnlySends", {kSends}, {Flag::kEgress}, kNothing},
                      CopyRow{"BothWays", {kBoth}, {Flag::kBidirectional}, kBoth},
                      CopyRow{"BothWaysButTheSourceOnlySends", {kSends}, {Flag::kBidirectional}, kSends},
                      CopyRow{
                          "BothWaysButTheSourceOnlyReceives", {kReceives}, {Flag::kBidirectional}, kReceives},
                      CopyRow{"BothWaysOfTwo", {kSends, kReceives}, {Flag::kBidirectional}, kBoth},
                      CopyRow{"Inactive", {kBoth}, {Flag::kInactive}, kNothing},
                      CopyRow{"InactiveWins", {kBoth}, {Flag::kInactive, Flag::kBidirectional}, kNothing}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(CopiedDirection, LAT15_AnOfferThatWaitsDoesNotCount) {
  Media source;
  take_direction(source, kNothing);
  source.agreed = std::make_unique<MediaTerms>();
  const std::vector<Media*> sources = {&source};
  EXPECT_EQ(copied_direction(sources, {}), kSends) << "it was agreed that it sends";
}

}  // namespace
}  // namespace ferry::test
