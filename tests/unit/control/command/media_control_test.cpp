// SPDX-License-Identifier: Apache-2.0
// Block, silence and DTMF: whom a command is about, and which mark it sets
// (docs/reference/ng.md#party-selection, docs/reference/ng.md#blocking).
#include "control/command/media_control.hpp"

#include "control/command/digit_control.hpp"
#include "tests/support/small_relay.hpp"

namespace ferry::test::media_control_test {
namespace {

Command mark(MediaMark what, bool on) {
  return [=](const Services& services, const Request& request, const Clock& clock) {
    return MediaControl(services, request, clock).mark(what, on);
  };
}
void set(Request& request, Flag flag) { request.flags.set(static_cast<std::size_t>(flag)); }

/// Who is blocked: `call`, `A` (everything that it sends), `A>B` (what B hears of A).
std::string blocked(const Call& call) {
  std::string all = call.blocked ? "call " : "";
  for (const auto& leg : call.legs) {
    if (leg->blocked) all += leg->tag + " ";
    for (const auto& media : leg->medias) {
      for (const Subscription& flow : media->subscriptions)
        if (flow.blocked) all += flow.source->leg->tag + ">" + leg->tag + " ";
    }
  }
  return all;
}

struct SelectionRow {
  const char* name;
  std::function<void(Request&)> ask;
  const char* blocked;
};
void PrintTo(const SelectionRow& row, std::ostream* out) { *out << row.name; }

class SelectionRows : public testing::TestWithParam<SelectionRow> {
 protected:
  SelectionRows() { call_.legs[1]->ensure_extras().label = "callee"; }
  SmallRelay relay_;
  Call& call_ = relay_.add_call();
};

TEST_P(SelectionRows, BlocksWhomTheReferenceSays) {
  Request request = SmallRelay::request("call");
  GetParam().ask(request);
  ASSERT_TRUE(relay_.run(mark(MediaMark::kBlock, true), request));
  EXPECT_EQ(blocked(call_), GetParam().blocked);
  ASSERT_TRUE(relay_.run(mark(MediaMark::kBlock, false), request));
  EXPECT_EQ(blocked(call_), "");
}

const SelectionRow kSelections[] = {
    {"NobodyIsTheCall", [](Request&) {}, "call "},
    {"ATagWithoutDirectionalIsTheCall", [](Request& r) { r.from_tag = "A"; }, "call "},
    {"ATagWithDirectionalIsTheParty",
     [](Request& r) {
       r.from_tag = "A";
       set(r, Flag::kDirectional);
     },
     "A "},
    {"ALabel", [](Request& r) { r.label = "callee"; }, "B "},
    {"ALabelBeforeATag",
     [](Request& r) {
       r.label = "callee";
       r.from_tag = "A";
       set(r, Flag::kDirectional);
     },
     "B "},
    {"AnAddressOfAnSdp", [](Request& r) { r.address = "198.51.100.1"; }, "A "},
    {"FlagAllBeforeEverything",
     [](Request& r) {
       r.all = AllParties::kAll;
       set(r, Flag::kAll);
       r.label = "callee";
     },
     "call "},
    {"OneFlowByTag",
     [](Request& r) {
       r.from_tag = "A";
       r.to_tag = "B";
       set(r, Flag::kDirectional);
     },
     "A>B "},
    {"OneFlowByLabel",
     [](Request& r) {
       r.from_tag = "A";
       r.to_label = "callee";
       set(r, Flag::kDirectional);
     },
     "A>B "},
    {"FlowsOfAKind",
     [](Request& r) {
       r.from_tag = "B";
       r.all = AllParties::kOfferAnswer;
       set(r, Flag::kDirectional);
     },
     "B>A "},
};
INSTANTIATE_TEST_SUITE_P(Reference, SelectionRows, testing::ValuesIn(kSelections),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(MediaControl, TheTagOfSilenceAlwaysCounts) {
  SmallRelay relay;
  Call& call = relay.add_call();
  ASSERT_TRUE(relay.run(mark(MediaMark::kSilence, true), SmallRelay::request("call", "A")));
  EXPECT_TRUE(call.legs[0]->silenced);
  EXPECT_FALSE(call.silenced);
  ASSERT_TRUE(relay.run(mark(MediaMark::kSilence, false), SmallRelay::request("call", "A")));
  EXPECT_FALSE(call.legs[0]->silenced);
}

TEST(MediaControl, UnblockOfTheCallClearsItsOwnMarkAndWithAllEverything) {
  SmallRelay relay;
  Call& call = relay.add_call();
  Request party = SmallRelay::request("call", "A");
  set(party, Flag::kDirectional);
  Request flow = SmallRelay::request("call", "B", "A");
  set(flow, Flag::kDirectional);
  for (const Request& each : {SmallRelay::request("call"), party, flow})
    ASSERT_TRUE(relay.run(mark(MediaMark::kBlock, true), each));
  EXPECT_EQ(blocked(call), "call A B>A ");
  relay.run(mark(MediaMark::kBlock, false), SmallRelay::request("call"));
  EXPECT_EQ(blocked(call), "A B>A ");
  Request all = SmallRelay::request("call");
  all.all = AllParties::kAll;
  relay.run(mark(MediaMark::kBlock, false), all);
  EXPECT_EQ(blocked(call), "");
}

TEST(MediaControl, EventsAreBlockedOfPartiesAndCallsAlone) {
  SmallRelay relay;
  Call& call = relay.add_call();
  Request flow = SmallRelay::request("call", "A", "B");
  set(flow, Flag::kDirectional);
  ASSERT_TRUE(relay.run(command(&DigitControl::block), flow));
  EXPECT_TRUE(call.legs[0]->events_blocked) << "never of single flows";
  EXPECT_FALSE(call.events_blocked);
  EXPECT_EQ(blocked(call), "");
}

TEST(MediaControl, SetLabelNamesTheSelectedParty) {
  SmallRelay relay;
  Call& call = relay.add_call();
  Request request = SmallRelay::request("call", "A");
  request.set_label = "caller";
  ASSERT_TRUE(relay.run(mark(MediaMark::kSilence, true), request));
  EXPECT_EQ(call.legs[0]->label(), "caller");
}

class RefusedMediaControl : public testing::TestWithParam<RefusedCommand> {};

TEST_P(RefusedMediaControl, CTL6_LeavesTheCallAsItWas) {
  SmallRelay relay;
  relay.add_call();
  expect_refused(relay, GetParam());
}

const Command kBlock = mark(MediaMark::kBlock, true);
const Command kForward = command(&MediaControl::start_forwarding);
const RefusedCommand kRefused[] = {
    {"NoCallId", kBlock, [](Request& r) { r.call_id.reset(); }, RefusalReason::kMessage},
    {"UnknownCall", kBlock, [](Request& r) { r.call_id = "nobody"; }, RefusalReason::kUnknownCall},
    {"UnknownLabel", kBlock, [](Request& r) { r.label = "nobody"; }, RefusalReason::kUnknownParty},
    {"NoAddress", kBlock, [](Request& r) { r.address = "nowhere"; }, RefusalReason::kMessage},
    {"UnknownAddress", kBlock, [](Request& r) { r.address = "192.0.2.99"; }, RefusalReason::kUnknownParty},
    {"UnknownTag", mark(MediaMark::kSilence, true), [](Request& r) { r.from_tag = "X"; },
     RefusalReason::kUnknownParty},
    {"UnknownToTag", kBlock,
     [](Request& r) {
       set(r, Flag::kDirectional);
       r.to_tag = "X";
     },
     RefusalReason::kUnknownParty},
    {"UnknownToLabel", kBlock,
     [](Request& r) {
       set(r, Flag::kDirectional);
       r.to_label = "X";
     },
     RefusalReason::kUnknownParty},
    {"NobodyHearsItself", kBlock,
     [](Request& r) {
       set(r, Flag::kDirectional);
       r.to_tag = "A";
     },
     RefusalReason::kOther},
    {"ForwardToNowhere", kForward, [](Request& r) { r.destination = "udp:nowhere:5000"; },
     RefusalReason::kMessage},
    {"ForwardByTcp", kForward, [](Request& r) { r.destination = "tcp:192.0.2.9:5000"; },
     RefusalReason::kMessage},
    {"LAT11_ForwardToMulticast", kForward, [](Request& r) { r.destination = "udp:224.0.0.1:5000"; },
     RefusalReason::kMessage},
    {"LAT11a_ForwardToLoopback", kForward, [](Request& r) { r.destination = "udp:127.0.0.1:5000"; },
     RefusalReason::kDeniedAddress},
};
INSTANTIATE_TEST_SUITE_P(Reference, RefusedMediaControl, testing::ValuesIn(kRefused),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(MediaControl, LAT11a_NothingIsForwardedToAPortOfTheRelay) {
  SmallRelay relay;
  Call& call = relay.add_call();
  const LocalPorts& ports = call.legs[1]->medias[0]->via->ports[0];
  Request request = SmallRelay::request("call", "A");
  request.destination = "udp:" + Endpoint{ports.local->address, ports.port}.to_string();
  const Outcome outcome = relay.run(kForward, request);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().refusal(), RefusalReason::kDeniedAddress);
  EXPECT_EQ(call.legs.size(), 2u);
}

}  // namespace
}  // namespace ferry::test::media_control_test
