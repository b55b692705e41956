// SPDX-License-Identifier: Apache-2.0
// connect, mesh and inject: calls become one, and who hears whom (docs/reference/ng.md#conferences).
#include "control/command/conference.hpp"

#include "tests/support/small_relay.hpp"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace ferry::test {
namespace {

const Command kConnect = command(&Conference::connect);
const Command kMesh = command(&Conference::mesh);
const Command kInject = command(&Conference::inject_start);
const Command kEject = command(&Conference::inject_stop);

/// Who hears whom: `A>B` for what B hears of A.
std::set<std::string> flows(const Call& call) {
  std::set<std::string> all;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      for (const Subscription& flow : media->subscriptions)
        all.insert(flow.source->leg->tag + ">" + leg->tag);
    }
  }
  return all;
}

class ConferenceTest : public testing::Test {
 protected:
  ConferenceTest() {
    relay_.add_call("call", "A", "B");
    relay_.add_call("other", "C", "D");
  }
  Request connect(const char* from, const char* to) {
    Request request = SmallRelay::request("call", from, to);
    request.to_call_id = "other";
    return request;
  }
  Request inject(const char* source, const char* to) {
    Request request = SmallRelay::request("call", {}, to);
    request.source_tag = source;
    return request;
  }
  SmallRelay relay_;
};

TEST_F(ConferenceTest, ConnectMergesTheCallsAndJoinsTheTwo) {
  ASSERT_TRUE(relay_.run(kConnect, connect("A", "C")));
  Call* call = relay_.manager.find("call");
  ASSERT_NE(call, nullptr);
  EXPECT_EQ(relay_.manager.find("other"), call) << "found under each of its Call-IDs";
  EXPECT_EQ(relay_.manager.size(), 1u);
  EXPECT_EQ(call->legs.size(), 4u);
  const auto all = flows(*call);
  EXPECT_TRUE(all.contains("A>C") && all.contains("C>A"));
  EXPECT_FALSE(all.contains("A>B") || all.contains("B>A")) << "they go on with each other instead";
  EXPECT_FALSE(all.contains("C>D") || all.contains("D>C"));
  EXPECT_EQ(relay_.network.open_ports(), 8u);
}

TEST_F(ConferenceTest, TheMergedCallEndsAsOne) {
  ASSERT_TRUE(relay_.run(kConnect, connect("A", "C")));
  ASSERT_TRUE(relay_.manager.terminate("other", relay_.clock()));
  relay_.flush();
  EXPECT_EQ(relay_.manager.size(), 0u);
  EXPECT_EQ(relay_.network.open_ports(), 0u);
}

TEST_F(ConferenceTest, AnInjectedPartyIsHeardBesideTheOthers) {
  Request request = inject("C", "B");
  request.source_call_id = "other";
  ASSERT_TRUE(relay_.run(kInject, request));
  Call& call = *relay_.manager.find("call");
  EXPECT_EQ(relay_.manager.find("other"), &call);
  EXPECT_TRUE(flows(call).contains("C>B"));
  EXPECT_TRUE(flows(call).contains("A>B"));
  EXPECT_FALSE(flows(call).contains("B>C")) << "one direction";
  ASSERT_TRUE(relay_.run(kEject, request));
  EXPECT_FALSE(flows(call).contains("C>B"));
  EXPECT_TRUE(flows(call).contains("A>B"));
}

TEST_F(ConferenceTest, CTL6_AMeshOfTooManyPartiesChangesNoCall) {
  Request request;
  request.calls.members = {"call", "other"};
  for (int i = 0; i < 31; ++i) {
    const std::string number = std::to_string(i);
    relay_.add_call("more" + number, "E" + number, "F" + number);
    request.calls.members.push_back("more" + number);
  }
  EXPECT_FALSE(relay_.run(kMesh, request)) << "66 parties, and a call has 64 at most (LIM-6)";
  EXPECT_EQ(relay_.manager.size(), 33u) << "not even the first two became one";
  EXPECT_NE(relay_.manager.find("call"), relay_.manager.find("other"));
}

