// SPDX-License-Identifier: Apache-2.0
// BUNDLE in offers and answers (RFC 9143; rules BND-10, WEB-1, WEB-4, EXT-1, EXT-4): which sections
// share a port and a transport toward each party, over first offers, answers and re-offers.

#include "control/record/record.hpp"
#include "control/sdp/sdp.hpp"
#include "tests/support/world.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

constexpr const char* kFingerprint =
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";
constexpr const char* kMidUri = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// One section of a browser: `9` and no address but in the first one, as with `max-bundle`.
struct Part {
  std::string mid;
  std::string type = "audio";
  int port = 9;
  Words lines = {};
};

/// What a browser says. `group`: the mids of its BUNDLE group; empty = none.
std::string browser(const std::vector<Part>& parts, const std::string& group, const char* setup = "actpass",
                    const std::string& ufrag = "BROW") {
  std::string text = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
  if (!group.empty()) text += "a=group:BUNDLE " + group + "\r\n";
  for (const Part& part : parts) {
    const bool is_audio = part.type == "audio";
    text += fmt::format("m={} {} UDP/TLS/RTP/SAVPF {}\r\n", part.type, part.port, is_audio ? "8" : "96");
    text += part.port > 9 ? "c=IN IP4 198.51.100.10\r\n" : "c=IN IP4 0.0.0.0\r\n";
    text += is_audio ? "a=rtpmap:8 PCMA/8000\r\n" : "a=rtpmap:96 VP8/90000\r\n";
    text += "a=mid:" + part.mid + "\r\na=rtcp-mux\r\na=ice-ufrag:" + ufrag +
            "\r\na=ice-pwd:PASSWORDPASSWORDPASSWORD\r\na=setup:" + setup + "\r\na=fingerprint:sha-256 " +
            kFingerprint + "\r\n";
    if (part.port > 9)
      text += fmt::format("a=candidate:1 1 udp 2122260223 198.51.100.10 {} typ host\r\n", part.port);
    for (const std::string& line : part.lines) text += "a=" + line + "\r\n";
  }
  return text;
}

/// One section of a plain phone.
struct Line {
  std::string type = "audio";
  int port = 5000;
};
std::string phone(const std::vector<Line>& lines) {
  std::string text = "v=0\r\no=- 1 1 IN IP4 198.51.100.20\r\ns=-\r\nc=IN IP4 198.51.100.20\r\nt=0 0\r\n";
  for (const Line& line : lines) {
    text += fmt::format("m={} {} RTP/AVP {}\r\n", line.type, line.port, line.type == "audio" ? "8" : "96");
    text += line.type == "audio" ? "a=rtpmap:8 PCMA/8000\r\n" : "a=rtpmap:96 VP8/90000\r\n";
  }
  return text;
}

/// What the relay wrote, as a test looks at it.
struct Shown {
  explicit Shown(const json& reply) : text(reply.value("sdp", reply.dump())) {
    const auto parsed = sdp::parse(text);
    if (!parsed) return;
    for (const auto& attribute : parsed->attributes) {
      if (attribute.name == "group") groups.emplace_back(attribute.value);
    }
    for (const auto& section : parsed->media) {
      ports.push_back(section.port);
      mids.emplace_back(section.mid);
      muxes.push_back(section.rtcp_mux);
      ufrags.emplace_back(section.ice_ufrag);
      fingerprints.push_back(section.fingerprints.size());
      only.push_back(section.find("bundle-only") != nullptr);
      std::string number;
      for (const auto& attribute : section.attributes) {
        if (attribute.name == "extmap" && attribute.value.ends_with(kMidUri))
          number = attribute.value.substr(0, attribute.value.find(' '));
      }
      mid_numbers.push_back(number);
    }
  }
  std::string text;
  Words groups;
  std::vector<std::uint16_t> ports;
  Words mids;
  std::vector<bool> muxes;
  Words ufrags;
  std::vector<std::size_t> fingerprints;
  std::vector<bool> only;
  Words mid_numbers;
};

/// One call between A and B.
class Bundle : public ::testing::Test {
 protected:
  Shown offer(char from, char to, const std::string& sdp, const json& more = json::object()) {
    json request = test::offer("c", std::string(1, from), sdp);
    if (is_known_) request["to-tag"] = std::string(1, to);
    request.update(more);
    return checked(world_->ng(request));
  }
  Shown answer(char offerer, char from, const std::string& sdp, const json& more = json::object()) {
    json request = test::answer("c", std::string(1, offerer), std::string(1, from), sdp);
    request.update(more);
    is_known_ = true;
    return checked(world_->ng(request));
  }
  /// The transports of a leg, as medias on each.
  std::vector<std::size_t> transports(std::size_t leg) {
    std::vector<std::size_t> counts;
    for (const auto& transport : call().legs[leg]->transports) counts.push_back(transport.medias().size());
    return counts;
  }
  Call& call() { return *world_->manager().find("c"); }
  std::unique_ptr<test::World> world_ = test::make_sim_world();
  /// True if the call goes on as a restored one after each message.
  bool restores_ = false;

