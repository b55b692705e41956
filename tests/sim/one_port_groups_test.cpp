// Browsers with audio and video in one BUNDLE group, parties behind one address, reloaded pages, publishers
// and subscribers: all on the one port for ICE, served by one or more workers in turn (ONE-1 to ONE-6).

#include "tests/support/ice_phone.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::one_port_groups_test {
namespace {

using namespace ferry::test;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr UdpPort kIcePort{29'000};
constexpr std::uint8_t kAudio = 8;
constexpr std::uint8_t kVideo = 96;
const std::string kVideoLines = "UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";

/// One section of a browser.
struct Part {
  std::string type = "audio";
  std::string mid = "0";
  bool is_alive = true;
};
const std::vector<Part> kBoth = {{"audio", "0"}, {"video", "1"}};

/// What `phone` says with these sections in one group. The first living one is tagged and has the candidates.
std::string group_sdp(const IcePhone& phone, const std::vector<Part>& parts) {
  const std::string text = phone.sdp();
  const std::string transport = text.substr(text.find("a=rtcp-mux"));
  const std::string audio_lines = "UDP/TLS/RTP/SAVPF 8\r\na=rtpmap:8 PCMA/8000\r\n";
  std::string names;
  std::string sections;
  for (const Part& part : parts) {
    std::string lines = transport;
    lines.replace(lines.find("a=mid:0"), 7, "a=mid:" + part.mid);
    if (!part.is_alive || !names.empty()) {
      const std::string candidates = phone.candidate();
      lines.erase(lines.find(candidates), candidates.size());
    }
    sections += "m=" + part.type + (part.is_alive ? " 9 " : " 0 ") +
                (part.type == "audio" ? audio_lines : kVideoLines) + lines;
    if (part.is_alive) names += " " + part.mid;
  }
  return text.substr(0, text.find("m=audio")) + "a=group:BUNDLE" + names + "\r\n" + sections;
}

/// How many packets arrived: at the browser of audio and of video, and at the phone.
using Counts = std::array<std::size_t, 4>;
constexpr Counts kAll = {20, 20, 20, 20};

class Groups : public ::testing::TestWithParam<std::size_t> {
 protected:
  Groups() {
    for (const std::uint16_t port : std::array<std::uint16_t, 2>{4000, 4010}) world_->open(at('A', port));
  }
  static WorldOptions options() {
    WorldOptions made;
    made.ice_port = kIcePort;
    made.workers = GetParam();
    return made;
  }
  [[nodiscard]] Endpoint at(char who, std::uint16_t port) const {
    return {world_->peer_address(1, who), UdpPort{port}};
  }
  [[nodiscard]] Endpoint one_port() const { return {world_->relay_address(), kIcePort}; }
  void pass(std::initializer_list<IcePhone*> phones, Duration time) {
    for (Duration done{0}; done < time; done += 20ms) {
      for (IcePhone* phone : phones) phone->drive();
      world_->run(world_->elapsed() + 20ms);
      for (IcePhone* phone : phones) phone->listen();
    }
  }
  json ok(const json& request) {
    json reply = world_->ng(request);
    EXPECT_EQ(reply["result"], "ok") << reply;
    return reply;
  }
  /// What the plain phone says. `audio`, `video`: false = that section is refused; video may be left out.
  std::string phone_sdp(std::size_t sections, bool audio = true, bool video = true) const {
    std::string text = audio_sdp(at('A', static_cast<std::uint16_t>(audio ? 4000 : 0)));
    if (sections == 2)
      text += fmt::format("m=video {} RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n", video ? 4010 : 0);
    return text;
  }
  /// The browser calls the phone, or offers again. Returns the relay's answer.
  json browser_offers(IcePhone& browser, const std::vector<Part>& parts, bool audio = true) {
    json request = offer("c", "B", group_sdp(browser, parts));
    request.update({{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
    if (is_known_) request["to-tag"] = "A";
    relay_ = ports_of(ok(request));
    is_known_ = true;
    json answered = ok(answer("c", "B", "A", phone_sdp(parts.size(), audio)));
    browser.hears(answered, audio ? 0 : 1);
    return answered;
  }
  [[nodiscard]] static std::vector<std::uint16_t> ports_of(const json& reply) {
    const auto text = reply.at("sdp").get<std::string>();
    std::vector<std::uint16_t> ports;
    const auto parsed = sdp::parse(text);
    EXPECT_TRUE(parsed) << text;
    if (!parsed) return ports;
    for (const auto& section : parsed->media) ports.push_back(section.port);
    return ports;
  }
  [[nodiscard]] std::size_t heard(const IcePhone& browser, std::uint8_t type) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        browser.heard, [&](const Packet& each) { return (read_u8(each, 1) & 0x7f) == type; }));
  }
  /// 20 packets of each section, both ways.
  Counts talk(IcePhone& browser, bool audio = true, bool video = true) {
    const auto now = [&] {
      return Counts{heard(browser, kAudio), heard(browser, kVideo), world_->count(at('A', 4000), 'B'),
                    world_->count(at('A', 4010), 'B')};
    };
    const Counts before = now();
    for (int i = 0; i < 20; ++i, ++sequence_) {
      const Endpoint relay{world_->relay_address(), {}};
      if (audio) world_->send(at('A', 4000), {relay.address, UdpPort{relay_[0]}}, rtp('A', 1, sequence_));
      if (video)
        world_->send(at('A', 4010), {relay.address, UdpPort{relay_[1]}}, rtp('A', 11, sequence_, kVideo));
      if (browser.agent.selected(Component::kRtp)) {
        if (audio) browser.send(rtp('B', 2, sequence_));
        if (video) browser.send(rtp('B', 12, sequence_, kVideo));
      }
      pass({&browser}, 20ms);
    }
    Counts after = now();
    for (std::size_t i = 0; i < after.size(); ++i) after[i] -= before[i];
    return after;
  }

  std::unique_ptr<World> world_ = make_sim_world(options());
  std::vector<std::uint16_t> relay_;
  std::uint16_t sequence_ = 1;
  bool is_known_ = false;
};
INSTANTIATE_TEST_SUITE_P(Workers, Groups, ::testing::Values(1, 2, 3));

TEST_P(Groups, AGroupIsOneTransportOnThePort) {
  const std::size_t before = world_->open_ports();
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  const json answered = browser_offers(browser, kBoth);
  EXPECT_EQ(ports_of(answered), (std::vector<std::uint16_t>{29000, 29000})) << answered;
  EXPECT_NE(answered["sdp"].get<std::string>().find("a=group:BUNDLE 0 1\r\n"), std::string::npos);
  EXPECT_EQ(world_->open_ports(), before + 4) << "two pairs for the phone";
  pass({&browser}, 2s);
  EXPECT_EQ(talk(browser), kAll);
  ok({{"command", "delete"}, {"call-id", "c"}, {"delete-delay", 0}});
  EXPECT_EQ(world_->open_ports(), before);
}

TEST_P(Groups, APhoneOffersAGroupToABrowser) {
  json request = offer("c", "A", phone_sdp(2));
  request.update({{"flags", {"WebRTC"}}});
  const json offered = ok(request);
  EXPECT_EQ(ports_of(offered), (std::vector<std::uint16_t>{29000, 29000})) << offered;
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  browser.hears(offered);
  relay_ = ports_of(ok(answer("c", "A", "B", group_sdp(browser, {{"audio", "1"}, {"video", "2"}}))));
  pass({&browser}, 2s);
  EXPECT_EQ(talk(browser), kAll);
}

TEST_P(Groups, ASectionThatIsAddedJoinsWithoutARestart) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  browser_offers(browser, {{"audio", "0"}});
  pass({&browser}, 2s);
  const std::string ufrag = browser.plan.peer.ufrag;
  const json answered = browser_offers(browser, kBoth);
  EXPECT_EQ(ports_of(answered), (std::vector<std::uint16_t>{29000, 29000})) << answered;
  EXPECT_EQ(browser.plan.peer.ufrag, ufrag);
  EXPECT_EQ(talk(browser), kAll) << "at once";
}

TEST_P(Groups, TheTransportStaysWhenItsTaggedSectionGoesAway) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  browser_offers(browser, kBoth);
  pass({&browser}, 2s);
  ASSERT_EQ(talk(browser), kAll);
  const std::string ufrag = browser.plan.peer.ufrag;
  const json answered = browser_offers(browser, {{"audio", "0", false}, {"video", "1"}}, false);
  EXPECT_EQ(ports_of(answered), (std::vector<std::uint16_t>{0, 29000})) << answered;
  EXPECT_EQ(browser.plan.peer.ufrag, ufrag);
  EXPECT_EQ(talk(browser, false), (Counts{0, 20, 0, 20}));
}

