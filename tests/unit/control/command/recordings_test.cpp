// SPDX-License-Identifier: Apache-2.0
// When a call is recorded, who is left out, and what digits do. The recorder writes down what it is told.
#include "control/command/recordings.hpp"

#include "control/call/session_config.hpp"
#include "tests/support/noting_recorder.hpp"
#include "tests/support/small_relay.hpp"

#include <map>

namespace ferry::test::recordings_test {
namespace {

/// A relay with a recorder, and a call of A and B on it.
struct Recorded {
  explicit Recorded(bool records_all = false) : relay(options(records_all)) { call = &relay.add_call(); }
  SmallRelay::Options options(bool records_all) {
    recorder.records_all_ = records_all;
    SmallRelay::Options made;
    made.recorder = &recorder;
    return made;
  }
  bool run(Result<void, RequestError> (Recordings::*command)(const Request&), const Request& request) {
    const bool is_done = (relay.manager.services().recordings.*command)(request).has_value();
    relay.flush();
    return is_done;
  }
  bool start() { return run(&Recordings::start, SmallRelay::request("call", "A")); }
  RecordingTold& told() { return recorder.told_.back(); }
  [[nodiscard]] std::size_t recordings() const { return recorder.told_.size(); }

  NotingRecorder recorder;
  SmallRelay relay;
  Call* call = nullptr;
};

TEST(Recordings, AreOfAllPartiesWithTheirStreamsAndCodecs) {
  Recorded story;
  ASSERT_TRUE(story.start());
  const RecordingTold& told = story.told();
  EXPECT_EQ(told.order.call_id, "call");
  ASSERT_EQ(told.call.parties.size(), 2u);
  EXPECT_EQ(told.call.parties[0].tag, "A");
  EXPECT_EQ(told.bodies, (std::vector<std::string>{"1 before", "2 before"}));
  ASSERT_EQ(told.call.streams.size(), 2u);
  for (const RecordedStream& stream : told.call.streams) {
    EXPECT_EQ(stream.type, "audio");
    ASSERT_EQ(stream.formats.size(), 2u);
    EXPECT_EQ(stream.formats[0].encoding, "PCMA");
    EXPECT_EQ(stream.formats[1].type, PayloadType{0});
  }
  ASSERT_TRUE(story.start()) << "again";
  EXPECT_EQ(story.recordings(), 1u);
}

TEST(Recordings, FollowTheCallToItsNewPorts) {
  Recorded story;
  ASSERT_TRUE(story.start());
  const auto first = story.told().call.streams;
  ASSERT_TRUE(story.relay.offer(SmallRelay::request("call", "A", "B", audio_at("198.51.100.9:4400"))));
  ASSERT_TRUE(story.relay.answer(SmallRelay::request("call", "A", "B", audio_at("198.51.100.2:5000"))));
  EXPECT_GT(story.told().call.streams.size(), first.size()) << "packets may still come to the old ones";
  EXPECT_EQ(story.told().bodies.size(), 4u) << "and the messages are kept";
}

TEST(Recordings, EndWithTheCallOrByCommandAndCloseTheirFilesThen) {
  const struct {
    const char* what;
    std::function<void(Recorded&)> end;
    const char* reason;
    bool is_discarded;
  } rows[] = {
      {"by command", [](Recorded& r) { r.run(&Recordings::stop, SmallRelay::request("call")); },
       "stopped by a local command", false},
      {"and thrown away",
       [](Recorded& r) {
         Request request = SmallRelay::request("call");
         request.flags.set(static_cast<std::size_t>(Flag::kDiscardRecording));
         r.run(&Recordings::stop, request);
       },
       "stopped by a local command", true},
      {"with the call", [](Recorded& r) { r.relay.manager.terminate("call", r.relay.clock()); },
       "the call ended: ", false},
  };
  for (const auto& row : rows) {
    Recorded story;
    ASSERT_TRUE(story.start());
    row.end(story);
    story.relay.flush();
    EXPECT_TRUE(story.told().ended.starts_with(row.reason)) << row.what << ": " << story.told().ended;
    EXPECT_EQ(story.told().is_discarded, row.is_discarded) << row.what;
    EXPECT_TRUE(story.told().is_finished) << row.what;
  }
}

TEST(Recordings, PauseIsACommandAndAFormOfStop) {
  Recorded story;
  ASSERT_TRUE(story.start());
  ASSERT_TRUE(story.run(&Recordings::pause, SmallRelay::request("call")));
  EXPECT_TRUE(story.told().is_paused);
  ASSERT_TRUE(story.start());
  EXPECT_FALSE(story.told().is_paused) << "start goes on";
  Request request = SmallRelay::request("call");
  request.flags.set(static_cast<std::size_t>(Flag::kPauseRecording));
  ASSERT_TRUE(story.run(&Recordings::stop, request));
  EXPECT_TRUE(story.told().is_paused);
  EXPECT_EQ(story.told().ended, "");
}

TEST(Recordings, OfNoCallOrOfAnUnknownOneAreRefused) {
  Recorded story;
  for (const auto command : {&Recordings::start, &Recordings::stop, &Recordings::pause}) {
    EXPECT_FALSE(story.run(command, Request()));
    EXPECT_FALSE(story.run(command, SmallRelay::request("nobody")));
  }
  EXPECT_EQ(story.recordings(), 0u);
}

TEST(Recordings, AllCallsAreRecordedUnlessAMessageSaysNo) {
  Recorded story(true);
  EXPECT_EQ(story.recordings(), 1u);
  EXPECT_EQ(story.told().order.asked_by, "record-all");
  ASSERT_TRUE(story.run(&Recordings::stop, SmallRelay::request("call")));
  ASSERT_TRUE(story.relay.offer(SmallRelay::request("call", "A", "B", audio_at("198.51.100.9:4400"))));
  EXPECT_EQ(story.recordings(), 1u) << "a command has decided";
  Request other = SmallRelay::request("other", "A", {}, audio_at("198.51.100.1:4100"));
  other.record = RecordCall::kNo;
  ASSERT_TRUE(story.relay.offer(other));
  EXPECT_EQ(story.recordings(), 1u);
}

TEST(Recordings, LeaveOutBothPartiesOfAMessageThatSaysSo) {
  Recorded story;
  Request request = SmallRelay::request("call", "A", "B", audio_at("198.51.100.1:4000"));
  request.flags.set(static_cast<std::size_t>(Flag::kExcludeRecording));
  request.record = RecordCall::kYes;
  ASSERT_TRUE(story.relay.offer(request));
  ASSERT_EQ(story.recordings(), 1u);
  EXPECT_TRUE(story.told().call.streams.empty());
  for (const RecordedParty& party : story.told().call.parties) EXPECT_TRUE(party.excluded) << party.tag;
}

/// The digits 1 to 6 stand for the actions in their order.
struct Pressed {
  const char* keys;
  std::size_t recordings;
  bool is_paused;
  bool is_ended;
};

class RecordingDigitsOf : public testing::TestWithParam<Pressed> {};

TEST_P(RecordingDigitsOf, AParty) {
  const Pressed& row = GetParam();
  Recorded story;
  Request request = SmallRelay::request("call", "A", "B", audio_at("198.51.100.1:4000"));
  request.flags.set(static_cast<std::size_t>(Flag::kRecordingVsc));
  for (std::size_t i = 0; i < kRecordingActions; ++i)
    request.recording_codes[i] = "*" + std::to_string(i + 1);
  ASSERT_TRUE(story.relay.offer(request));
  Recordings& recordings = story.relay.manager.services().recordings;
  Leg& a = *story.call->leg_by_tag("A");
  for (const char key : std::string_view(row.keys)) {
    recordings.on_digit(*story.call, *story.call->leg_by_tag("B"), key);  // has no codes
    if (key != ' ') recordings.on_digit(*story.call, a, key);
  }
  EXPECT_EQ(story.recordings(), row.recordings);
  if (story.recordings() == 0) return;
  EXPECT_EQ(story.told().is_paused, row.is_paused);
  EXPECT_EQ(!story.told().ended.empty(), row.is_ended) << story.told().ended;
}

constexpr Pressed kPressed[] = {{"1", 0, false, false},
                                {"*", 0, false, false},
                                {"**1", 1, false, false},
                                {"55*1", 1, false, false},
                                {"*1*1", 1, false, false},
                                {"*1*2", 1, false, true},
                                {"*1*3", 1, true, false},
                                {"*1*3*1", 1, false, false},
                                {"*3", 0, false, false},
                                {"*4", 1, false, false},
                                {"*4*4", 1, false, true},
                                {"*4*4*4", 2, false, false},
                                {"*5", 0, false, false},
                                {"*1*5", 1, true, false},
                                {"*1*5*5", 1, false, false},
                                {"*6", 1, false, false},
                                {"*6*6", 1, true, false},
                                {"*6*6*6", 1, false, false},
                                {"1234567890123456*1", 1, false, false}};
INSTANTIATE_TEST_SUITE_P(Keys, RecordingDigitsOf, testing::ValuesIn(kPressed));

TEST(RecordingActions, AreNamedInEachSpelling) {
  const struct {
    const char* name;
    std::optional<RecordingAction> action;
  } rows[] = {{"vsc-start-rec", RecordingAction::kStart},
              {"vsc-start-recording", RecordingAction::kStart},
              {"vsc-pause-resume-rec", RecordingAction::kPauseResume},
              {"vsc-start-pause-resume-recording", RecordingAction::kStartPauseResume},
              {"vsc-start", std::nullopt},
              {"vsc-start-recordings", std::nullopt},
              {"start-rec", std::nullopt},
              {"", std::nullopt}};
  for (const auto& row : rows) EXPECT_EQ(recording_action(row.name), row.action) << row.name;
}

TEST(Recordings, WithoutARecorderCommandsSucceedAndNothingHappens) {
  SmallRelay relay;
  relay.add_call();
  Recordings& recordings = relay.manager.services().recordings;
  EXPECT_TRUE(recordings.start(SmallRelay::request("call")));
  EXPECT_TRUE(recordings.pause(SmallRelay::request("call")));
  EXPECT_TRUE(recordings.stop(SmallRelay::request("call")));
  EXPECT_EQ(relay.manager.find("call")->recording(), nullptr);
}

}  // namespace
}  // namespace ferry::test::recordings_test