 private:
  Shown checked(const json& reply) {
    EXPECT_EQ(reply.value("result", ""), "ok") << reply.dump();
    if (restores_) restore();
    return Shown(reply);
  }
  void restore() {
    SessionManager& manager = world_->manager();
    const json before = json::parse(manager.export_call("c", world_->clock()).dump());
    manager.terminate("c", world_->clock());
    manager.flush(world_->clock());
    const auto restored = manager.restore_call(before, world_->clock());
    ASSERT_TRUE(restored) << restored.error();
    manager.flush(world_->clock());
    EXPECT_EQ(json::diff(before, json::parse(manager.export_call("c", world_->clock()).dump())),
              json::array());
  }
  bool is_known_ = false;
};

const json kToPhone = {{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}};
const json kToBrowser = {{"flags", {"WebRTC"}}};

TEST_F(Bundle, BND4_BrowserWithMaxBundleTowardAPlainPhone) {
  const Shown to_b = offer('A', 'B', browser({{"0", "audio", 40000}, {"1", "video"}}, "0 1"), kToPhone);
  EXPECT_TRUE(to_b.groups.empty());
  EXPECT_NE(to_b.ports[0], to_b.ports[1]);
  EXPECT_EQ(to_b.mid_numbers, (Words{"", ""}));
  EXPECT_EQ(transports(0), (std::vector<std::size_t>{2}));
  EXPECT_EQ(transports(1), (std::vector<std::size_t>{1, 1}));
  // One pair of ports for A, two for B.
  EXPECT_EQ(world_->open_ports(), 6u);
  const Shown to_a = answer('A', 'B', phone({{}, {"video", 5010}}));
  EXPECT_EQ(to_a.groups, (Words{"BUNDLE 0 1"})) << to_a.text;
  EXPECT_EQ(to_a.mids, (Words{"0", "1"}));
  EXPECT_NE(to_a.ports[0], 0);
  EXPECT_EQ(to_a.ports[0], to_a.ports[1]);
  EXPECT_EQ(to_a.muxes, (std::vector<bool>{true, true}));
  EXPECT_EQ(to_a.ufrags[0], to_a.ufrags[1]);
  EXPECT_FALSE(to_a.ufrags[0].empty());
  EXPECT_EQ(to_a.fingerprints, (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(world_->open_ports(), 6u);
}

TEST_F(Bundle, BND3_TheFirstSectionIsRefused) {
  offer('A', 'B', browser({{"0", "audio", 40000}, {"1", "video", 40002}}, "0 1"), kToPhone);
  const Shown to_a = answer('A', 'B', phone({{"audio", 0}, {"video", 5010}}));
  EXPECT_EQ(to_a.groups, (Words{"BUNDLE 1"})) << to_a.text;
  EXPECT_EQ(to_a.ports[0], 0);
  EXPECT_NE(to_a.ports[1], 0);
  const MediaTransport& via = *call().legs[0]->medias[1]->via;
  ASSERT_TRUE(via.has_ice());
  // The candidate of the section that carries the transport now is known, too.
  const auto& candidates = via.ice->theirs.candidates;
  EXPECT_TRUE(std::ranges::any_of(candidates, [](const auto& each) { return each.at.port.value == 40002; }));
  EXPECT_TRUE(via.is_keyed_by_dtls());
}

const std::vector<Line> kAudioAndVideo = {{}, {"video", 5010}};
const json kApart = {
    {"transport-protocol", "UDP/TLS/RTP/SAVPF"}, {"ICE", "force"}, {"bundle", {"offer"}}, {"SDES", {"off"}}};

std::string answer_of(const std::vector<Part>& parts, const std::string& group) {
  return browser(parts, group, "active");
}

TEST_F(Bundle, BND7_AStoryOfAPhoneAndABrowserWithAnExportAfterEachStep) {
  restores_ = true;
  const Shown first = offer('A', 'B', phone(kAudioAndVideo), kToBrowser);
  EXPECT_EQ(first.groups, (Words{"BUNDLE 1 2"})) << first.text;
  EXPECT_EQ(first.ports[0], first.ports[1]);
  EXPECT_EQ(first.only, (std::vector<bool>{false, true}));
  EXPECT_EQ(first.muxes, (std::vector<bool>{true, true}));
  EXPECT_FALSE(first.mid_numbers[0].empty());
  EXPECT_EQ(first.mid_numbers[0], first.mid_numbers[1]);
  EXPECT_EQ(transports(1), (std::vector<std::size_t>{2}));

  const Shown answered = answer('A', 'B', answer_of({{"1", "audio", 40000}, {"2", "video"}}, "1 2"));
  EXPECT_TRUE(answered.groups.empty()) << answered.text;
  EXPECT_NE(answered.ports[0], answered.ports[1]);
  EXPECT_EQ(answered.only, (std::vector<bool>{false, false}));
  EXPECT_EQ(answered.mids, (Words{"", ""}));
  EXPECT_EQ(answered.mid_numbers, (Words{"", ""}));

  // A refresh changes nothing, without a word about BUNDLE.
  const Shown refreshed = offer('A', 'B', phone(kAudioAndVideo));
  EXPECT_EQ(refreshed.groups, (Words{"BUNDLE 1 2"})) << refreshed.text;
  EXPECT_EQ(refreshed.ports, first.ports);
  EXPECT_EQ(refreshed.ufrags, first.ufrags);
  EXPECT_EQ(refreshed.mids, first.mids);
  EXPECT_EQ(refreshed.mid_numbers, first.mid_numbers);
  EXPECT_EQ(refreshed.only, (std::vector<bool>{false, false}));
  answer('A', 'B', answer_of({{"1", "audio", 40000}, {"2", "video"}}, "1 2"));

  // A section is added; it joins.
  const Shown added = offer('A', 'B', phone({{}, {"video", 5010}, {"video", 5020}}));
  EXPECT_EQ(added.groups, (Words{"BUNDLE 1 2 3"})) << added.text;
  EXPECT_EQ(added.ports, (std::vector<std::uint16_t>(3, first.ports[0])));
  EXPECT_EQ(added.mid_numbers, (Words(3, first.mid_numbers[0])));
  answer('A', 'B', answer_of({{"1", "audio", 40000}, {"2", "video"}, {"3", "video"}}, "1 2 3"));
  EXPECT_EQ(transports(1), (std::vector<std::size_t>{3}));

  // The browser stops the video in the middle.
  const Shown stopped =
      offer('B', 'A', browser({{"1", "audio", 40000}, {"2", "video", 0}, {"3", "video"}}, "1 3"));
  EXPECT_EQ(stopped.ports[1], 0);
  const Shown stopped_answer = answer('B', 'A', phone({{}, {"video", 0}, {"video", 5020}}));
  EXPECT_EQ(stopped_answer.groups, (Words{"BUNDLE 1 3"})) << stopped_answer.text;
  EXPECT_EQ(stopped_answer.ports, (std::vector<std::uint16_t>{first.ports[0], 0, first.ports[0]}));
  EXPECT_EQ(stopped_answer.mids[1], "2");
  EXPECT_EQ(stopped_answer.ufrags[0], first.ufrags[0]);

  // Its place is used again, under another name.
  offer('B', 'A', browser({{"1", "audio", 40000}, {"4", "video"}, {"3", "video"}}, "1 4 3"));
  const Shown again = answer('B', 'A', phone({{}, {"video", 5010}, {"video", 5020}}));
  EXPECT_EQ(again.groups, (Words{"BUNDLE 1 4 3"})) << again.text;
  EXPECT_EQ(again.mids, (Words{"1", "4", "3"}));
  EXPECT_EQ(again.ports, (std::vector<std::uint16_t>(3, first.ports[0])));
  EXPECT_EQ(transports(1), (std::vector<std::size_t>{3}));

  // The tagged section goes away; the transport stays (BND-7).
  offer('B', 'A', browser({{"1", "audio", 0}, {"4", "video", 40000}, {"3", "video"}}, "4 3"));
  const Shown without_first = answer('B', 'A', phone({{"audio", 0}, {"video", 5010}, {"video", 5020}}));
  EXPECT_EQ(without_first.groups, (Words{"BUNDLE 4 3"})) << without_first.text;
  EXPECT_EQ(without_first.ports, (std::vector<std::uint16_t>{0, first.ports[0], first.ports[0]}));
  EXPECT_EQ(without_first.ufrags[1], first.ufrags[0]);
}

TEST_F(Bundle, BND2_SectionsMoveOntoOneTransportWithTheAnswer) {
  const Shown to_b = offer('A', 'B', phone(kAudioAndVideo), kApart);
  EXPECT_EQ(to_b.groups, (Words{"BUNDLE 1 2"})) << to_b.text;
  EXPECT_NE(to_b.ports[0], to_b.ports[1]);
  EXPECT_EQ(to_b.only, (std::vector<bool>{false, false}));
  EXPECT_EQ(to_b.muxes, (std::vector<bool>{true, true}));
  EXPECT_EQ(transports(1), (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(world_->open_ports(), 8u);
  answer('A', 'B', answer_of({{"1", "audio", 40000}, {"2", "video"}}, "1 2"));
  EXPECT_EQ(transports(1), (std::vector<std::size_t>{2}));
  EXPECT_EQ(world_->open_ports(), 6u);
  EXPECT_TRUE(call().legs[1]->has_bundle());
  const Shown refreshed = offer('A', 'B', phone(kAudioAndVideo));
  EXPECT_EQ(refreshed.ports, (std::vector<std::uint16_t>(2, to_b.ports[0]))) << refreshed.text;
}

TEST_F(Bundle, BND2_AnAnswerWithoutGroupLeavesThemApart) {
  offer('A', 'B', phone(kAudioAndVideo), kApart);
  answer('A', 'B', answer_of({{"1", "audio", 40000}, {"2", "video", 40010}}, ""));
  EXPECT_EQ(transports(1), (std::vector<std::size_t>{1, 1}));
  EXPECT_FALSE(call().legs[1]->has_bundle());
  EXPECT_EQ(world_->open_ports(), 8u);
}

TEST_F(Bundle, BND2_WithoutGroupTheOthersOfOnePortAreRejected) {
  offer('A', 'B', phone(kAudioAndVideo), kToBrowser);
  const Shown to_a = answer('A', 'B', answer_of({{"1", "audio", 40000}, {"2", "video", 40010}}, ""));
  EXPECT_NE(to_a.ports[0], 0) << to_a.text;
  EXPECT_EQ(to_a.ports[1], 0);
}

TEST_F(Bundle, StrictHasPortZeroAndIsForgotten) {
  const Shown to_b = offer('A', 'B', phone(kAudioAndVideo), {{"flags", {"BUNDLE-strict"}}});
  EXPECT_EQ(to_b.groups, (Words{"BUNDLE 1 2"})) << to_b.text;
  EXPECT_NE(to_b.ports[0], 0);
  EXPECT_EQ(to_b.ports[1], 0);
  EXPECT_EQ(to_b.only, (std::vector<bool>{false, true}));
  const Shown again = offer('A', 'B', phone(kAudioAndVideo));
  EXPECT_TRUE(again.groups.empty()) << again.text;
  EXPECT_NE(again.ports[0], again.ports[1]);
  EXPECT_NE(again.ports[1], 0);
}

TEST_F(Bundle, BND9_RefusedByAWordOrByTheDaemon) {
  const std::string sdp = browser({{"0", "audio", 40000}, {"1", "video", 40002}}, "0 1");
  for (const bool by_word : {true, false}) {
    test::WorldOptions options;
    options.session.accepts_bundle = by_word;
    world_ = test::make_sim_world(options);
    json request = test::offer("c", "A", sdp);
    request.update(kToPhone);
    if (by_word) request["bundle"] = {"reject"};
    world_->ng(request);
    EXPECT_EQ(transports(0), (std::vector<std::size_t>{1, 1})) << by_word;
    const Shown to_a(world_->ng(test::answer("c", "A", "B", phone(kAudioAndVideo))));
    EXPECT_TRUE(to_a.groups.empty()) << to_a.text;
    EXPECT_NE(to_a.ports[0], to_a.ports[1]);
  }
  // A word of the request says otherwise.
  json request = test::offer("d", "A", sdp);
  request["bundle"] = {"accept"};
  world_->ng(request);
  EXPECT_EQ(world_->manager().find("d")->legs[0]->transports.size(), 1u);
}

TEST_F(Bundle, BND5_SectionsWithPortZeroLive) {
  const Part second{"1", "video", 0, {"bundle-only"}};
  const Shown to_b = offer('A', 'B', browser({{"0", "audio", 40000}, second}, "0 1"), kToPhone);
  EXPECT_NE(to_b.ports[1], 0) << to_b.text;
  EXPECT_EQ(to_b.only, (std::vector<bool>{false, false}));
  const Shown to_a = answer('A', 'B', phone(kAudioAndVideo));
  EXPECT_EQ(to_a.groups, (Words{"BUNDLE 0 1"})) << to_a.text;
  EXPECT_EQ(to_a.ports[1], to_a.ports[0]);
}

// With MID agreed on, Chromium assigns no packet by its payload type alone: a group of one needs it, too.
TEST_F(Bundle, ICE10_AGroupOfOneSectionIsNamedInPackets) {
  const std::string mid = std::string("extmap:4 ") + kMidUri;
  offer('A', 'B', browser({{"0", "audio", 40000, {mid}}}, "0"), kToPhone);
  const Shown to_a = answer('A', 'B', phone({{}}));
  EXPECT_EQ(to_a.groups, (Words{"BUNDLE 0"})) << to_a.text;
  EXPECT_EQ(to_a.mid_numbers, (Words{"4"}));
  const auto& plan = call().legs[1]->transports.front().active_ports()->plan;
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->sources.size(), 1u);
  ASSERT_EQ(plan->sources[0].sinks.size(), 1u);
  const Sink& sink = plan->sources[0].sinks[0];
  EXPECT_EQ(sink.mid_extension, 4);
  ASSERT_TRUE(sink.mid);
  EXPECT_EQ(*sink.mid, "0");
}

TEST_F(Bundle, BothPartiesBundle) {
  const std::string mid = std::string("extmap:4 ") + kMidUri;
  offer('A', 'B', browser({{"0", "audio", 40000, {mid}}, {"1", "video", 9, {mid}}}, "0 1"), kToBrowser);
  EXPECT_EQ(transports(0), (std::vector<std::size_t>{2}));
  EXPECT_EQ(transports(1), (std::vector<std::size_t>{2}));
  const Shown to_a =
      answer('A', 'B', answer_of({{"0", "audio", 40000, {mid}}, {"1", "video", 9, {mid}}}, "0 1"));
  EXPECT_EQ(to_a.groups, (Words{"BUNDLE 0 1"})) << to_a.text;
  EXPECT_EQ(to_a.mid_numbers, (Words{"4", "4"}));
  EXPECT_EQ(world_->open_ports(), 4u);
  // ICE-10: the worker is told who is who, and the MID of one party is not handed to the other (EXT-4).
  const auto& plan = call().legs[0]->transports.front().active_ports()->plan;
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->mid_extension, 4);
  ASSERT_EQ(plan->sources.size(), 2u);
  EXPECT_EQ(*plan->sources[1].mid, "1");
  ASSERT_EQ(plan->sources[1].sinks.size(), 1u);
  const Sink& sink = plan->sources[1].sinks[0];
  EXPECT_NE(sink.mid_extension, 0);
  ASSERT_TRUE(sink.mid);
  EXPECT_EQ(*sink.mid, "1");
  EXPECT_FALSE(sink.extensions == HeaderExtensionMap());
}

TEST_F(Bundle, BND3_TheRefusedSectionAloneNamesTheTransport) {
  const Part second{"1", "video", 0, {"bundle-only"}};
  offer('A', 'B', browser({{"0", "audio", 40000}, second}, "0 1"), kToPhone);
  const Shown to_a = answer('A', 'B', phone({{"audio", 0}, {"video", 5010}}));
  EXPECT_EQ(to_a.groups, (Words{"BUNDLE 1"})) << to_a.text;
  EXPECT_EQ(to_a.ports[0], 0);
  const MediaTransport& via = *call().legs[0]->medias[1]->via;
  EXPECT_EQ(to_a.ports[1], via.active_ports()->port.value);
  EXPECT_TRUE(via.is_bundle);
  EXPECT_TRUE(via.is_keyed_by_dtls());
  ASSERT_TRUE(via.has_ice());
  ASSERT_EQ(via.ice->theirs.candidates.size(), 1u);
  EXPECT_EQ(via.ice->theirs.candidates[0].at.port.value, 40000);
  // Types of the refused section do not count.
  const auto& plan = via.active_ports()->plan;
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->sources.size(), 2u);
  EXPECT_TRUE(plan->sources[0].is_closed);
  EXPECT_FALSE(plan->sources[1].is_closed);
}

/// A browser and a phone that have agreed on audio and video; the browser made the offer.
const std::string kBrowserOffer = browser({{"0", "audio", 40000}, {"1", "video"}}, "0 1");

TEST_F(Bundle, BND6_ATaggedSectionOfATransportInUseIsNotRefusedAlone) {
  offer('A', 'B', kBrowserOffer, kToPhone);
  const Shown first = answer('A', 'B', phone(kAudioAndVideo));
  offer('A', 'B', kBrowserOffer);
  const Shown again = answer('A', 'B', phone({{"audio", 0}, {"video", 5010}}));
  EXPECT_EQ(again.groups, (Words{"BUNDLE 0 1"})) << again.text;
  EXPECT_EQ(again.ports, first.ports);
  EXPECT_EQ(again.ufrags, first.ufrags);
  EXPECT_EQ(again.fingerprints, first.fingerprints);
  const std::string audio = again.text.substr(0, again.text.find("m=video"));
  EXPECT_NE(audio.find("a=inactive"), std::string::npos) << audio;
  EXPECT_EQ(transports(0), (std::vector<std::size_t>{2}));
  const auto& plan = call().legs[0]->transports.front().active_ports()->plan;
  EXPECT_TRUE(plan->sources[0].is_closed);
  // If all are refused, all are.
  offer('A', 'B', kBrowserOffer);
  const Shown none = answer('A', 'B', phone({{"audio", 0}, {"video", 0}}));
  EXPECT_EQ(none.ports, (std::vector<std::uint16_t>{0, 0})) << none.text;
  EXPECT_TRUE(none.groups.empty());
  // And they come back.
  offer('A', 'B', kBrowserOffer);
  const Shown back = answer('A', 'B', phone(kAudioAndVideo));
  EXPECT_EQ(back.ports, first.ports) << back.text;
}

TEST_F(Bundle, BND6_AnotherSectionMayBeRefused) {
  offer('A', 'B', kBrowserOffer, kToPhone);
  answer('A', 'B', phone(kAudioAndVideo));
  offer('A', 'B', kBrowserOffer);
  const Shown again = answer('A', 'B', phone({{}, {"video", 0}}));
  EXPECT_EQ(again.groups, (Words{"BUNDLE 0"})) << again.text;
  EXPECT_EQ(again.ports[1], 0);
}

TEST_F(Bundle, BND12_ASectionThatBecomesAFaxGetsAPortOfItsOwn) {
  offer('A', 'B', phone({{}, {}}), kToBrowser);
  const Shown first = answer('A', 'B', answer_of({{"1", "audio", 40000}, {"2", "audio"}}, "1 2"));
  EXPECT_EQ(transports(1), (std::vector<std::size_t>{2}));
  const std::string fax = "m=image 5100 udptl t38\r\n";
  const Shown to_b = offer('A', 'B', phone({{}}) + fax);
  const Media& audio = *call().legs[1]->medias[0];
  const Media& image = *call().legs[1]->medias[1];
  EXPECT_EQ(to_b.groups, (Words{"BUNDLE 1"})) << to_b.text;
  EXPECT_NE(to_b.ports[1], 0);
  EXPECT_NE(to_b.ports[0], to_b.ports[1]);
  EXPECT_NE(audio.via, image.via);
  const auto& plan = audio.via->active_ports()->plan;
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->kind, TransportKind::kRtp);
  EXPECT_TRUE(plan->is_protected());
  ASSERT_TRUE(image.via->active_ports()->plan);
  EXPECT_EQ(image.via->ports.size(), 1u);
}

