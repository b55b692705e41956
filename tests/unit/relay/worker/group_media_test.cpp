// SPDX-License-Identifier: Apache-2.0
// A party whose medias share a transport: whose packets are whose, what the relay makes for one media alone,
// and key frames for new receivers of video (FB-7).

#include "relay/core/rtp/header_extensions.hpp"
#include "tests/support/group_call.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include <gtest/gtest.h>

namespace ferry::group_media_test {
namespace {

using namespace std::chrono_literals;
using test::GroupCall;
using test::Packet;
using test::rtp;

Packet with_mid(Packet packet, std::string_view mid) {
  const std::size_t size = packet.size();
  packet.resize(size + 20);
  packet.resize(*write_extension(packet, size, GroupCall::kMidId, std::as_bytes(std::span(mid))));
  return packet;
}

/// The party of `slot` hears a prompt without an end on its media `media`; nothing = on its first one.
void start_prompt(GroupCall& call, std::uint32_t slot, std::optional<MediaId> media = {}, Ssrc ssrc = {},
                  bool is_one_stream = false) {
  StartPrompt start;
  start.id = {slot, 0};
  start.order.prompt = whole_prompt({}, std::vector<std::byte>(1000, std::byte{'P'}), 10);
  start.order.type = PayloadType{GroupCall::kAudio};
  start.order.rounds = Prompt::kForEver;
  start.media = media;
  start.numbers.ssrc = ssrc;
  start.is_one_stream = is_one_stream;
  call.run(std::move(start));
}

TEST(GroupMedia, BND20_AMidOfTheFirstPacketsHoldsForTheStream) {
  constexpr std::uint8_t kShared = 100;
  GroupCall call;
  for (SourcePlan& source : call.plans[0].sources)
    source.payloads.push_back({PayloadType{kShared}, G711Law::kNone, 0, false, 8000});
  call.begin();
  call.says(0, with_mid(rtp('V', 7, 1, kShared), "v"));
  call.says(0, rtp('V', 7, 2, kShared));
  EXPECT_EQ(call.heard(2).size(), 2u);
  // The first packet of another stream is held for its second one, and names it all the same.
  call.says(0, with_mid(rtp('W', 8, 1, kShared), "v"));
  call.says(0, rtp('W', 8, 2, kShared));
  EXPECT_EQ(call.heard(2).size(), 2u);
  // A re-offer changes nothing.
  call.plans[0].sources[0].sinks[0].media_allowed = false;
  call.update(0);
  call.says(0, rtp('V', 7, 3, kShared));
  EXPECT_EQ(call.heard(2).size(), 1u);
  // Without any MID, and with a type of both, it is nobody's.
  call.says(0, rtp('X', 9, 1, kShared));
  call.says(0, rtp('X', 9, 2, kShared));
  EXPECT_TRUE(call.heard(1).empty());
  EXPECT_TRUE(call.heard(2).empty());
  EXPECT_EQ(call.read(0).drops[DropReason::kUnknownPayloadType], 2u);
}

TEST(GroupMedia, BND20_AMidOfEarlyPacketsIsLearnedWhenTheyComeOut) {
  constexpr std::uint8_t kShared = 100;
  GroupCall call(GroupCall::Far::kApart, test::some_keys());
  for (SourcePlan& source : call.plans[0].sources)
    source.payloads.push_back({PayloadType{kShared}, G711Law::kNone, 0, false, 8000});
  const auto keys = call.plans[0].srtp;
  auto awaiting = std::make_shared<SrtpPlan>(*keys);
  awaiting->receive.clear();
  call.plans[0].srtp = awaiting;
  call.plans[0].early_until = Instant::max();
  call.begin();
  call.says(0, with_mid(rtp('V', 7, 1, kShared), "v"));
  EXPECT_TRUE(call.heard(2).empty()) << "the answer brings the key";
  call.plans[0].srtp = keys;
  call.plans[0].early_until = {};
  call.update(0);
  call.pass(20ms);
  EXPECT_EQ(call.heard(2).size(), 1u);
  call.says(0, rtp('V', 7, 2, kShared));
  call.pass(20ms);
  EXPECT_EQ(call.heard(2).size(), 1u);
  EXPECT_EQ(call.read(0).named, (std::vector<TransportSnapshot::Named>{{Ssrc{7}, GroupCall::kVideoMedia}}));
}

TEST(GroupMedia, Rfc9143_AnUnknownMidIsNobodysWithOneSourceToo) {
  for (const bool is_protected : {false, true}) {
    GroupCall call(GroupCall::Far::kApart, is_protected ? std::optional(test::some_keys()) : std::nullopt);
    call.plans[0].sources.resize(1);
    call.plans[0].sources[0].passes_other_types = true;
    call.begin();
    call.says(0, rtp('A', 7, 1, GroupCall::kAudio));
    call.says(0, rtp('A', 7, 2, 99));
    EXPECT_EQ(call.heard(1).size(), 2u) << "a type that nobody negotiated passes (DMX-4)";
    call.says(0, with_mid(rtp('A', 7, 3, GroupCall::kAudio), "w"));
    call.says(0, with_mid(rtp('A', 7, 4, 99), "w"));
    EXPECT_TRUE(call.heard(1).empty());
    EXPECT_EQ(call.read(0).drops[DropReason::kUnknownPayloadType], 2u);
    call.says(0, with_mid(rtp('A', 7, 5, GroupCall::kAudio), "a"));
    EXPECT_EQ(call.heard(1).size(), 1u);
  }
}

TEST(GroupMedia, APromptTowardAudioLeavesVideoAlone) {
  GroupCall call;
  for (TransportPlan& plan : call.plans) {
    for (SourcePlan& source : plan.sources) {
      if (source.sinks[0].mid) source.sinks[0].mid_extension = GroupCall::kMidId;
    }
  }
  call.begin();
  call.says(0, rtp('x', 1, 1, GroupCall::kAudio));
  start_prompt(call, 0, GroupCall::kAudioMedia, Ssrc{99});
  std::uint16_t n = 0;
  std::string senders;
  for (int i = 0; i < 5; ++i) {
    call.pass(20ms);
    call.says(1, rtp('a', 5, n, GroupCall::kAudio));
    call.says(2, rtp('v', 6, n++, GroupCall::kVideo));
  }
  std::size_t of_prompt = 0;
  for (const Packet& each : call.heard(0)) {
    const auto view = parse_rtp(each);
    ASSERT_TRUE(view);
    const auto mid = find_extension(each, GroupCall::kMidId);
    const std::string name = mid ? std::string(reinterpret_cast<const char*>(mid->data()), mid->size()) : "";
    const char sender = static_cast<char>(view->payload[0]);
    EXPECT_EQ(name, sender == 'v' ? "v" : "a") << "the prompt names its section, too";
    of_prompt += sender == 'P' ? 1 : 0;
    if (sender != 'P') senders += sender;
  }
  EXPECT_EQ(senders, "vvvvv");
  EXPECT_GE(of_prompt, 5u);
  EXPECT_EQ(call.read(0).drops[DropReason::kPromptPlaying], 5u);
  // Only the prompt of that media stops.
  call.run(StopPrompt{{0, 0}, GroupCall::kVideoMedia});
  call.says(1, rtp('a', 5, n++, GroupCall::kAudio));
  call.run(StopPrompt{{0, 0}, GroupCall::kAudioMedia});
  call.sent.clear();
  call.says(1, rtp('a', 5, n++, GroupCall::kAudio));
  EXPECT_EQ(call.heard(0).size(), 1u);
}

TEST(GroupMedia, BND22_APromptNamesItsSectionWhereNobodyElseDoes) {
  // A group of one section: its party names none itself.
  GroupCall call;
  call.plans[0].mid_extension = 0;
  for (SourcePlan& source : call.plans[0].sources) source.mid = nullptr;
  call.begin();
  call.says(0, rtp('x', 1, 1, GroupCall::kAudio));
  start_prompt(call, 0, GroupCall::kAudioMedia, Ssrc{99});
  call.pass(20ms);
  const auto heard = call.heard(0);
  ASSERT_FALSE(heard.empty());
  const auto mid = find_extension(heard.back(), GroupCall::kMidId);
  ASSERT_TRUE(mid);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(mid->data()), mid->size()), "a");
}

