// SPDX-License-Identifier: Apache-2.0
#include "relay/core/dtls/handshake.hpp"

#include "tests/support/fake_dtls.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using Outcome = DtlsHandshake::Outcome;

const Endpoint kPeer = *Endpoint::parse("192.0.2.10:4000");
const Endpoint kElsewhere = *Endpoint::parse("192.0.2.10:4004");

class DtlsHandshakeTest : public ::testing::Test, public DatagramOutput {
 protected:
  DtlsHandshakeTest() { plan_.identity = std::make_shared<FakeIdentity>(now_, 1); }
  void send(const Endpoint& to, Bytes datagram) noexcept override {
    sent_.push_back({datagram.begin(), datagram.end()});
    to_ = to;
  }
  DtlsTurn turn() { return {plan_, budget_, *this, now_}; }
  DtlsHandshake client(std::optional<std::size_t> credit = {}) {
    return {kPeer, plan_.identity->make(DtlsRole::kClient, false), credit, {}};
  }
  [[nodiscard]] std::size_t octets() const {
    std::size_t sum = 0;
    for (const Octets& each : sent_) sum += each.size();
    return sum;
  }

  Instant now_{1h};
  DtlsPlan plan_;
  DtlsBudget budget_;
  std::vector<Octets> sent_;
  Endpoint to_;
};

TEST_F(DtlsHandshakeTest, LIM2_DTL13_AClientSpendsNoMoreThanCame) {
  DtlsHandshake handshake = client(25);
  EXPECT_EQ(handshake.start(turn()), Outcome::kGoesOn);
  EXPECT_TRUE(sent_.empty());
  std::size_t in = 25;
  while (sent_.empty()) {
    handshake.earn(25, turn());
    in += 25;
    ASSERT_LE(octets(), in);
    ASSERT_LT(in, 1000u);
  }
  EXPECT_TRUE(is_hello_piece(sent_.front()));
  now_ += 10s;
  EXPECT_EQ(handshake.drive({}, turn()), Outcome::kGoesOn);
  EXPECT_LE(octets(), in) << "repetitions count as well";
}

TEST_F(DtlsHandshakeTest, ASourceThatSignedOurNumberHasProvedToBeThere) {
  DtlsHandshake handshake = client(300);
  handshake.start(turn());
  EXPECT_TRUE(handshake.is_unproven());
  // A whole server of the same kind.
  plan_.peer.clear();
  const auto server = plan_.identity->make(DtlsRole::kServer, true);
  struct ToClient final : DtlsOwner {
    void send(Bytes datagram) noexcept override { flight.emplace_back(datagram.begin(), datagram.end()); }
    bool accepts(const DtlsAssociation&) noexcept override { return true; }
    std::vector<Octets> flight;
  } owner;
  server->take(sent_.front(), owner);
  ASSERT_EQ(owner.flight.size(), 4u);
  for (const Octets& each : owner.flight) {
    EXPECT_TRUE(handshake.is_unproven());
    EXPECT_EQ(handshake.take(kPeer, each, turn()), Outcome::kGoesOn);
  }
  EXPECT_FALSE(handshake.is_unproven());
}

TEST_F(DtlsHandshakeTest, DTL6_RepliesGoWhereTheFlightCameFrom) {
  DtlsHandshake handshake = client();
  handshake.start(turn());
  EXPECT_EQ(to_, kPeer);
  handshake.take(kElsewhere, dtls_message(kHelloVerify, 0, Octets(23)), turn());
  EXPECT_EQ(to_, kElsewhere);
}

TEST_F(DtlsHandshakeTest, DTL13_AClientThatHearsTwoThingsGivesUpAndSaysSo) {
  DtlsHandshake handshake = client();
  handshake.start(turn());
  handshake.take(kPeer, dtls_message(kServerHello, 0, server_hello_body(random_of(8))), turn());
  now_ += 30ms;
  handshake.take(kPeer, dtls_message(kServerHello, 0, server_hello_body(random_of(9))), turn());
  ASSERT_TRUE(handshake.due(now_));
  Outcome outcome = Outcome::kGoesOn;
  const Instant heard = now_;
  while (outcome == Outcome::kGoesOn && now_ < heard + 5s) {
    now_ += 10ms;
    outcome = handshake.drive({}, turn());
  }
  EXPECT_EQ(outcome, Outcome::kBroken);
  EXPECT_LT(now_ - heard, 1s);
  EXPECT_EQ(plain_alert(sent_.back()), (DtlsAlert{2, 10}));
}

TEST_F(DtlsHandshakeTest, AMessageThatCannotBeNextBreaksItAndSilenceIsNoAnswer) {
  DtlsHandshake broken = client();
  broken.start(turn());
  EXPECT_EQ(broken.take(kPeer, dtls_message(kServerHelloDone, 0, {}), turn()), Outcome::kBroken);
  DtlsHandshake silent = client();
  silent.start(turn());
  Outcome outcome = Outcome::kGoesOn;
  for (int i = 0; i < 1000 && outcome == Outcome::kGoesOn; ++i) {
    now_ += 10ms;
    outcome = silent.drive({}, turn());
  }
  EXPECT_EQ(outcome, Outcome::kUnanswered);
}

}  // namespace
}  // namespace ferry::test