TEST_F(Bundle, BND12_ASectionOfTheOffererThatBecomesAFaxLeaves) {
  offer('A', 'B', browser({{"0", "audio", 40000}, {"1", "audio"}}, "0 1"), kToPhone);
  answer('A', 'B', phone({{}, {"audio", 5010}}));
  const std::string fax = "m=image 40100 udptl t38\r\nc=IN IP4 198.51.100.10\r\na=mid:1\r\n";
  offer('A', 'B', browser({{"0", "audio", 40000}}, "0") + fax);
  const Leg& leg = *call().legs[0];
  EXPECT_NE(leg.medias[0]->via, leg.medias[1]->via);
  EXPECT_TRUE(leg.medias[0]->via->active_ports()->plan->is_protected());
}

TEST_F(Bundle, SRT13_EachSectionOfAGroupTakesWhatItWasOffered) {
  const auto sdes = [](const char* audio, const char* video) {
    const std::string key =
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
        "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
    const auto section = [&](const char* type, const char* profile, const char* codec, const char* mid) {
      const bool is_secure = std::string(profile).find("SAVP") != std::string::npos;
      return fmt::format("m={} 5000 {} {}\r\na=mid:{}\r\na=rtcp-mux\r\n", type, profile, codec, mid) +
             (is_secure ? key : std::string());
    };
    return "v=0\r\no=- 1 1 IN IP4 198.51.100.20\r\ns=-\r\nc=IN IP4 198.51.100.20\r\nt=0 0\r\n"
           "a=group:BUNDLE 1 2\r\n" +
           section("audio", audio, "8", "1") + section("audio", video, "8", "2");
  };
  for (const bool is_plain : {false, true}) {
    world_ = test::make_sim_world();
    json request = test::offer("c", "A", phone({{}, {}}));
    request.update({{"transport-protocol", "RTP/SAVP"}, {"bundle", {"require"}}, {"DTLS", "off"}});
    ASSERT_EQ(world_->ng(request).value("result", ""), "ok");
    const json reply =
        world_->ng(test::answer("c", "A", "B", sdes("RTP/SAVP", is_plain ? "RTP/AVP" : "RTP/SAVP")));
    EXPECT_EQ(reply.value("result", ""), "ok") << reply.dump();
    // A plain section cannot be in the group of an encrypted one, and has no port of its own: it is rejected.
    const bool is_rejected = reply.value("sdp", "").find("m=audio 0 ") != std::string::npos;
    EXPECT_EQ(is_rejected, is_plain) << reply.dump();
  }
}