TEST(GroupMedia, SRT9_APromptInTheStreamOfASenderEndsWhenThePartyGetsThatSendersKey) {
  GroupCall call(GroupCall::Far::kTogether, test::some_keys());
  call.begin();
  call.says(0, rtp('x', 1, 1, GroupCall::kAudio));
  for (std::uint16_t n = 0; n < 3; ++n) call.says(1, rtp('A', 0xa, n, GroupCall::kAudio));
  start_prompt(call, 0, GroupCall::kAudioMedia, Ssrc{99}, true);
  call.heard(0);
  call.pass(40ms);
  const auto heard = call.heard(0);
  ASSERT_FALSE(heard.empty());
  ASSERT_EQ(read_u32(heard.back(), 8), 0xau) << "it goes on with the sender's stream";
  auto keys = std::make_shared<SrtpPlan>(*call.plans[0].srtp);
  keys->send_is_relayed = true;
  call.plans[0].srtp = keys;
  call.update(0);
  call.heard(0);
  call.pass(200ms);
  EXPECT_TRUE(call.heard(0).empty());
}

TEST(GroupMedia, APromptEndsWithItsMedia) {
  GroupCall call;
  call.begin();
  call.says(0, rtp('x', 1, 1, GroupCall::kAudio));
  start_prompt(call, 0, GroupCall::kVideoMedia);
  call.pass(20ms);
  EXPECT_FALSE(call.heard(0).empty());
  call.plans[0].sources.pop_back();
  call.update(0);
  call.sent.clear();
  call.pass(100ms);
  EXPECT_TRUE(call.heard(0).empty());
}

