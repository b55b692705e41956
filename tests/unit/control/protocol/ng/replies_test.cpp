// SPDX-License-Identifier: Apache-2.0
// What commands answer, as clients read it: every key, and the order of the keys
// (docs/reference/ng.md#errors).
#include "control/protocol/ng/replies.hpp"

#include "control/protocol/ng/json_codec.hpp"

#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

template <class Done>
std::string written(Done done) {
  return ng::encode_json(Value(ng::reply_of(std::move(done))));
}

TEST(Replies, AnOfferOrAnswerHasItsSdpAndThenTheRecordings) {
  EXPECT_EQ(written(MessageTaken{"v=0", {}}), R"({"sdp":"v=0"})");
  EXPECT_EQ(written(MessageTaken{"v=0", {"/a.pcap", "/b.pcap"}}),
            R"({"sdp":"v=0","recordings":["/a.pcap","/b.pcap"]})");
  EXPECT_EQ(written(MessageTaken{"", {}}), R"({"sdp":""})") << "a text that is empty is no missing one";
}

TEST(Replies, AFragmentIsAnsweredWithoutSdp) { EXPECT_EQ(written(MessageTaken{}), "{}"); }

TEST(Replies, APartyOfItsOwnIsNamedBeforeItsSdp) {
  EXPECT_EQ(written(PartyMade{"c", "t", "v=0", {}}), R"({"call-id":"c","from-tag":"t","sdp":"v=0"})");
  EXPECT_EQ(written(PartyMade{"c", "t", "v=0", {"/a.pcap"}}),
            R"({"call-id":"c","from-tag":"t","sdp":"v=0","recordings":["/a.pcap"]})");
}

SubscribedMedia audio_of(const char* tag, const char* party_label, const char* label) {
  return {.tag = tag,
          .party_label = party_label,
          .index = 1,
          .type = "audio",
          .direction = {true, false},
          .label = label};
}

TEST(Replies, ASubscriptionToOnePartyNamesItTwice) {
  EXPECT_EQ(written(SubscriptionMade{"s", "v=0", {audio_of("a", "caller", "")}, false}),
            R"({"sdp":"v=0","from-tag":"a","from-tags":["a"],"to-tag":"s"})");
}

TEST(Replies, ASubscriptionToSeveralNamesOneForEachSection) {
  EXPECT_EQ(written(SubscriptionMade{"s", "v=0", {audio_of("a", "", ""), audio_of("a", "", "")}, false}),
            R"({"sdp":"v=0","from-tags":["a","a"],"to-tag":"s"})");
  EXPECT_EQ(written(SubscriptionMade{"s", "v=0", {}, false}), R"({"sdp":"v=0","from-tags":[],"to-tag":"s"})");
}

TEST(Replies, SiprecTellsEachMediaByTagAndByLabel) {
  SubscribedMedia video = audio_of("b", "", "1");
  video.index = 2;
  video.type = "video";
  video.direction = {false, false};
  EXPECT_EQ(
      written(SubscriptionMade{"s", "v=0", {audio_of("a", "caller", "0"), video}, true}),
      R"({"sdp":"v=0",)"
      R"("tag-medias":[)"
      R"({"tag":"a","label":"caller","medias":[{"index":1,"type":"audio","label":"0","mode":"sendonly"}]},)"
      R"({"tag":"b","medias":[{"index":2,"type":"video","label":"1","mode":"inactive"}]}],)"
      R"("media-labels":{)"
      R"("0":{"tag":"a","index":1,"type":"audio","label":"caller","mode":"sendonly"},)"
      R"("1":{"tag":"b","index":2,"type":"video","mode":"inactive"}},)"
      R"("from-tags":["a","b"],"to-tag":"s"})");
}

TEST(Replies, TransformSaysWhereEachStreamComesIn) {
  const TransformMade made{
      "c",
      "t",
      {{"x", *Endpoint::parse("198.51.100.7:30000")}, {"", *Endpoint::parse("[2001:db8::7]:30002")}}};
  EXPECT_EQ(written(made), R"({"call-id":"c","from-tag":"t","media":[)"
                           R"({"id":"x","family":"IP4","address":"198.51.100.7","port":30000},)"
                           R"({"id":"","family":"IP6","address":"2001:db8::7","port":30002}]})");
  EXPECT_EQ(written(TransformMade{"c", "t", {}}), R"({"call-id":"c","from-tag":"t","media":[]})");
}

TEST(Replies, AListHasItsCallsInTheirOrder) {
  EXPECT_EQ(written(std::vector<std::string>{"b", "a"}), R"({"calls":["b","a"]})");
  EXPECT_EQ(written(std::vector<std::string>{}), R"({"calls":[]})");
}

}  // namespace
}  // namespace ferry::test