TEST_F(Bundle, BND10_SectionsWithOtherProfilesStayOut) {
  const std::string mixed =
      "v=0\r\no=- 1 1 IN IP4 198.51.100.20\r\ns=-\r\nc=IN IP4 198.51.100.20\r\nt=0 0\r\n"
      "m=audio 5000 RTP/AVP 8\r\nm=video 5010 RTP/AVPF 96\r\na=rtpmap:96 VP8/90000\r\n"
      "m=audio 5020 RTP/AVP 8\r\n";
  const Shown to_b = offer('A', 'B', mixed, {{"bundle", {"require"}}});
  EXPECT_EQ(to_b.groups, (Words{"BUNDLE 1 3"})) << to_b.text;
  EXPECT_EQ(to_b.ports[0], to_b.ports[2]);
  EXPECT_NE(to_b.ports[0], to_b.ports[1]);
}

TEST_F(Bundle, APublisherMayDissolveItsGroup) {
  const auto publish = [&](const std::string& group) {
    return Shown(world_->ng({{"command", "publish"},
                             {"call-id", "c"},
                             {"from-tag", "P"},
                             {"sdp", browser({{"0", "audio", 40000}, {"1", "video", 40010}}, group)}}));
  };
  const Shown together = publish("0 1");
  EXPECT_EQ(together.ports[0], together.ports[1]);
  const Shown apart = publish("");
  EXPECT_TRUE(apart.groups.empty()) << apart.text;
  EXPECT_EQ(apart.ports[0], together.ports[0]);
  EXPECT_NE(apart.ports[0], apart.ports[1]);
  EXPECT_EQ(transports(0), (std::vector<std::size_t>{1, 1}));
  const auto& second = *call().legs[0]->medias[1]->via;
  ASSERT_TRUE(second.has_ice());
  EXPECT_EQ(second.ice->theirs.candidates[0].at.port.value, 40010);
  EXPECT_TRUE(second.is_keyed_by_dtls());
  const Shown again = publish("0 1");
  EXPECT_EQ(again.ports, together.ports) << again.text;
  EXPECT_EQ(transports(0), (std::vector<std::size_t>{2}));
}

