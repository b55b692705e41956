// Numbers of header extensions toward each party, and what of them is agreed (webrtc EXT-1 to EXT-5).

#include "control/session/media_extensions.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using Map = HeaderExtensionMap;
using Words = std::vector<std::string>;

constexpr std::string_view kTransportCc =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

std::vector<sdp::Extmap> maps(const Words& lines) {
  std::vector<sdp::Extmap> read;
  for (const std::string& line : lines) {
    if (const auto map = sdp::parse_extmap(line)) read.push_back(*map);
  }
  return read;
}

/// Two parties and the table of each.
struct Pair {
  MediaExtensions a;
  MediaExtensions b;
  ExtensionRules rules;

  Words offer(const Words& lines) { return offer_extensions(a, b, maps(lines), rules); }
  Words answer(const Words& lines) { return answer_extensions(b, a, maps(lines), rules); }
  Words offer_back(const Words& lines) { return offer_extensions(b, a, maps(lines), rules); }
  Words answer_back(const Words& lines) { return answer_extensions(a, b, maps(lines), rules); }
  [[nodiscard]] Map to_b(bool same_mid = true) const { return extension_map(&a, &b, same_mid); }
  [[nodiscard]] Map to_a() const { return extension_map(&b, &a, true); }
};

// RFC 8285 §6: 4096 to 4351 leave the number to the answerer.
TEST(MediaExtensions, UrisWithoutANumberDoNotAddUpOverOffers) {
  Pair pair;
  for (int n = 0; n < 20; ++n) {
    Words lines;
    for (int id = 4096; id <= 4351; ++id)
      lines.push_back(std::to_string(id) + " urn:x:" + std::to_string(n) + ":" + std::to_string(id));
    pair.offer(lines);
  }
  EXPECT_LE(pair.a.entries.size(), 256u + 255u);
}

