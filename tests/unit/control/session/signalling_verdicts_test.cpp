// SPDX-License-Identifier: Apache-2.0
// What signalling did to a call, and what `explain` makes of it: offers that failed, hold, transcoding that
// nobody does, and the moment in which a call is deleted.

#include "tests/support/world.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// A and B agreed on PCMA and talk.
class Signalled : public ::testing::Test {
 protected:
  Signalled() {
    WorldOptions options;
    options.listener.on_report = [this](const CallReport& report) { reports_.push_back(report); };
    world_ = make_sim_world(options);
    for (const Party* each : {&a_, &b_}) world_->open(each->at);
  }
  struct Party {
    char name;
    Endpoint at;
    std::uint8_t type = 8;
    UdpPort to{};
    std::uint16_t sequence = 0;
  };

  static std::string sdp(const Party& party, std::uint8_t type, const std::string& more = "",
                         std::string address = "") {
    if (address.empty()) address = party.at.address.to_string();
    return fmt::format(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP {2}\r\n{3}",
        address, party.at.port.value, type, more);
  }
  json offers(const std::string& text, const json& keys = json::object()) {
    json request = offer("c", "A", text);
    request.update(keys);
    if (is_answered_) request["to-tag"] = "B";
    const json reply = world_->ng(request);
    EXPECT_EQ(reply["result"], "ok") << reply.dump();
    b_.to = World::port_of(reply);
    return reply;
  }
  void answers(const std::string& text) {
    const json reply = world_->ng(answer("c", "A", "B", text));
    EXPECT_EQ(reply["result"], "ok") << reply.dump();
    a_.to = World::port_of(reply);
    is_answered_ = true;
  }
  void set_up() {
    offers(sdp(a_, 8));
    answers(sdp(b_, 8));
  }
  /// Each of `who` sends 50 packets a second, in which there is sound.
  void talk(Duration time, std::vector<Party*> who) {
    const Duration end = world_->elapsed() + time;
    for (Duration then = world_->elapsed(); then < end; then += 20ms) {
      world_->at(then, [this, who] {
        for (Party* each : who) {
          Packet packet =
              rtp(each->name, static_cast<std::uint32_t>(each->name), ++each->sequence, each->type);
          for (std::size_t i = kRtpFixedHeaderSize + 1; i < packet.size(); ++i)
            packet[i] = static_cast<std::byte>(i * 37);
          world_->send(each->at, {world_->relay_address(), each->to}, packet);
        }
      });
    }
    world_->run(end);
  }
  json explained() { return world_->manager().explain("c", false, world_->clock()); }
  static json row(const json& reply, std::string_view leg, std::string_view direction, unsigned media = 1) {
    for (const json& each : reply["verdicts"]) {
      if (each["leg"] == leg && each["direction"] == direction && each["media"] == media) return each;
    }
    return {{"cause", "no such row"}, {"severity", "no such row"}};
  }

  Party a_{'A', {IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}}};
  Party b_{'B', {IpAddress::v4({192, 0, 2, 20}), UdpPort{5000}}};
  bool is_answered_ = false;
  std::vector<CallReport> reports_;
  std::unique_ptr<World> world_;
};

TEST_F(Signalled, WhoGoesOnAfterAnOfferThatFailedIgnoresNothing) {
  set_up();
  talk(3s, {&a_, &b_});
  const UdpPort agreed = b_.to;
  offers(sdp(a_, 0));  // its proxy answers 488
  b_.to = agreed;
  talk(8s, {&a_, &b_});
  for (const char* leg : {"A", "B"})
    EXPECT_EQ(row(explained(), leg, "from")["cause"], "fine") << explained().dump(1);
}

TEST_F(Signalled, WhoGoesOnWhenTheOldSdpIsOfferedAgainIgnoresNothing) {
  set_up();
  talk(3s, {&a_, &b_});
  const UdpPort agreed = b_.to;
  offers(sdp(a_, 0));
  offers(sdp(a_, 8));
  b_.to = agreed;
  talk(8s, {&a_, &b_});
  for (const char* leg : {"A", "B"})
    EXPECT_EQ(row(explained(), leg, "from")["cause"], "fine") << explained().dump(1);
}

TEST_F(Signalled, AMediumThatAnUnansweredOfferAddedWaits) {
  set_up();
  talk(2s, {&a_, &b_});
  const UdpPort agreed = b_.to;
  offers(sdp(a_, 8, "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"));
  b_.to = agreed;
  talk(8s, {&a_, &b_});
  EXPECT_EQ(row(explained(), "A", "from", 2)["cause"], "waiting") << explained().dump(1);
  EXPECT_NE(explained()["severity"], "fault") << explained().dump(1);
}

TEST_F(Signalled, WhoHoldsByTheZeroAddressDidNotStop) {
  set_up();
  talk(3s, {&a_, &b_});
  offers(sdp(a_, 8, "", "0.0.0.0"));
  answers(sdp(b_, 8, "a=recvonly\r\n"));
  talk(12s, {});
  EXPECT_EQ(row(explained(), "A", "from")["cause"], "hold") << explained().dump(1);
  EXPECT_EQ(row(explained(), "B", "from")["cause"], "hold") << explained().dump(1);
  EXPECT_NE(explained()["severity"], "fault") << explained().dump(1);
}

TEST_F(Signalled, PartiesWithoutACommonCodecAreNotBlamedIfTheScriptWantedItMade) {
  offers(sdp(a_, 8), {{"codec", {{"transcode", {"PCMU"}}}}});
  b_.type = 0;
  answers(sdp(b_, 0));
  talk(8s, {&a_, &b_});
  for (const char* leg : {"A", "B"}) {
    const json said = row(explained(), leg, "from");
    EXPECT_TRUE(said["cause"] == "not-transcoded" || said["severity"] != "fault") << explained().dump(1);
  }
  EXPECT_NE(explained().dump().find("not-transcoded"), std::string::npos) << explained().dump(1);
  EXPECT_NE(explained().dump().find("asked for: PCMU"), std::string::npos) << explained().dump(1);
}

TEST_F(Signalled, ALaterOfferWithoutTranscodingEndsTheWish) {
  offers(sdp(a_, 8), {{"codec", {{"transcode", {"PCMU"}}}}});
  answers(sdp(b_, 8));
  offers(sdp(a_, 8));
  b_.type = 0;
  answers(sdp(b_, 0));
  talk(8s, {&a_, &b_});
  EXPECT_EQ(explained().dump().find("not-transcoded"), std::string::npos) << explained().dump(1);
}

TEST_F(Signalled, WhoHangsUpShortlyBeforeTheDeleteIsNotAccused) {
  set_up();
  talk(12s, {&a_, &b_});
  talk(2s, {&b_});
  world_->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 0}});
  world_->run(world_->elapsed() + 1s);
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_NE(reports_[0].explanation.worst(), Severity::kFault);
}

TEST_F(Signalled, ACallThatIsDeletedBeforeMediaHasNoFault) {
  set_up();
  world_->run(world_->elapsed() + 2s);
  world_->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 0}});
  world_->run(world_->elapsed() + 1s);
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_NE(reports_[0].explanation.worst(), Severity::kFault);
}

}  // namespace
}  // namespace ferry::test