// A subscriber and a party of `create` that were offered one port and answer without a group.
TEST_F(Bundle, BND2_WithoutGroupTheOthersOfOnePortAreRejectedInOnePartyCommandsToo) {
  struct Row {
    const char* why;
    int audio, video;
    bool audio_lives, video_lives;
    int remote;
  };
  const Row rows[] = {
      {"two places cannot be served from one port", 41000, 41010, true, false, 41000},
      {"one place can", 41000, 41000, true, true, 41000},
      {"the first one that lives decides", 0, 41010, false, true, 41010},
      {"nobody lives", 0, 0, false, false, 0},
  };
  for (const bool creates : {false, true}) {
    for (const Row& row : rows) {
      SCOPED_TRACE(row.why);
      world_ = test::make_sim_world();
      json request = {{"command", "publish"},
                      {"call-id", "c"},
                      {"from-tag", "P"},
                      {"sdp", browser({{"0", "audio", 40000}, {"1", "video"}}, "0 1")}};
      world_->ng(request);
      const json made = {{"command", "create"},
                         {"call-id", "c"},
                         {"from-tag", "S"},
                         {"flags", {"WebRTC"}},
                         {"medias", {{{"type", "audio"}}, {{"type", "video"}}}}};
      const json subscribed = {{"command", "subscribe request"},
                               {"call-id", "c"},
                               {"from-tag", "P"},
                               {"to-tag", "S"},
                               {"flags", {"WebRTC"}}};
      const Shown shown(world_->ng(creates ? made : subscribed));
      ASSERT_EQ(shown.groups.size(), 1u) << shown.text;
      const std::string sdp = answer_of({{"1", "audio", row.audio}, {"2", "video", row.video}}, "");
      json taken = {
          {"command", creates ? "create answer" : "subscribe answer"}, {"call-id", "c"}, {"sdp", sdp}};
      taken[creates ? "from-tag" : "to-tag"] = "S";
      const json reply = world_->ng(taken);
      ASSERT_EQ(reply["result"], "ok") << reply.dump();
      const auto& medias = call().legs[1]->medias;
      EXPECT_EQ(medias[0]->rejected, !row.audio_lives);
      EXPECT_EQ(medias[1]->rejected, !row.video_lives);
      if (row.remote != 0) {
        EXPECT_EQ(medias[0]->via->remote_rtp.port.value, row.remote);
      }
    }
  }
}

