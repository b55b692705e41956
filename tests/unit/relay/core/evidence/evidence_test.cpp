// What is kept of refused packets: the newest of each reason.

#include "relay/core/evidence/evidence.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace ferry::evidence_test {
namespace {

using namespace std::chrono_literals;

Refusal replayed(std::uint8_t type, Instant at) {
  Refusal refusal;
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
  evidence.note(replayed(kReceiverReport, begin));
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->type.value, kReceiverReport);
  evidence.note(replayed(kNoise, begin + 1s));
  evidence.note(replayed(kReceiverReport, begin + 2s));
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->type.value, kNoise);
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->last, begin + 1s);
  evidence.note(replayed(8, begin + 3s));
  EXPECT_EQ(evidence.find(DropReason::kReplayed)->type.value, 8);
}

}  // namespace
}  // namespace ferry::evidence_test