TEST_F(ConferenceTest, AMeshHasTheFlowsThatItNames) {
  Request request;
  request.calls.members = {"call", "other"};
  request.flows.members = {{"A", {"C", "D"}}};
  ASSERT_TRUE(relay_.run(kMesh, request));
  Call& call = *relay_.manager.find("other");
  const auto all = flows(call);
  EXPECT_TRUE(all.contains("A>C") && all.contains("A>D"));
  EXPECT_FALSE(all.contains("C>A"));
  EXPECT_TRUE(all.contains("A>B") && all.contains("C>D")) << "dialogues go on";
}

TEST_F(ConferenceTest, CTL6_TagsThatMeetKeepTheCallsApart) {
  relay_.add_call("twin", "A", "Z");
  const auto before = relay_.everything();
  Request request = connect("B", "Z");
  request.to_call_id = "twin";
  const Outcome outcome = relay_.run(kConnect, request);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().refusal(), RefusalReason::kNameTaken);
  EXPECT_EQ(relay_.everything(), before);
  EXPECT_NE(relay_.manager.find("call"), relay_.manager.find("twin"));
}

class RefusedConference : public testing::TestWithParam<RefusedCommand> {};

TEST_P(RefusedConference, CTL6_LeavesTheCallsAsTheyWere) {
  SmallRelay relay;
  relay.add_call("call", "A", "B");
  relay.add_call("other", "C", "D");
  expect_refused(relay, GetParam());
}

void mesh_of(Request& request, std::vector<std::string> calls, WishList<WishedFlows> flows) {
  request.calls.members = std::move(calls);
  request.flows = std::move(flows);
}
WishList<WishedFlows> flow(const char* from, const char* to) { return {{{from, {to}}}, {}}; }
const RefusedCommand kRefused[] = {
    {"ConnectWithoutCall", kConnect, [](Request& r) { r.call_id.reset(); }, RefusalReason::kMessage},
    {"ConnectWithoutToTag", kConnect, [](Request&) {}, RefusalReason::kMessage},
    {"ConnectOfUnknownCall", kConnect,
     [](Request& r) {
       r.call_id = "nobody";
       r.to_tag = "B";
     },
     RefusalReason::kUnknownCall},
    {"ConnectToUnknownCall", kConnect,
     [](Request& r) {
       r.to_call_id = "nobody";
       r.to_tag = "C";
     },
     RefusalReason::kUnknownCall},
    {"MeshWithoutList", kMesh, [](Request&) {}, RefusalReason::kUnknownCall},
    {"MeshOfUnknownCall", kMesh,
     [](Request& r) {
       mesh_of(r, {"call", "nobody"}, flow("A", "B"));
     },
     RefusalReason::kUnknownCall},
    {"MeshOfCallsWithABrokenOne", kMesh,
     [](Request& r) {
       mesh_of(r, {"call", "other"}, flow("A", "C"));
       r.calls.fault = RequestFault::kUnknownCall;
     },
     RefusalReason::kUnknownCall},
    {"MeshOfNobody", kMesh,
     [](Request& r) {
       mesh_of(r, {"call", "other"}, {{{"A", {"C"}}}, RequestFault::kNoMemberTag});
     },
     RefusalReason::kMessage},
    {"MeshOfAnUnknownTagBeforeABrokenRow", kMesh,
     [](Request& r) {
       mesh_of(r, {"call", "other"}, {{{"X", {"C"}}}, RequestFault::kNoMemberTag});
     },
     RefusalReason::kUnknownParty},
    {"MeshOfUnknownTag", kMesh,
     [](Request& r) {
       mesh_of(r, {"call", "other"}, flow("X", "C"));
     },
     RefusalReason::kUnknownParty},
    {"MeshToUnknownTag", kMesh,
     [](Request& r) {
       mesh_of(r, {"call", "other"}, flow("A", "X"));
     },
     RefusalReason::kUnknownParty},
    {"InjectWithoutToTag", kInject, [](Request&) {}, RefusalReason::kMessage},
    {"InjectWithoutSource", kInject, [](Request& r) { r.to_tag = "B"; }, RefusalReason::kMessage},
    {"InjectToUnknownTag", kInject,
     [](Request& r) {
       r.to_tag = "X";
       r.source_tag = "A";
     },
     RefusalReason::kUnknownParty},
    {"InjectOfUnknownTag", kInject,
     [](Request& r) {
       r.to_tag = "B";
       r.source_tag = "X";
     },
     RefusalReason::kUnknownParty},
};
INSTANTIATE_TEST_SUITE_P(Reference, RefusedConference, testing::ValuesIn(kRefused),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace ferry::test