TEST_F(Bundle, OnePartyCommandsShareTransports) {
  const Shown published(world_->ng({{"command", "publish"},
                                    {"call-id", "c"},
                                    {"from-tag", "P"},
                                    {"sdp", browser({{"0", "audio", 40000}, {"1", "video"}}, "0 1")}}));
  EXPECT_EQ(published.groups, (Words{"BUNDLE 0 1"})) << published.text;
  EXPECT_EQ(published.ports[0], published.ports[1]);
  EXPECT_EQ(published.ufrags[0], published.ufrags[1]);
  EXPECT_EQ(transports(0), (std::vector<std::size_t>{2}));
  const Shown shown(world_->ng({{"command", "subscribe request"},
                                {"call-id", "c"},
                                {"from-tag", "P"},
                                {"to-tag", "S"},
                                {"flags", {"WebRTC"}}}));
  EXPECT_EQ(shown.groups, (Words{"BUNDLE 1 2"})) << shown.text;
  EXPECT_EQ(shown.ports[0], shown.ports[1]);
  EXPECT_EQ(shown.only, (std::vector<bool>{false, true}));
  EXPECT_FALSE(shown.mid_numbers[0].empty());
  const json taken = world_->ng({{"command", "subscribe answer"},
                                 {"call-id", "c"},
                                 {"to-tag", "S"},
                                 {"sdp", answer_of({{"1", "audio", 41000}, {"2", "video"}}, "1 2")}});
  EXPECT_EQ(taken["result"], "ok") << taken.dump();
  EXPECT_EQ(transports(1), (std::vector<std::size_t>{2}));
  EXPECT_TRUE(call().legs[1]->has_bundle());
  EXPECT_EQ(world_->open_ports(), 4u);
}