TEST_P(Groups, AFirstSectionThatIsRefusedLeavesThePortToTheNext) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  const json answered = browser_offers(browser, kBoth, false);
  EXPECT_EQ(ports_of(answered), (std::vector<std::uint16_t>{0, 29000})) << answered;
  pass({&browser}, 2s);
  EXPECT_EQ(talk(browser, false), (Counts{0, 20, 0, 20}));
}

TEST_P(Groups, APageThatReloadsComesBackFromTheSameSocket) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  IcePhone page(*world_, at('B', 5001), "page", true);
  browser_offers(browser, kBoth);
  pass({&browser}, 2s);
  ASSERT_EQ(talk(browser), kAll);
  // New credentials and a new certificate in the same call.
  page.begin();
  browser_offers(page, kBoth);
  pass({&page}, 2s);
  EXPECT_EQ(talk(page), kAll);
}

TEST_P(Groups, ONE3_APageThatReloadsIntoAnotherCallHasItsSocketOnceItIsQuiet) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  IcePhone page(*world_, at('B', 5001), "page", true);
  browser_offers(browser, kBoth);
  pass({&browser}, 2s);
  ASSERT_EQ(talk(browser), kAll);
  // The former call is still there; nobody has told the relay that its page is gone.
  page.begin();
  json request = offer("d", "B", group_sdp(page, kBoth));
  request.update({{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
  relay_ = ports_of(ok(request));
  page.hears(ok(answer("d", "B", "A", phone_sdp(2))));
  pass({&page}, 10s);
  EXPECT_EQ(talk(page), kAll);
}

TEST_P(Groups, PartiesBehindOneAddressAreKeptApart) {
  // One NAT gives them one address and three ports; two talk to each other, the third has a call of its own.
  IcePhone alice(*world_, at('N', 5000), "alice", true);
  IcePhone bob(*world_, at('N', 5001), "bob", true);
  IcePhone carol(*world_, at('N', 5002), "carol", true);
  json request = offer("d", "alice", group_sdp(alice, kBoth));
  request.update({{"flags", {"WebRTC"}}});
  bob.hears(ok(request));
  alice.hears(ok(answer("d", "alice", "bob", group_sdp(bob, kBoth))));
  browser_offers(carol, kBoth);
  pass({&alice, &bob, &carol}, 2s);
  for (std::uint16_t n = 0; n < 20; ++n) {
    alice.send(rtp('a', 1, n));
    bob.send(rtp('b', 2, n, kVideo));
    pass({&alice, &bob, &carol}, 20ms);
  }
  EXPECT_EQ(heard(bob, kAudio), 20u);
  EXPECT_EQ(heard(alice, kVideo), 20u);
  EXPECT_EQ(heard(alice, kAudio) + heard(bob, kVideo), 0u);
  EXPECT_TRUE(carol.heard.empty()) << "nothing of the other call";
  EXPECT_EQ(talk(carol), kAll);
}

TEST_P(Groups, APublisherAndASubscriberLiveOnThePort) {
  const std::size_t before = world_->open_ports();
  IcePhone speaker(*world_, at('B', 5001), "bob", true);
  IcePhone hearer(*world_, at('C', 5002), "carol", true);
  const json published = ok(
      {{"command", "publish"}, {"call-id", "room"}, {"from-tag", "bob"}, {"sdp", group_sdp(speaker, kBoth)}});
  EXPECT_EQ(ports_of(published), (std::vector<std::uint16_t>{29000, 29000})) << published;
  speaker.hears(published);
  const json offered = ok({{"command", "subscribe request"},
                           {"call-id", "room"},
                           {"from-tag", "bob"},
                           {"to-tag", "carol"},
                           {"flags", {"WebRTC"}}});
  EXPECT_EQ(ports_of(offered), (std::vector<std::uint16_t>{29000, 29000})) << offered;
  hearer.hears(offered);
  const auto text = offered["sdp"].get<std::string>();
  const auto shown = sdp::parse(text);
  ASSERT_TRUE(shown);
  const std::string answered = group_sdp(
      hearer, {{"audio", std::string(shown->media[0].mid)}, {"video", std::string(shown->media[1].mid)}});
  ok({{"command", "subscribe answer"}, {"call-id", "room"}, {"to-tag", "carol"}, {"sdp", answered}});
  EXPECT_EQ(world_->open_ports(), before) << "no port of their own";
  pass({&speaker, &hearer}, 2s);
  for (std::uint16_t n = 0; n < 20; ++n) {
    speaker.send(rtp('B', 2, n));
    speaker.send(rtp('B', 12, n, kVideo));
    pass({&speaker, &hearer}, 20ms);
  }
  EXPECT_EQ(heard(hearer, kAudio), 20u);
  EXPECT_EQ(heard(hearer, kVideo), 20u);
  // Asked again without a word, the subscriber is shown the same port.
  const json again = ok({{"command", "subscribe request"},
                         {"call-id", "room"},
                         {"from-tag", "bob"},
                         {"to-tag", "carol"},
                         {"flags", {"WebRTC"}}});
  EXPECT_EQ(ports_of(again), ports_of(offered));
  ok({{"command", "delete"}, {"call-id", "room"}, {"delete-delay", 0}});
  EXPECT_EQ(world_->open_ports(), before);
}

TEST_P(Groups, ONE3_APublisherThatMightHaveNoIceHasPortsOfItsOwn) {
  const std::string plain = audio_sdp(at('B', 5001));
  const json published =
      ok({{"command", "publish"}, {"call-id", "room"}, {"from-tag", "bob"}, {"sdp", plain}});
  EXPECT_NE(World::port_of(published), kIcePort);
  const json offered = ok({{"command", "subscribe request"},
                           {"call-id", "room"},
                           {"from-tag", "bob"},
                           {"to-tag", "carol"},
                           {"ICE", "force"}});
  EXPECT_NE(World::port_of(offered), kIcePort);
}

}  // namespace
}  // namespace ferry::one_port_groups_test
