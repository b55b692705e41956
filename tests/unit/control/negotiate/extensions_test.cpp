// SPDX-License-Identifier: Apache-2.0
// Numbers of header extensions toward each party, and what of them is agreed (EXT-1 to EXT-5).

#include "control/negotiate/extensions.hpp"

#include <memory>
#include <string>
#include <vector>

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

  Words offer(const Words& lines) { return hand_on_offer(a, b, lines); }
  Words answer(const Words& lines) { return hand_on_answer(b, a, lines); }
  Words offer_back(const Words& lines) { return hand_on_offer(b, a, lines); }
  Words answer_back(const Words& lines) { return hand_on_answer(a, b, lines); }
  [[nodiscard]] Map to_b(bool same_mid = true) const { return extension_map(&a, &b, same_mid); }
  [[nodiscard]] Map to_a() const { return extension_map(&b, &a, true); }

 private:
  Words hand_on_offer(MediaExtensions& sender, MediaExtensions& receiver, const Words& lines) const {
    const auto read = maps(lines);
    ExtensionSide(sender, rules).take_offer(read);
    return ExtensionSide(receiver, rules)
        .offer_to(shown_extensions(&sender, read, rules, ExtensionTerms::kHandedOn));
  }
  Words hand_on_answer(MediaExtensions& sender, MediaExtensions& receiver, const Words& lines) const {
    const auto read = maps(lines);
    ExtensionSide(sender, rules).take_answer(read);
    return ExtensionSide(receiver, rules).answer_to(sender, read);
  }
};

// RFC 8285 §6: 4096 to 4351 leave the number to the answerer.
TEST(ExtensionSide, UrisWithoutANumberDoNotAddUpOverOffers) {
  Pair pair;
  for (int n = 0; n < 20; ++n) {
    Words lines;
    for (int id = 4096; id <= 4351; ++id)
      lines.push_back(std::to_string(id) + " urn:x:" + std::to_string(n) + ":" + std::to_string(id));
    pair.offer(lines);
  }
  EXPECT_LE(pair.a.entries.size(), 256u + 255u);
}

