// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/handshake_words.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

const Endpoint kBob = *Endpoint::parse("192.0.2.20:4000");
const Endpoint kX = *Endpoint::parse("192.0.2.20:5000");

class HandshakeWords : public ::testing::Test {
 protected:
  HandshakeWords() {
    snapshot_.dtls = TransportSnapshot::Dtls{};
    view_.active = &snapshot_;
  }
  DtlsEvidence& evidence() { return snapshot_.dtls->front().evidence; }
  DtlsEvidence::Source& source(const Endpoint& with, DtlsStage stage) {
    DtlsEvidence::Source& made = evidence().of(with, with == kBob, now_);
    made.stage = stage;
    return made;
  }
  [[nodiscard]] HandshakeFacts facts(bool relay_begins, const Endpoint& destination = kBob) const {
    return {"bob", destination, relay_begins, view_, [](Instant) { return std::string("noon"); }};
  }
  [[nodiscard]] bool has_line(const std::string& part) const {
    return std::ranges::any_of(list_handshake(facts(false)),
                               [&](const std::string& line) { return line.find(part) != std::string::npos; });
  }

  Instant now_{1h};
  TransportSnapshot snapshot_;
  MediaView view_;
};

TEST_F(HandshakeWords, DTL13_EachStageHasASentence) {
  const struct {
    DtlsStage stage;
    const char* of_server;
    const char* of_client;
  } rows[] = {
      {DtlsStage::kNothing, "the relay waits for a ClientHello from bob, and none has come",
       "the relay has not begun the DTLS handshake with bob yet"},
      {DtlsStage::kHello,
       "a ClientHello came from 192.0.2.20:4000 and a cookie was sent there, which has not come back",
       "the relay sent 3 ClientHellos to 192.0.2.20:4000, and nothing there has answered"},
      {DtlsStage::kUnderWay, "the DTLS handshake with 192.0.2.20:4000 has begun, and did not come to its end",
       "192.0.2.20:4000 answered the relay's ClientHello, and the DTLS handshake did not come to its end"},
      {DtlsStage::kWrongCertificate,
       "the certificate that 192.0.2.20:4000 showed is not the one of the SDP of bob: no media is exchanged",
       nullptr},
      {DtlsStage::kUnverified,
       "the DTLS handshake with 192.0.2.20:4000 is complete, and no SDP of bob has a fingerprint to compare "
       "its "
       "certificate with",
       nullptr}};
  for (const auto& row : rows) {
    source(kBob, row.stage).hellos = 3;
    EXPECT_EQ(tell_handshake(facts(false)), row.of_server);
    EXPECT_EQ(tell_handshake(facts(true)), row.of_client != nullptr ? row.of_client : row.of_server);
    EXPECT_EQ(has_wrong_certificate(facts(false)), row.stage == DtlsStage::kWrongCertificate);
  }
  evidence() = {};
  EXPECT_EQ(tell_handshake(facts(true, {})),
            "the relay cannot begin the DTLS handshake: it learns the address of bob once bob sends");
}

TEST_F(HandshakeWords, DTL13_TheOneWhoCameFurthestIsNamedAndEverybodyIsListed) {
  source(kBob, DtlsStage::kHello).hellos = 1;
  source(kX, DtlsStage::kUnderWay).datagrams = 7;
  source(kX, DtlsStage::kUnderWay).broken = 2;
  EXPECT_EQ(tell_handshake(facts(false)),
            "the DTLS handshake with 192.0.2.20:5000 has begun, and did not come to its end");
  EXPECT_TRUE(has_line("192.0.2.20:4000: 0 DTLS datagrams from there"));
  EXPECT_TRUE(has_line("192.0.2.20:5000: 7 DTLS datagrams from there"));
  EXPECT_TRUE(has_line("2 broken by what came from there"));
}

TEST_F(HandshakeWords, DTL13_AlertsAndRefusedPacketsAreNamedWithTheirSource) {
  evidence().note({2, 40}, kBob, now_);
  evidence().note({2, 40}, kBob, now_);
  view_.drops.set(DropReason::kDtlsNoCookie, 12);
  Refusal refusal;
  refusal.reason = DropReason::kDtlsNoCookie;
  refusal.from = kX;
  refusal.times = 12;
  view_.refusals.push_back(refusal);
  view_.drops.set(DropReason::kSourceNotAllowed, 1);
  EXPECT_TRUE(has_line("alert handshake_failure (40) from 192.0.2.20:4000, 2 times"));
  EXPECT_TRUE(has_line("refused as dtls-no-cookie: 12 packets, the last from 192.0.2.20:5000 at noon"));
  EXPECT_TRUE(has_line("refused as source-not-allowed: 1 packet"));
}

TEST_F(HandshakeWords, WithoutATransportItSaysWhatIsWaitedFor) {
  view_.active = nullptr;
  EXPECT_EQ(tell_handshake(facts(false)), "the relay waits for a ClientHello from bob, and none has come");
  EXPECT_TRUE(list_handshake(facts(false)).empty());
}

}  // namespace
}  // namespace ferry::test
