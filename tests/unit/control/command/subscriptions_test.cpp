// SPDX-License-Identifier: Apache-2.0
// publish, subscribe, unsubscribe: parties of one direction (docs/reference/ng.md#subscriptions).
#include "control/command/subscriptions.hpp"

#include "control/sdp/sdp.hpp"
#include "tests/support/small_relay.hpp"

#include <algorithm>

namespace ferry::test::subscriptions_test {
namespace {

const Command kPublish = command(&Subscriptions::publish);
const Command kSubscribe = command(&Subscriptions::subscribe_request);
const Command kAnswer = command(&Subscriptions::subscribe_answer);
const Command kUnsubscribe = command(&Subscriptions::unsubscribe);

/// Lines of an SDP that begin with `start`.
std::vector<std::string> lines(const std::string& sdp, std::string_view start) {
  std::vector<std::string> found;
  for (std::size_t at = 0; at < sdp.size();) {
    const auto end = std::min(sdp.find("\r\n", at), sdp.size());
    if (std::string_view(sdp).substr(at).starts_with(start)) found.push_back(sdp.substr(at, end - at));
    at = end + 2;
  }
  return found;
}
bool has_line(const std::string& sdp, std::string_view line) {
  const auto found = lines(sdp, line);
  return std::ranges::find(found, line) != found.end();
}
bool is_made_up(const std::string& id) {
  return id.size() == 64 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}
Request with(Request request, std::initializer_list<Flag> flags) {
  for (const Flag flag : flags) request.flags.set(static_cast<std::size_t>(flag));
  return request;
}

TEST(Publish, IsAnsweredForOneDirectionWithOneCodec) {
  SmallRelay relay;
  Request request;
  request.sdp = audio_at("198.51.100.1:4000");
  const auto reply = relay.ask(&Subscriptions::publish, request);
  ASSERT_TRUE(reply);
  const std::string sdp = reply->sdp;
  EXPECT_TRUE(has_line(sdp, "a=recvonly")) << sdp;
  ASSERT_EQ(lines(sdp, "m=audio").size(), 1u);
  EXPECT_TRUE(lines(sdp, "m=audio")[0].ends_with(" RTP/AVP 8")) << "PCMA before PCMU";
  const std::string id = reply->call_id;
  EXPECT_TRUE(is_made_up(id));
  EXPECT_TRUE(is_made_up(reply->tag));
  ASSERT_NE(relay.manager.find(id), nullptr);
  EXPECT_EQ(relay.network.open_ports(), 2u);
}

TEST(Publish, WordsOfCodecsAndDirection) {
  SmallRelay relay;
  Request request =
      with(SmallRelay::request("room", "P", {}, audio_at("198.51.100.1:4000")), {Flag::kBidirectional});
  request.codecs.accept = {"PCMU"};
  const auto reply = relay.ask(&Subscriptions::publish, request);
  ASSERT_TRUE(reply);
  EXPECT_TRUE(has_line(reply->sdp, "a=sendrecv"));
  EXPECT_TRUE(lines(reply->sdp, "m=audio")[0].ends_with(" RTP/AVP 0")) << "codec accept";
  EXPECT_EQ(reply->tag, "P");
}

class SubscribeTest : public testing::Test {
 protected:
  /// What the subscriber is offered.
  SubscriptionMade subscribe(const Request& request) {
    return relay_.ask(&Subscriptions::subscribe_request, request).value();
  }
  /// What the subscriber hears.
  std::vector<std::string> heard(const std::string& tag) {
    std::vector<std::string> sources;
    const Leg* leg = call_.leg_by_tag(tag);
    if (leg == nullptr) return {"nobody"};
    for (const auto& media : leg->medias) {
      for (const Subscription& flow : media->subscriptions) {
        if (media->via->remote_known) sources.push_back(flow.source->leg->tag);
      }
    }
    return sources;
  }
  Outcome answer(const std::string& tag, const std::string& sdp, std::initializer_list<Flag> flags = {}) {
    return relay_.run(kAnswer, with(SmallRelay::request("call", {}, tag, sdp), flags));
  }
  SmallRelay relay_;
  Call& call_ = relay_.add_call();
};

TEST_F(SubscribeTest, ASubscriberIsOfferedWhatItsSourceSends) {
  const SubscriptionMade reply = subscribe(SmallRelay::request("call", "A"));
  const std::string sdp = reply.sdp;
  EXPECT_TRUE(has_line(sdp, "a=sendonly")) << sdp;
  ASSERT_EQ(lines(sdp, "m=audio").size(), 1u);
  EXPECT_TRUE(lines(sdp, "m=audio")[0].ends_with(" RTP/AVP 8 0")) << "the source's codecs";
  EXPECT_TRUE(is_made_up(reply.tag));
  ASSERT_EQ(reply.medias.size(), 1u);
  EXPECT_EQ(reply.medias[0].tag, "A");
  EXPECT_FALSE(reply.tells_medias);
  EXPECT_EQ(relay_.network.open_ports(), 6u);
}

TEST_F(SubscribeTest, WordsOfDirection) {
  EXPECT_TRUE(
      has_line(subscribe(with(SmallRelay::request("call", "A"), {Flag::kInactive})).sdp, "a=inactive"));
  EXPECT_TRUE(
      has_line(subscribe(with(SmallRelay::request("call", "A"), {Flag::kBidirectional})).sdp, "a=sendrecv"));
  call_.legs[0]->medias[0]->may_send = false;
  call_.legs[0]->last_sdp = audio_at("198.51.100.1:4000", "a=recvonly\r\n");
  EXPECT_TRUE(has_line(subscribe(SmallRelay::request("call", "A")).sdp, "a=inactive"))
      << "RFC 3264 §8.4: the source sends nothing";
}

TEST_F(SubscribeTest, SiprecTellsWhoseEachSectionIs) {
  Request request = with(SmallRelay::request("call", {}, "S"), {Flag::kAll, Flag::kSiprec});
  request.all = AllParties::kAll;
  const SubscriptionMade reply = subscribe(request);
  EXPECT_TRUE(reply.tells_medias);
  ASSERT_EQ(reply.medias.size(), 2u);
  const std::string sdp = reply.sdp;
  EXPECT_TRUE(has_line(sdp, "a=label:0") && has_line(sdp, "a=label:1")) << "counted from 0: " << sdp;
  for (std::size_t i = 0; i < 2; ++i) {
    const SubscribedMedia& media = reply.medias[i];
    EXPECT_EQ(media.tag, i == 0 ? "A" : "B");
    EXPECT_EQ(media.label, std::to_string(i));
    EXPECT_EQ(media.index, 1u);
    EXPECT_EQ(media.type, "audio");
    EXPECT_EQ(media.direction, (sdp::Direction{true, true}));
  }
}

TEST_F(SubscribeTest, WhoAsksAgainKeepsItsSectionAndItsPort) {
  const Request request = SmallRelay::request("call", "A", "S");
  const SubscriptionMade first = subscribe(request);
  const SubscriptionMade second = subscribe(request);
  EXPECT_EQ(lines(first.sdp, "m="), lines(second.sdp, "m="));
  EXPECT_EQ(lines(first.sdp, "o="), lines(second.sdp, "o=")) << "the text is the same";
  EXPECT_EQ(relay_.network.open_ports(), 6u);
}

TEST_F(SubscribeTest, CopiesFlowFromTheAnswerOn) {
  subscribe(SmallRelay::request("call", "A", "S"));
  EXPECT_EQ(heard("S"), std::vector<std::string>{});
  ASSERT_TRUE(answer("S", audio_at("198.51.100.9:7000")));
  EXPECT_EQ(heard("S"), std::vector<std::string>{"A"});
}

TEST_F(SubscribeTest, TheAnswerMustTakeEveryCodec) {
  subscribe(SmallRelay::request("call", "A", "S"));
  std::string fewer = audio_at("198.51.100.9:7000");
  fewer.replace(fewer.find("RTP/AVP 8 0"), 11, "RTP/AVP 8");
  const auto before = relay_.everything();
  ASSERT_FALSE(answer("S", fewer));
  EXPECT_EQ(relay_.everything(), before) << "CTL-6";
  EXPECT_TRUE(answer("S", fewer, {Flag::kAllowTranscoding}));
  EXPECT_EQ(heard("S"), std::vector<std::string>{"A"});
}

TEST_F(SubscribeTest, UnsubscribeEndsWhatItHears) {
  subscribe(SmallRelay::request("call", "A", "S"));
  answer("S", audio_at("198.51.100.9:7000"));
  ASSERT_TRUE(relay_.run(kUnsubscribe, SmallRelay::request("call", {}, "S")));
  EXPECT_EQ(heard("S"), std::vector<std::string>{});
  EXPECT_EQ(relay_.manager.size(), 1u);
}

class RefusedSubscriptions : public testing::TestWithParam<RefusedCommand> {};

TEST_P(RefusedSubscriptions, CTL6_LeavesTheCallAsItWas) {
  SmallRelay relay;
  relay.add_call();
  ASSERT_TRUE(relay.run(kSubscribe, SmallRelay::request("call", "A", "S")));
  expect_refused(relay, GetParam());
}

void say(Request& request, const char* to, std::string sdp) {
  if (*to != 0) request.to_tag = to;
  if (!sdp.empty()) request.sdp = std::move(sdp);
}
const std::string kAudio = audio_at("198.51.100.9:7000");
const RefusedCommand kRefused[] = {
    {"PublishWithoutSdp", kPublish, [](Request&) {}, RefusalReason::kMessage},
    {"PublishOfNonsense", kPublish,
     [](Request& r) {
       r.call_id = "new";
       r.sdp = "hello";
     },
     RefusalReason::kSdp},
    {"PublishByAPartyOfADialogue", kPublish, [](Request& r) { r.sdp = kAudio; }, RefusalReason::kNameTaken},
    {"LAT11a_PublishFromLoopback", kPublish,
     [](Request& r) {
       r.call_id = "new";
       r.sdp = audio_at("127.0.0.1:7000");
     },
     RefusalReason::kDeniedAddress},
    {"SubscribeWithoutCall", kSubscribe, [](Request& r) { r.call_id.reset(); }, RefusalReason::kMessage},
    {"SubscribeToUnknownCall", kSubscribe, [](Request& r) { r.call_id = "nobody"; },
     RefusalReason::kUnknownCall},
    {"SubscribeToUnknownTag", kSubscribe, [](Request& r) { r.from_tag = "X"; }, RefusalReason::kUnknownParty},
    {"AnswerWithoutToTag", kAnswer, [](Request& r) { say(r, "", kAudio); }, RefusalReason::kMessage},
    {"AnswerWithoutSdp", kAnswer, [](Request& r) { say(r, "S", ""); }, RefusalReason::kMessage},
    {"AnswerInUnknownCall", kAnswer,
     [](Request& r) {
       say(r, "S", kAudio);
       r.call_id = "nobody";
     },
     RefusalReason::kUnknownCall},
    {"AnswerOfUnknownTag", kAnswer, [](Request& r) { say(r, "X", kAudio); }, RefusalReason::kUnknownParty},
    {"LAT11a_AnswerFromLoopback", kAnswer, [](Request& r) { say(r, "S", audio_at("127.0.0.1:7000")); },
     RefusalReason::kDeniedAddress},
    {"UnsubscribeWithoutToTag", kUnsubscribe, [](Request&) {}, RefusalReason::kMessage},
    {"UnsubscribeOfUnknownTag", kUnsubscribe, [](Request& r) { r.to_tag = "X"; },
     RefusalReason::kUnknownParty},
    {"UnsubscribeFromUnknownTag", kUnsubscribe,
     [](Request& r) {
       r.to_tag = "S";
       r.from_tag = "X";
       r.flags.set(static_cast<std::size_t>(Flag::kDirectional));
     },
     RefusalReason::kUnknownParty},
};
INSTANTIATE_TEST_SUITE_P(Reference, RefusedSubscriptions, testing::ValuesIn(kRefused),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace ferry::test::subscriptions_test