TEST(Extmap, Rfc8285Line_IsRead) {
  struct Row {
    const char* value;
    unsigned id;  // 0 = it is none
    sdp::Direction direction;
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
    const auto map = sdp::parse_extmap(row.value);
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
  const auto session = sdp::parse(text);
  ASSERT_TRUE(session);
  const auto audio = sdp::extmaps_of(*session, session->media[0]);
  ASSERT_EQ(audio.size(), 2u);
  EXPECT_EQ(audio[0].id, 5u) << "the section speaks before the session, its first line before others";
  EXPECT_EQ(audio[1].uri, "urn:b");
  const auto video = sdp::extmaps_of(*session, session->media[1]);
  ASSERT_EQ(video.size(), 2u);
  EXPECT_EQ(video[0].uri, "urn:c");
  EXPECT_EQ(video[1].uri, "urn:a") << "number 2 is taken";
}

TEST(MediaExtensions, EXT1_APartyKeepsItsNumbers) {
  Pair call;
  EXPECT_EQ(call.offer({"1 urn:a", "2 urn:b", "3/sendonly urn:c x"}),
            (Words{"1 urn:a", "2 urn:b", "3/sendonly urn:c x"}))
      << "a new party gets the offerer's";
  EXPECT_EQ(call.answer({"1 urn:a", "3/recvonly urn:c"}), (Words{"1 urn:a", "3/recvonly urn:c"}));
  // B counts differently now: toward A the numbers are A's, and new ones are free there.
  EXPECT_EQ(call.offer_back({"7 urn:a", "1 urn:d", "2 urn:e"}), (Words{"1 urn:a", "4 urn:d", "5 urn:e"}));
  EXPECT_EQ(call.answer_back({"1 urn:a", "4 urn:d"}), (Words{"7 urn:a", "1 urn:d"}));
  EXPECT_EQ(call.to_b(), Map({{1, 7}, {4, 1}}));
  EXPECT_EQ(call.to_a(), Map({{7, 1}, {1, 4}}));
  // A again, with its own.
  EXPECT_EQ(call.offer({"1 urn:a", "2 urn:b"}), (Words{"7 urn:a", "4 urn:b"})) << "2 means urn:e there";
}

TEST(MediaExtensions, WEB9_AnAnswerHasWhatTheOfferHad) {
  struct Row {
    const char* what;
    Words offer;
    Words answer;
    Words toward_a;
    Map to_b;
    Map to_a;
  };
  const Map none{std::vector<Map::Entry>{}};
  const Row rows[] = {
      {"all", {"1 urn:a"}, {"1 urn:a"}, {"1 urn:a"}, {}, {}},
      {"none", {"1 urn:a"}, {}, {}, none, none},
      {"one more", {"1 urn:a"}, {"1 urn:a", "2 urn:b"}, {"1 urn:a"}, Map({{1, 1}}), Map({{1, 1}})},
      {"nobody has any", {}, {}, {}, {}, {}},
      {"only the answer", {}, {"2 urn:b"}, {}, none, none},
      {"another number in the answer", {"1 urn:a"}, {"5 urn:a"}, {"1 urn:a"}, Map({{1, 5}}), Map({{5, 1}})},
      {"numbers that changed places in the answer",
       {"1 urn:a", "2 urn:b"},
       {"1 urn:b", "2 urn:a"},
       {"2 urn:b", "1 urn:a"},
       Map({{1, 2}, {2, 1}}),
       Map({{2, 1}, {1, 2}})},
      {"one way", {"1/sendonly urn:a"}, {"1/recvonly urn:a"}, {"1/recvonly urn:a"}, {}, none},
      {"one way, answered both ways", {"1/sendonly urn:a"}, {"1 urn:a"}, {"1/recvonly urn:a"}, {}, none},
      {"the other way", {"1/recvonly urn:a"}, {"1 urn:a"}, {"1/sendonly urn:a"}, none, {}},
      {"both ways, answered one way", {"1 urn:a"}, {"1/sendonly urn:a"}, {"1/sendonly urn:a"}, none, {}},
      {"the number is left to the answerer", {"4096 urn:a"}, {"1 urn:a"}, {"1 urn:a"}, {}, {}},
      {"encrypted ones are refused",
       {"1 urn:ietf:params:rtp-hdrext:encrypt urn:a", "2 urn:b"},
       {"2 urn:b"},
       {"2 urn:b"},
       Map({{2, 2}}),
       Map({{2, 2}})},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Pair call;
    call.offer(row.offer);
    EXPECT_EQ(call.answer(row.answer), row.toward_a);
    EXPECT_EQ(call.to_b(), row.to_b);
    EXPECT_EQ(call.to_a(), row.to_a);
  }
}

TEST(MediaExtensions, StripAndMask_DecideWhatIsShownAndWhatPasses) {
  Pair call;
  const Words strip = {"urn:a"};
  const Words mask = {"urn:b"};
  call.rules.strip = strip;
  call.rules.mask = mask;
  EXPECT_EQ(call.offer({"1 urn:a", "2/sendonly urn:b", "3 urn:c"}), (Words{"3 urn:c"}));
  EXPECT_EQ(call.answer({"3 urn:c"}), (Words{"3 urn:c", "2/recvonly urn:b"}));
  EXPECT_EQ(call.to_b(), Map({{3, 3}}));
  EXPECT_EQ(call.to_a(), Map({{3, 3}}));
  const Words all = {"all"};
  call.rules.strip = all;
  EXPECT_EQ(call.offer({"1 urn:a", "3 urn:c"}), Words{});
  EXPECT_EQ(call.to_b(), Map({{3, 3}})) << "what was answered stays until the next answer";
  EXPECT_EQ(call.answer({}), Words{});
  EXPECT_EQ(call.to_b(), Map(std::vector<Map::Entry>{}));
}

TEST(MediaExtensions, EXT3_NumbersThatWeChoose) {
  struct Row {
    const char* what;
    Words of_a;    // A's own, by an offer
    Words from_b;  // then B offers
    bool mixed;    // A takes numbers above 14
    Words toward_a;
  };
  const Words full = {"1 urn:1", "2 urn:2", "3 urn:3",   "4 urn:4",   "5 urn:5",   "6 urn:6",   "7 urn:7",
                      "8 urn:8", "9 urn:9", "10 urn:10", "11 urn:11", "12 urn:12", "13 urn:13", "14 urn:14"};
  const Row rows[] = {
      {"the other's, if it is free", {"1 urn:a"}, {"9 urn:b"}, false, {"9 urn:b"}},
      {"the lowest free one", {"1 urn:a", "2 urn:b"}, {"1 urn:c"}, false, {"3 urn:c"}},
      {"none is left", full, {"1 urn:x"}, false, {}},
      {"none but above 15", full, {"1 urn:x"}, true, {"16 urn:x"}},
      {"the other's above 15", full, {"200 urn:x"}, true, {"200 urn:x"}},
      {"the other's above 15, which A does not take", {"1 urn:a"}, {"200 urn:x"}, false, {"2 urn:x"}},
      {"left to us", {"1 urn:a"}, {"4100 urn:b"}, false, {"2 urn:b"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Pair call;
    call.offer(row.of_a);
    call.answer({});
    call.a.allows_mixed = row.mixed;
    call.rules.knows_receiver = true;
    EXPECT_EQ(call.offer_back(row.from_b), row.toward_a);
  }
  // Numbers of a group hold in all of its sections.
  Pair audio;
  audio.offer({"1 urn:a", "3 urn:t"});
  Pair video;
  video.rules.others = {&audio.a};
  EXPECT_EQ(video.offer_back({"1 urn:b", "2 urn:t"}), (Words{"1 urn:b", "2 urn:t"}));
  Pair member;
  member.rules.others = {&audio.a};
  member.rules.is_group = true;
  EXPECT_EQ(member.offer_back({"1 urn:b", "2 urn:t"}), (Words{"2 urn:b", "3 urn:t"}));
}

TEST(MediaExtensions, FB4_TransportCcIsAgreedWithFeedbackOnly) {
  const Words lines = {"1 urn:a", "3 " + std::string(kTransportCc)};
  for (const bool has_feedback : {true, false}) {
    Pair call;
    call.offer(lines);
    call.rules.has_feedback = has_feedback;
    EXPECT_EQ(call.answer(lines), has_feedback ? lines : Words{"1 urn:a"});
    EXPECT_EQ(call.to_b(), has_feedback ? Map() : Map({{1, 1}}));
  }
}

TEST(MediaExtensions, EXT4_MidPassesWhereItMeansTheSame) {
  Pair call;
  call.offer({"1 urn:a", "4 urn:ietf:params:rtp-hdrext:sdes:mid"});
  call.answer({"1 urn:a", "4 urn:ietf:params:rtp-hdrext:sdes:mid"});
  EXPECT_EQ(call.to_b(true), Map());
  EXPECT_EQ(call.to_b(false), Map({{1, 1}}));
}

TEST(MediaExtensions, BeforeTheFirstAnswerTheOfferCounts) {
  Pair call;
  call.offer({"1 urn:a", "2/recvonly urn:b"});
  EXPECT_EQ(call.to_b(), Map({{1, 1}}));
  EXPECT_EQ(call.to_a(), Map()) << "early media";
}

TEST(MediaExtensions, ASubscriberIsShownWhatTheSourceSends) {
  Pair call;
  call.offer({"1 urn:a", "2 urn:b", "3/recvonly urn:c"});
  call.answer({"1 urn:a", "3 urn:c"});
  MediaExtensions subscriber;
  const Words lines = {"1 urn:a", "2 urn:b", "3/recvonly urn:c"};
  const auto own = maps(lines);  // views into them
  EXPECT_EQ(show_extensions(&call.a, subscriber, own, {}), (Words{"1 urn:a"}));
  settle_extensions(subscriber, maps({"1 urn:a"}));
  EXPECT_EQ(extension_map(&call.a, &subscriber, true), Map({{1, 1}}));
  settle_extensions(subscriber, {});
  EXPECT_EQ(extension_map(&call.a, &subscriber, true), Map(std::vector<Map::Entry>{}));
  EXPECT_EQ(show_extensions(nullptr, subscriber, own, {}), Words{});
}

}  // namespace
}  // namespace ferry
