// BUNDLE in offers and answers (RFC 9143; rules BND-1 to BND-10, WEB-1, WEB-4, EXT-1, EXT-4): which sections
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

 private:
  Shown checked(const json& reply) {
    EXPECT_EQ(reply.value("result", ""), "ok") << reply.dump();
    return Shown(reply);
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

}  // namespace
}  // namespace ferry
