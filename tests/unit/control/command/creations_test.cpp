// SPDX-License-Identifier: Apache-2.0
// create and transform: parties that the relay makes itself (docs/reference/ng.md#create).
#include "control/command/subscriptions.hpp"
#include "tests/support/small_relay.hpp"

namespace ferry::test::creations_test {
namespace {

const Command kCreate = command(&Subscriptions::create);
const Command kTransform = command(&Subscriptions::transform);

WishedStream stream(const char* id, const char* to) { return {id, "", *Endpoint::parse(to)}; }

TEST(Create, OffersWhatTheClientListed) {
  SmallRelay relay;
  Request request = SmallRelay::request("room", "P");
  request.sections.members = {{"audio", {"PCMA", "opus", "P C\r\nMA"}}, {"video", {}}};
  const auto party = relay.ask(&Subscriptions::create, request);
  ASSERT_TRUE(party);
  EXPECT_EQ(party->call_id, "room");
  EXPECT_EQ(party->tag, "P");
  EXPECT_EQ(party->packet_files, std::vector<std::string>{});
  EXPECT_NE(party->sdp.find("RTP/AVP 8 96\r\n"), std::string::npos) << party->sdp;
  EXPECT_NE(party->sdp.find("a=rtpmap:96 opus/48000/2\r\n"), std::string::npos);
  EXPECT_NE(party->sdp.find("H264/90000"), std::string::npos) << "a video section names one";
  EXPECT_EQ(relay.network.open_ports(), 4u);
}

TEST(Create, WithoutAListOffersTheCodecsOfTheRequest) {
  SmallRelay relay;
  Request request = SmallRelay::request("room", "P");
  request.codecs.offer = {"PCMU"};
  const auto party = relay.ask(&Subscriptions::create, request);
  ASSERT_TRUE(party);
  EXPECT_NE(party->sdp.find("RTP/AVP 0\r\n"), std::string::npos) << party->sdp;
}

TEST(Transform, TellsWhereEachStreamComesIn) {
  SmallRelay relay;
  Request request = SmallRelay::request("room", "T");
  request.streams.members = {stream("x", "192.0.2.1:4000"), stream("y", "192.0.2.1:4002")};
  const auto made = relay.ask(&Subscriptions::transform, request);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->call_id, "room");
  EXPECT_EQ(made->tag, "T");
  ASSERT_EQ(made->streams.size(), 2u);
  const Leg& leg = *relay.manager.find("room")->leg_by_tag("T");
  for (std::size_t i = 0; i < 2; ++i) {
    const MediaTransport& transport = *leg.medias[i]->via;
    EXPECT_EQ(made->streams[i].id, i == 0 ? "x" : "y");
    EXPECT_EQ(made->streams[i].at.port, transport.active_ports()->port);
    EXPECT_EQ(made->streams[i].at.address, *IpAddress::parse("198.18.0.1"));
    EXPECT_EQ(transport.remote_rtp, request.streams.members[i].destination);
  }
}

class RefusedCreations : public testing::TestWithParam<RefusedCommand> {};

TEST_P(RefusedCreations, CTL6_LeavesEverythingAsItWas) {
  SmallRelay relay;
  relay.add_call();
  expect_refused(relay, GetParam());
}

const RefusedCommand kRefused[] = {
    {"CreateOfAPartyOfADialogue", kCreate, [](Request&) {}, RefusalReason::kNameTaken},
    {"CreateOfAnUnknownType", kCreate,
     [](Request& r) {
       r.call_id = "new";
       r.sections.members = {{"audio", {}}, {"smoke", {}}};
     },
     RefusalReason::kUnsupported},
    {"CreateWithABrokenSection", kCreate,
     [](Request& r) {
       r.call_id = "new";
       r.sections = {{{"audio", {}}}, RequestFault::kWrongContent};
     },
     RefusalReason::kMessage},
    {"CreateOfAnUnknownTypeBeforeABrokenSection", kCreate,
     [](Request& r) {
       r.call_id = "new";
       r.sections = {{{"smoke", {}}}, RequestFault::kWrongContent};
     },
     RefusalReason::kUnsupported},
    {"TransformForATagThatIsTaken", kTransform,
     [](Request& r) { r.streams.members = {stream("x", "192.0.2.1:4000")}; }, RefusalReason::kNameTaken},
    {"LAT11a_TransformToLoopback", kTransform,
     [](Request& r) {
       r.call_id = "new";
       r.streams.members = {stream("x", "192.0.2.1:4000"), stream("y", "127.0.0.1:4000")};
     },
     RefusalReason::kDeniedAddress},
    {"TransformWithABrokenStream", kTransform,
     [](Request& r) {
       r.call_id = "new";
       r.streams = {{stream("x", "192.0.2.1:4000")}, RequestFault::kWrongContent};
     },
     RefusalReason::kMessage},
    {"LAT11a_TransformToLoopbackBeforeABrokenStream", kTransform,
     [](Request& r) {
       r.call_id = "new";
       r.streams = {{stream("x", "127.0.0.1:4000")}, RequestFault::kWrongContent};
     },
     RefusalReason::kDeniedAddress},
};
INSTANTIATE_TEST_SUITE_P(Reference, RefusedCreations, testing::ValuesIn(kRefused),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace ferry::test::creations_test
