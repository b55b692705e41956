// SPDX-License-Identifier: Apache-2.0
// What an export says of a call, and that the call which is restored from it is the same to everybody who
// asks.

#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace ferry::test::export_test {
namespace {

using nlohmann::json;

const Endpoint kAlice{IpAddress::v4({198, 51, 100, 10}), UdpPort{4000}};
const Endpoint kBob{IpAddress::v4({198, 51, 100, 20}), UdpPort{4000}};

class ExportTest : public ::testing::Test {
 protected:
  json record(const std::string& id) {
    return json::parse(world_->manager().export_call(id, world_->clock()).dump());
  }
  /// The call is exported, ended and restored.
  void through_record(const std::string& id) {
    const json record = this->record(id);
    world_->manager().terminate(id, world_->clock());
    world_->manager().flush(world_->clock());
    const auto restored = world_->manager().restore_call(record, world_->clock());
    ASSERT_TRUE(restored) << restored.error();
    world_->manager().flush(world_->clock());
    EXPECT_EQ(json::diff(record, this->record(id)), json::array());
  }

  std::unique_ptr<World> world_ = make_sim_world();
};

TEST_F(ExportTest, ACallOfTwoIsFoundByBothIds) {
  world_->ng(offer("one", "A", audio_sdp(kAlice)));
  world_->ng(offer("two", "B", audio_sdp(kBob)));
  const json connected = world_->ng({{"command", "connect"},
                                     {"call-id", "one"},
                                     {"from-tag", "A"},
                                     {"to-call-id", "two"},
                                     {"to-tag", "B"}});
  ASSERT_EQ(connected["result"], "ok") << connected;
  ASSERT_EQ(world_->manager().size(), 1u);
  std::string id;
  world_->manager().each_call([&](const Call& call) { id = call.id; });
  through_record(id);
  for (const char* name : {"one", "two"}) EXPECT_NE(world_->manager().find(name), nullptr) << name;
  // Neither id is free for another call.
  const json of_two = record(id);
  EXPECT_FALSE(world_->manager().restore_call(of_two, world_->clock()));
  for (const char* name : {"one", "two"}) EXPECT_NE(world_->manager().find(name), nullptr) << name;
}

TEST_F(ExportTest, ASessionOfTheOtherProtocolWithTheSameCallIdIsAnotherCall) {
  world_->ng(offer("same", "A", audio_sdp(kAlice)));
  EXPECT_NE(World::port_of(world_->rtpproxy("U same 198.51.100.10 4010 a")).value, 0);
  ASSERT_EQ(world_->manager().size(), 2u);
  through_record("same");
  EXPECT_EQ(world_->manager().size(), 2u);
}

TEST_F(ExportTest, CTL6_ARefusedMessageLeavesTheRecordAsItWas) {
  const auto offered = [](const std::string& sdp) { return offer("c", "A", sdp); };
  const Endpoint loopback{IpAddress::v4({127, 0, 0, 1}), UdpPort{4000}};
  std::string data_channel = audio_sdp(kAlice);
  data_channel.replace(data_channel.find("m="), std::string::npos,
                       "m=application 4000 UDP/DTLS/SCTP webrtc-datachannel\r\n");
  std::string broken = audio_sdp(kAlice);
  broken.replace(broken.find("m="), std::string::npos, "m=audio\r\n");
  for (const bool is_answered : {false, true}) {
    world_->ng(offered(audio_sdp(kAlice)));
    if (is_answered) world_->ng(answer("c", "A", "B", audio_sdp(kBob)));
    const json before = record("c");
    for (const json& refused : {offered(broken), offered(audio_sdp(loopback)), offered(data_channel),
                                answer("c", "A", "A", audio_sdp(kBob)), answer("c", "A", "B", broken),
                                answer("c", "A", "B", audio_sdp(loopback))}) {
      EXPECT_EQ(world_->ng(refused)["result"], "error") << refused;
      EXPECT_EQ(json::diff(before, record("c")), json::array()) << refused;
    }
    world_->limit_descriptors(world_->open_ports());
    EXPECT_EQ(world_->ng(offered(audio_sdp({kAlice.address, UdpPort{4020}})))["result"], "error");
    EXPECT_EQ(json::diff(before, record("c")), json::array()) << "no port for it";
    world_->limit_descriptors(SIZE_MAX);
    world_->manager().terminate_all(world_->clock());
    world_->manager().flush(world_->clock());
  }
}

}  // namespace
}  // namespace ferry::test::export_test
