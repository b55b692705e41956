// SPDX-License-Identifier: Apache-2.0
// What is kept of refused packets: the newest of each reason.

#include "relay/core/evidence/evidence.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace ferry::evidence_test {
namespace {

using namespace std::chrono_literals;

Refusal replayed(std::uint8_t type, Instant at, bool is_rtcp = false) {
  Refusal refusal;
  refusal.is_rtcp = is_rtcp;
  refusal.reason = DropReason::kReplayed;
  refusal.type = PayloadType{type};
  refusal.from = *Endpoint::parse("192.0.2.1:4000");
  refusal.last = at;
  return refusal;
}

TEST(Evidence, RtcpDoesNotTakeThePlaceOfRtpThatWasRefusedBefore) {
  constexpr std::uint8_t kNoise = 13;
  constexpr std::uint8_t kReceiverReport = 201 & 127;
  const Instant begin{1h};
  Evidence evidence;
  evidence.note(replayed(kReceiverReport, begin, true));
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->type.value, kReceiverReport);
  evidence.note(replayed(kNoise, begin + 1s));
  evidence.note(replayed(kReceiverReport, begin + 2s, true));
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->type.value, kNoise);
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->last, begin + 1s);
  evidence.note(replayed(8, begin + 3s));
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->type.value, 8);
}

Refusal foreign(const char* from, Instant at, std::uint32_t times = 1) {
  Refusal refusal;
  refusal.reason = DropReason::kForeignSource;
  refusal.from = *Endpoint::parse(from);
  refusal.last = at;
  refusal.times = times;
  return refusal;
}

// The kernel tells of its drops when it is read, so user space may have refused a newer packet before.
TEST(Evidence, APacketThatIsToldLateDoesNotTakeThePlaceOfANewerOne) {
  constexpr const char* kOld = "192.0.2.1:4000";
  constexpr const char* kNew = "192.0.2.9:4002";
  const Instant begin{1h};
  struct Row {
    const char* what;
    const char* from;
    Instant at;
    const char* last_from;
    std::uint32_t times;
    Instant first;
    Instant last;
  };
  // What is noted after two packets of `kNew`, at 2 s and 3 s.
  const Row rows[] = {
      {"an older one of another source", kOld, begin + 1s, kNew, 2, begin + 2s, begin + 3s},
      {"an older one of the same source", kNew, begin + 1s, kNew, 7, begin + 1s, begin + 3s},
      {"one between both", kNew, begin + 2500ms, kNew, 7, begin + 2s, begin + 3s},
      {"one of the same moment", kOld, begin + 3s, kOld, 5, begin + 3s, begin + 3s},
      {"a newer one", kOld, begin + 4s, kOld, 5, begin + 4s, begin + 4s},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Evidence evidence;
    evidence.note(foreign(kNew, begin + 2s));
    evidence.note(foreign(kNew, begin + 3s));
    evidence.note(foreign(row.from, row.at, 5));
    const Refusal* kept = evidence.find(DropReason::kForeignSource);
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(kept->from.to_string(), row.last_from);
    EXPECT_EQ(kept->times, row.times);
    EXPECT_EQ(kept->first, row.first);
    EXPECT_EQ(kept->last, row.last);
  }
}

TEST(Evidence, RtpOfATypeThatRtcpUsesTakesThePlaceOfOlderRtp) {
  const Instant begin{1h};
  Evidence evidence;
  evidence.note(replayed(8, begin));
  evidence.note(replayed(77, begin + 1s));
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->type.value, 77);
}

TEST(Evidence, RtpThatIsToldLateTakesThePlaceOfRtcp) {
  const Instant begin{1h};
  Evidence evidence;
  evidence.note(replayed(201 & 127, begin + 2s, true));
  evidence.note(replayed(8, begin + 1s));
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->type.value, 8);
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->last, begin + 1s);
}

TEST(Evidence, AReasonThatIsToldLateTakesNoPlaceOfNewerReasons) {
  const Instant begin{1h};
  Evidence evidence;
  for (std::size_t i = 0; i < Evidence::kRefusals; ++i) {
    Refusal refusal = foreign("192.0.2.1:4000", begin + 2s);
    refusal.reason = static_cast<DropReason>(static_cast<std::size_t>(DropReason::kNone) + 1 + i);
    ASSERT_NE(refusal.reason, DropReason::kReplayed);
    evidence.note(refusal);
  }
  const Evidence full = evidence;
  evidence.note(replayed(8, begin + 1s));
  EXPECT_EQ(evidence, full);
  evidence.note(replayed(8, begin + 3s));
  EXPECT_NE(evidence.find(DropReason::kReplayed), nullptr);
}

}  // namespace
}  // namespace ferry::evidence_test