TEST(GroupMedia, AMediaThatTakesThePlaceOfTheOnlyOneKeepsItsPrompt) {
  GroupCall call;
  call.begin();
  call.says(1, rtp('x', 1, 1, GroupCall::kAudio));
  start_prompt(call, 1);
  call.plans[1].sources[0].media = MediaId{99};
  call.update(1);
  call.sent.clear();
  call.pass(20ms);
  EXPECT_FALSE(call.heard(1).empty());
}

// Key frames.

/// The media sources of the PLIs that the party of `slot` was sent, in order.
std::vector<std::uint32_t> asked(GroupCall& call, std::uint32_t slot) {
  std::vector<std::uint32_t> sources;
  for (const Packet& each : call.heard(slot, true)) {
    if (each.size() == 20 && read_u8(each, 1) == 201 && read_u8(each, 8) == 0x81 && read_u8(each, 9) == 206)
      sources.push_back(read_u32(each, 16));
  }
  return sources;
}
using Ssrcs = std::vector<std::uint32_t>;

/// The browser sends video that takes feedback; `is_seen`: the phone sees it.
std::unique_ptr<GroupCall> video_call(bool is_seen, bool is_protected = false) {
  auto call = std::make_unique<GroupCall>(GroupCall::Far::kApart,
                                          is_protected ? std::optional(test::some_keys()) : std::nullopt);
  call->plans[0].sources[1].takes_pli = true;
  call->plans[0].sources[1].payloads.push_back({PayloadType{97}, G711Law::kNone, 0, false, 90000});
  call->plans[0].sources[1].sinks[0].media_allowed = is_seen;
  call->begin();
  call->pass(1s);
  for (std::uint16_t n = 1; n < 6; ++n) call->says(0, rtp('V', 7, n, GroupCall::kVideo));
  for (std::uint16_t n = 1; n < 3; ++n) call->says(0, rtp('R', 8, n, 97));
  EXPECT_EQ(asked(*call, 0), Ssrcs{}) << "who is there from the beginning gets the first frame";
  return call;
}