TEST_F(Bundle, BND9_ALostGroupIsRememberedForExplain) {
  const std::string sdp = browser({{"0", "audio", 40000}, {"1", "video"}}, "0 1");
  for (const bool is_taken : {true, false, true}) {
    offer('A', 'B', sdp, {{"bundle", {is_taken ? "accept" : "reject"}}});
    EXPECT_EQ(call().legs[0]->bundle()->refused_to_peer, !is_taken);
  }
}

TEST_F(Bundle, BND1_ASubscriberMayHaveItsKeysInTheFirstSectionAlone) {
  const auto keyed = [](const std::string& in_audio, const std::string& in_video) {
    return "v=0\r\no=- 1 1 IN IP4 198.51.100.30\r\ns=-\r\nc=IN IP4 198.51.100.30\r\nt=0 0\r\n"
           "a=group:BUNDLE 1 2\r\n"
           "m=audio 41000 RTP/SAVP 8\r\na=mid:1\r\na=rtcp-mux\r\n" +
           in_audio + "m=video 41000 RTP/SAVP 96\r\na=rtpmap:96 VP8/90000\r\na=mid:2\r\na=rtcp-mux\r\n" +
           in_video;
  };
  world_->ng({{"command", "publish"}, {"call-id", "c"}, {"from-tag", "P"}, {"sdp", phone(kAudioAndVideo)}});
  const Shown shown(world_->ng({{"command", "subscribe request"},
                                {"call-id", "c"},
                                {"from-tag", "P"},
                                {"to-tag", "S"},
                                {"transport-protocol", "RTP/SAVP"},
                                {"SDES", {"only-AES_CM_128_HMAC_SHA1_80"}},
                                {"DTLS", "off"},
                                {"bundle", {"require"}}}));
  ASSERT_EQ(shown.groups.size(), 1u) << shown.text;
  const std::string line =
      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n";
  const auto answered = [&](const std::string& sdp) {
    return world_->ng({{"command", "subscribe answer"}, {"call-id", "c"}, {"to-tag", "S"}, {"sdp", sdp}});
  };
  EXPECT_EQ(answered(keyed("", line))["result"], "error") << "those of another section mean nothing";
  const json taken = answered(keyed(line, ""));
  ASSERT_EQ(taken["result"], "ok") << taken.dump();
  for (const auto& media : call().legs[1]->medias) EXPECT_TRUE(media->is_encrypted());
  EXPECT_TRUE(call().legs[1]->medias[1]->via->keys->out);
}

}  // namespace
}  // namespace ferry