TEST(ExtensionSide, EXT1_APartyKeepsItsNumbers) {
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

TEST(ExtensionSide, WEB9_AnAnswerHasWhatTheOfferHad) {
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

TEST(ExtensionSide, StripAndMask_DecideWhatIsShownAndWhatPasses) {
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

TEST(ExtensionSide, EXT3_NumbersThatWeChoose) {
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

// aiortc offers it so. It would read the elements of its audio as those of its video (RFC 9143 §12).
TEST(ExtensionSide, EXT1_ANumberHasOneMeaningInAGroup) {
  for (const bool is_group : {true, false}) {
    Pair audio;
    Pair video;
    video.rules.others = {&audio.a};
    video.rules.is_group = is_group;
    audio.offer({"1 urn:m", "2 urn:level"});
    video.offer({"1 urn:m", "2 urn:time"});
    EXPECT_EQ(audio.answer({"1 urn:m", "2 urn:level"}), (Words{"1 urn:m", "2 urn:level"}));
    EXPECT_EQ(video.answer({"1 urn:m", "2 urn:time"}),
              is_group ? Words{"1 urn:m"} : (Words{"1 urn:m", "2 urn:time"}));
  }
}

TEST(ExtensionSide, FB4_TransportCcIsAgreedWithFeedbackOnly) {
  const Words lines = {"1 urn:a", "3 " + std::string(kTransportCc)};
  for (const bool has_feedback : {true, false}) {
    Pair call;
    call.offer(lines);
    call.rules.has_feedback = has_feedback;
    EXPECT_EQ(call.answer(lines), has_feedback ? lines : Words{"1 urn:a"});
    EXPECT_EQ(call.to_b(), has_feedback ? Map() : Map({{1, 1}}));
  }
}

TEST(ExtensionSide, EXT4_MidPassesWhereItMeansTheSame) {
  Pair call;
  call.offer({"1 urn:a", "4 urn:ietf:params:rtp-hdrext:sdes:mid"});
  call.answer({"1 urn:a", "4 urn:ietf:params:rtp-hdrext:sdes:mid"});
  EXPECT_EQ(call.to_b(true), Map());
  EXPECT_EQ(call.to_b(false), Map({{1, 1}}));
}

TEST(ExtensionSide, BeforeTheFirstAnswerTheOfferCounts) {
  Pair call;
  call.offer({"1 urn:a", "2/recvonly urn:b"});
  EXPECT_EQ(call.to_b(), Map({{1, 1}}));
  EXPECT_EQ(call.to_a(), Map()) << "early media";
}

TEST(ExtensionSide, ASubscriberIsShownWhatTheSourceSends) {
  Pair call;
  call.offer({"1 urn:a", "2 urn:b", "3/recvonly urn:c"});
  call.answer({"1 urn:a", "3 urn:c"});
  MediaExtensions subscriber;
  const ExtensionRules rules;
  ExtensionSide side(subscriber, rules);
  const Words lines = {"1 urn:a", "2 urn:b", "3/recvonly urn:c"};
  const auto own = maps(lines);  // views into them
  const auto copied = [&](const MediaExtensions* source) {
    return side.offer_to(shown_extensions(source, own, rules, ExtensionTerms::kCopied));
  };
  EXPECT_EQ(copied(&call.a), (Words{"1 urn:a"}));
  side.take_answer(maps({"1 urn:a"}));
  EXPECT_EQ(extension_map(&call.a, &subscriber, true), Map({{1, 1}}));
  side.take_answer({});
  EXPECT_EQ(extension_map(&call.a, &subscriber, true), Map(std::vector<Map::Entry>{}));
  EXPECT_EQ(copied(nullptr), Words{});
}

/// Which lines of a party's SDP another party may be shown, by the words of the request.
TEST(ShownExtensions, TermsAndWordsDecide) {
  const Words said = {"1/sendonly urn:a", "2/recvonly urn:b", "3/inactive urn:c", "4 urn:d x"};
  const auto lines = maps(said);
  struct Row {
    const char* what;
    Words strip;
    Words mask;
    ExtensionTerms terms;
    std::vector<unsigned> shown;
  };
  const auto on = ExtensionTerms::kHandedOn;
  const auto copy = ExtensionTerms::kCopied;
  const Row rows[] = {
      {"handed on in all directions", {}, {}, on, {1, 2, 3, 4}},
      {"copied if it is sent", {}, {}, copy, {1, 4}},
      {"stripped", {"urn:a"}, {}, on, {2, 3, 4}},
      {"masked", {}, {"urn:d"}, on, {1, 2, 3}},
      {"stripped from a copy", {"urn:a"}, {}, copy, {4}},
      {"masked in a copy", {}, {"urn:d"}, copy, {1}},
      {"all stripped", {"all"}, {}, copy, {}},
      {"all masked", {}, {"all"}, on, {}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    MediaExtensions sender;
    ExtensionRules rules;
    ExtensionSide(sender, rules).take_offer(lines);
    rules.strip = row.strip;
    rules.mask = row.mask;
    const auto shown = shown_extensions(&sender, lines, rules, row.terms);
    std::vector<unsigned> ids;
    for (const sdp::Extmap& map : shown) {
      ids.push_back(map.id);
      const sdp::Direction said_of_it = lines[map.id - 1].direction;
      EXPECT_EQ(map.direction, row.terms == copy ? sdp::Direction() : said_of_it) << "a copy has none";
    }
    EXPECT_EQ(ids, row.shown);
    EXPECT_TRUE(shown_extensions(nullptr, lines, rules, row.terms).empty());
  }
}

// LAT-15: while a party's new answer is not there, a copy follows what was agreed before.
TEST(ShownExtensions, LAT15_ACopyFollowsTheTermsInForce) {
  Pair call;
  call.offer({"1 urn:a", "2 urn:b"});
  call.answer({"1 urn:a"});
  const Words said = {"1 urn:a", "2 urn:b"};
  const auto lines = maps(said);
  call.offer(said);
  const auto shown = shown_extensions(&call.a, lines, call.rules, ExtensionTerms::kCopied);
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_EQ(shown.front().uri, "urn:a");
}

TEST(ExtensionSide, ANewOfferOfOursTakesTheMaskFromWhatThePartyOffered) {
  MediaExtensions party;
  ExtensionRules rules;
  const Words mask = {"all"};
  rules.mask = mask;
  ExtensionSide side(party, rules);
  const Words line = {"1 urn:a"};
  side.take_offer(maps(line));
  ASSERT_TRUE(party.find("urn:a")->is_masked);
  EXPECT_EQ(side.offer_to(maps(line)), line);
  EXPECT_FALSE(party.find("urn:a")->is_masked);
  EXPECT_TRUE(party.find("urn:a")->offered);
}

TEST(ExtensionSide, FB5_APlainPhoneIsNotOfferedWhatOnlyBrowsersUse) {
  const Words lines = {"1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
                       "2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
                       "3 " + std::string(kTransportCc),
                       "4 urn:ietf:params:rtp-hdrext:sdes:mid",
                       "5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
                       "6 urn:3gpp:video-orientation"};
  for (const bool is_plain : {true, false}) {
    Pair call;
    call.rules.is_receiver_plain = is_plain;
    EXPECT_EQ(call.offer(lines), is_plain ? (Words{lines[0], lines[5]}) : lines);
  }
}

/// The party's own SDP, its other sections, and the words of a request become rules.
TEST(ExtensionRulesTest, WordsAndTheReceiversOwnSdp) {
  Request request;
  request.extmap_strip = {"urn:a"};
  request.extmap_mask = {"urn:b"};
  ExtensionRules rules = extension_rules(request);
  ASSERT_EQ(rules.strip.size(), 1u);
  EXPECT_EQ(rules.strip.front(), "urn:a");
  ASSERT_EQ(rules.mask.size(), 1u);
  EXPECT_EQ(rules.mask.front(), "urn:b");
  EXPECT_FALSE(rules.knows_receiver);
  EXPECT_TRUE(rules.has_feedback);

  Leg leg;
  const auto add = [&] {
    leg.medias.push_back(std::make_unique<Media>());
    leg.medias.back()->leg = &leg;
    return leg.medias.back().get();
  };
  Media* audio = add();
  const Media* video = add();
  add();
  audio->ensure_extensions();
  EXPECT_TRUE(have_extensions({}, {video, audio}));
  EXPECT_FALSE(have_extensions({}, {video}));
  const Words line = {"1 urn:a"};
  EXPECT_TRUE(have_extensions(maps(line), {video}));

  know_receiver(rules, *video, {});
  EXPECT_FALSE(rules.knows_receiver) << "it has given no SDP";
  EXPECT_FALSE(rules.is_group);
  ASSERT_EQ(rules.others.size(), 1u) << "sections without extensions, and its own, have no numbers to heed";
  EXPECT_EQ(rules.others.front(), audio->extensions.get());

  const std::string text =
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
      "m=audio 4000 RTP/AVP 8\r\n";
  const auto own = sdp::parse(text).value();
  know_receiver(rules, *audio, own);
  EXPECT_TRUE(rules.knows_receiver);
  EXPECT_TRUE(rules.is_group);
}

}  // namespace
}  // namespace ferry