TEST(GroupMedia, FB7_ANewReceiverOfVideoGetsAKeyFrame) {
  struct Row {
    const char* what;
    bool is_protected;
    bool takes_pli;
    std::function<void(TransportPlan&)> change;
    Ssrcs asked;
  };
  const auto allow = [](TransportPlan& plan) { plan.sources[1].sinks[0].media_allowed = true; };
  for (const Row& row : {
           Row{"un-hold", false, true, allow, {7}},
           Row{"un-hold, protected", true, true, allow, {7}},
           Row{"the party takes no feedback", false, false, allow, {}},
           Row{"still on hold", false, true, [](TransportPlan& plan) { plan.listening_quality = true; }, {}},
           Row{"another receiver",
               false,
               true,
               [](TransportPlan& plan) {
                 plan.sources[1].sinks.push_back(plan.sources[1].sinks[0]);
                 plan.sources[1].sinks[1].via = {1, 0};
                 plan.sources[1].sinks[1].media_allowed = true;
               },
               {7}},
           Row{"another who only reports",
               false,
               true,
               [](TransportPlan& plan) {
                 plan.sources[1].sinks.push_back(plan.sources[1].sinks[0]);
                 plan.sources[1].sinks[1].via = {1, 0};
                 plan.sources[1].sinks[1].media_allowed = true;
                 plan.sources[1].sinks[1].rtcp_only = true;
               },
               {}},
           Row{"another receiver of audio",
               false,
               true,
               [](TransportPlan& plan) { plan.sources[0].sinks[0].to = MediaId{98}; },
               {}},
       }) {
    SCOPED_TRACE(row.what);
    const auto call = video_call(false, row.is_protected);
    call->plans[0].sources[1].takes_pli = row.takes_pli;
    row.change(call->plans[0]);
    call->update(0);
    EXPECT_EQ(asked(*call, 0), row.asked);
    call->update(0);
    call->pass(2s);
    EXPECT_EQ(asked(*call, 0), Ssrcs{}) << "once";
  }
}

/// The phone takes the browser's video off hold.
void see_again(GroupCall& call) {
  for (const bool is_seen : {false, true}) {
    call.plans[0].sources[1].sinks[0].media_allowed = is_seen;
    call.update(0);
  }
}

TEST(GroupMedia, FB7_OneRequestEachHalfSecondAndTheLastOneIsNotLost) {
  const auto call = video_call(true);
  for (int n = 0; n < 10; ++n) see_again(*call);
  EXPECT_EQ(asked(*call, 0), Ssrcs{7});
  call->pass(400ms);
  EXPECT_EQ(asked(*call, 0), Ssrcs{});
  call->pass(101ms);
  EXPECT_EQ(asked(*call, 0), Ssrcs{7});
  call->pass(5s);
  EXPECT_EQ(asked(*call, 0), Ssrcs{});
}

TEST(GroupMedia, FB7_TheStreamThatIsSeenIsAsked) {
  const auto call = video_call(true);
  see_again(*call);
  EXPECT_EQ(asked(*call, 0), Ssrcs{7}) << "not that of retransmissions";
  call->pass(2s);
  for (std::uint16_t n = 1; n < 4; ++n) call->says(0, rtp('W', 9, n, GroupCall::kVideo));
  see_again(*call);
  EXPECT_EQ(asked(*call, 0), Ssrcs{9}) << "the newer one has taken over";
}

TEST(GroupMedia, FB7_ASenderThatCannotBeReachedYetIsAskedWhenItCan) {
  const auto call = video_call(false, true);
  const auto keys = call->plans[0].srtp;
  auto awaiting = std::make_shared<SrtpPlan>(*keys);
  awaiting->send.reset();
  call->plans[0].srtp = awaiting;
  call->plans[0].sources[1].sinks[0].media_allowed = true;
  call->update(0);
  call->pass(2s);
  EXPECT_EQ(asked(*call, 0), Ssrcs{});
  call->plans[0].srtp = keys;
  call->update(0);
  EXPECT_EQ(asked(*call, 0), Ssrcs{7});
  call->pass(2s);
  EXPECT_EQ(asked(*call, 0), Ssrcs{}) << "once";
}

TEST(GroupMedia, FB7_UnderAKeyOfAnotherNobodyIsAsked) {
  const auto call = video_call(false, true);
  auto keys = std::make_shared<SrtpPlan>(*call->plans[0].srtp);
  keys->send_is_relayed = true;
  call->plans[0].srtp = keys;
  call->plans[0].sources[1].sinks[0].media_allowed = true;
  call->update(0);
  EXPECT_EQ(asked(*call, 0), Ssrcs{});
}

}  // namespace
}  // namespace ferry::group_media_test
