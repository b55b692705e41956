// SPDX-License-Identifier: Apache-2.0
// DTLS-SRTP between two of our own ends, and against what others may send (rules DTL-1 to DTL-14).

#include "relay/core/dtls/dtls_channel.hpp"
#include "relay/dtls/openssl_dtls.hpp"

#include <chrono>
#include <deque>
#include <random>
#include <thread>
#include <tuple>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using State = DtlsChannel::State;

const Endpoint kAlice = *Endpoint::parse("192.0.2.10:4000");
const Endpoint kRelay = *Endpoint::parse("203.0.113.1:30000");
const Endpoint kStranger = *Endpoint::parse("198.51.100.99:4000");

struct Datagram {
  Endpoint to;
  std::vector<std::byte> octets;
};
class Collected final : public DatagramOutput {
 public:
  void send(const Endpoint& to, Bytes datagram) noexcept override {
    sent.push_back({to, {datagram.begin(), datagram.end()}});
  }
  std::deque<Datagram> sent;
};

/// One end with its address.
struct End {
  End(const Endpoint& where, DtlsRole role, const DtlsBackend& backend) : at(where) {
    plan.identity = backend.make_identity();
    plan.role = role;
    plan.association = 1;
  }
  DtlsChannel::Turn turn() { return {plan, budget, out, now}; }
  void knows(const End& other, FingerprintHash hash = FingerprintHash::kSha256) {
    plan.peer = {other.plan.identity->fingerprint(hash)};
  }
  Endpoint at;
  DtlsPlan plan;
  DtlsBudget budget;
  Collected out;
  DtlsChannel channel;
  Instant now{std::chrono::hours(1)};
};

/// Each takes what the other has for it, until nobody has anything.
void settle(End& one, End& other) {
  constexpr int kMost = 20;
  for (int i = 0; i < kMost; ++i) {
    for (auto [from, to] : {std::pair{&one, &other}, std::pair{&other, &one}}) {
      while (!from->out.sent.empty()) {
        to->channel.take(from->at, from->out.sent.front().octets, to->turn());
        from->out.sent.pop_front();
      }
    }
  }
}

class DtlsTest : public ::testing::Test {
 protected:
  /// Delivers what each has for the other until nobody has anything. `lose` says what does not arrive.
  template <class Lose>
  void exchange(Lose lose) {
    while (!server_.out.sent.empty() || !client_.out.sent.empty()) {
      for (auto [from, to] : {std::pair{&client_, &server_}, std::pair{&server_, &client_}}) {
        if (from->out.sent.empty()) continue;
        const Datagram datagram = std::move(from->out.sent.front());
        from->out.sent.pop_front();
        EXPECT_EQ(datagram.to, to->at);
        EXPECT_LE(datagram.octets.size(), 1200u);
        ++datagrams_;
        if (!lose()) to->channel.take(from->at, datagram.octets, to->turn());
      }
    }
  }
  void exchange() {
    exchange([] { return false; });
  }
  void start() { client_.channel.drive(kRelay, client_.turn()); }
  void handshake() {
    server_.knows(client_);
    client_.knows(server_);
    start();
    exchange();
  }
  void expect_ready() {
    ASSERT_EQ(client_.channel.state(), State::kReady);
    ASSERT_EQ(server_.channel.state(), State::kReady);
    ASSERT_TRUE(client_.channel.keys() && server_.channel.keys());
    EXPECT_EQ(client_.channel.keys()->send, server_.channel.keys()->receive);
    EXPECT_EQ(client_.channel.keys()->receive, server_.channel.keys()->send);
    EXPECT_NE(client_.channel.keys()->send, client_.channel.keys()->receive);
  }
  /// The first flight of a client of its own.
  std::vector<std::byte> hello_of(End& end) {
    end.channel.drive(kRelay, end.turn());
    auto octets = end.out.sent.back().octets;
    end.out.sent.clear();
    return octets;
  }

  OpenSslDtls backend_;
  End client_{kAlice, DtlsRole::kClient, backend_};
  End server_{kRelay, DtlsRole::kServer, backend_};
  int datagrams_ = 0;
};

TEST_F(DtlsTest, DTL10_BothEndsHaveTheSameKeysForEachDirection) {
  handshake();
  expect_ready();
  const SrtpSuiteRow& row = row_of(client_.channel.keys()->send.suite);
  EXPECT_EQ(row.suite, SrtpSuite::kAeadAes256Gcm);
  EXPECT_EQ(client_.channel.keys()->send.key.size(), row.key);
  EXPECT_EQ(client_.channel.keys()->send.salt.size(), row.salt);
  EXPECT_EQ(server_.channel.peer(), kAlice);
  EXPECT_EQ(server_.channel.take_news(), DtlsChannel::News::kReady);
  EXPECT_EQ(server_.channel.take_news(), DtlsChannel::News::kNone);
  EXPECT_EQ(server_.budget.pending(), 0u);
}

TEST_F(DtlsTest, DTL5_AServerRemembersNothingBeforeTheCookieCameBack) {
  const auto hello = hello_of(client_);
  server_.channel.take(kAlice, hello, server_.turn());
  ASSERT_EQ(server_.out.sent.size(), 1u);
  EXPECT_LE(server_.out.sent.front().octets.size(), hello.size());  // LIM-2
  EXPECT_EQ(server_.channel.state(), State::kWaiting);
  EXPECT_EQ(server_.budget.pending(), 0u);
  // The cookie of one address is no good at another one.
  client_.channel.take(kRelay, server_.out.sent.front().octets, client_.turn());
  server_.out.sent.clear();
  ASSERT_EQ(client_.out.sent.size(), 1u);
  server_.channel.take(kStranger, client_.out.sent.front().octets, server_.turn());
  EXPECT_EQ(server_.channel.state(), State::kWaiting);
  ASSERT_EQ(server_.out.sent.size(), 1u);
  EXPECT_EQ(server_.out.sent.front().to, kStranger);  // DTL-6
  server_.channel.take(kAlice, client_.out.sent.front().octets, server_.turn());
  EXPECT_EQ(server_.channel.state(), State::kHandshaking);
}

TEST_F(DtlsTest, DTL8_TheStrongestSignalledHashDecides) {
  const Fingerprint right = client_.plan.identity->fingerprint(FingerprintHash::kSha256);
  const Fingerprint stronger = client_.plan.identity->fingerprint(FingerprintHash::kSha512);
  const Fingerprint weak = client_.plan.identity->fingerprint(FingerprintHash::kSha1);
  const Fingerprint wrong = server_.plan.identity->fingerprint(FingerprintHash::kSha256);
  const Fingerprint wrong_strong = server_.plan.identity->fingerprint(FingerprintHash::kSha512);
  struct Case {
    std::vector<Fingerprint> signalled;
    bool allow_sha1;
    bool good;
  };
  for (const auto& [signalled, allow_sha1, good] : std::vector<Case>{{{right}, false, true},
                                                                     {{wrong}, false, false},
                                                                     {{wrong, right}, false, true},
                                                                     {{right, wrong_strong}, false, false},
                                                                     {{wrong, stronger}, false, true},
                                                                     {{weak}, false, false},
                                                                     {{weak}, true, true},
                                                                     {{weak, wrong}, true, false}}) {
    End client(kAlice, DtlsRole::kClient, backend_);
    client.plan.identity = client_.plan.identity;
    server_.channel = {};
    server_.plan.peer = signalled;
    server_.plan.allow_sha1 = allow_sha1;
    client.knows(server_);
    client.channel.drive(kRelay, client.turn());
    settle(client, server_);
    EXPECT_EQ(server_.channel.keys().has_value(), good) << signalled.size() << allow_sha1;
    EXPECT_EQ(server_.channel.state(), good ? State::kReady : State::kMismatch);
  }
}

TEST_F(DtlsTest, DTL9_KeysWaitForTheFingerprint) {
  client_.knows(server_);
  start();
  exchange();
  EXPECT_EQ(server_.channel.state(), State::kUnverified);
  EXPECT_FALSE(server_.channel.keys());
  server_.knows(client_);  // the answer came
  server_.channel.drive({}, server_.turn());
  expect_ready();
}

TEST_F(DtlsTest, DTL3_AnEarlyFlightIsUsedWhenItsSourceMaySpeak) {
  server_.knows(client_);
  client_.knows(server_);
  const auto hello = hello_of(client_);
  server_.channel.hold(kAlice, hello, server_.now);
  server_.channel.hold(kStranger, hello, server_.now);
  EXPECT_EQ(server_.channel.held_from(server_.now), kAlice);
  EXPECT_TRUE(server_.out.sent.empty());
  server_.channel.release(server_.turn());
  exchange();
  expect_ready();
  // Not for ever, not without bound, and not anything.
  server_.channel.hold(kStranger, hello, server_.now);
  EXPECT_EQ(server_.channel.held_from(server_.now + 2s), kStranger);
  EXPECT_FALSE(server_.channel.held_from(server_.now + 2001ms).is_set());
  server_.channel.skip(1h);  // C-13: nobody could ask for it meanwhile
  EXPECT_EQ(server_.channel.held_from(server_.now + 1h + 2s), kStranger);
  DtlsChannel other;
  other.hold(kAlice, Bytes(hello).first(20), server_.now);
  EXPECT_FALSE(other.held_from(server_.now).is_set());
}

TEST_F(DtlsTest, DTL11_ANewHandshakeRunsBesideTheOldKeys) {
  handshake();
  expect_ready();
  const DtlsKeys before = *server_.channel.keys();
  // A stranger with a certificate of his own gets nothing and takes nothing.
  End stranger(kAlice, DtlsRole::kClient, backend_);
  stranger.knows(server_);
  stranger.channel.drive(kRelay, stranger.turn());
  settle(stranger, server_);
  EXPECT_EQ(server_.channel.keys(), before);
  EXPECT_EQ(server_.channel.state(), State::kReady);
  // The peer itself gets new ones.
  client_.plan.association = 2;
  start();
  EXPECT_EQ(server_.channel.keys(), before);
  exchange();
  expect_ready();
  EXPECT_NE(server_.channel.keys(), before);
}

TEST_F(DtlsTest, D07_AlertsThatAnybodyCouldWriteAreIgnored) {
  server_.knows(client_);
  client_.knows(server_);
  // alert record, epoch 0: fatal, handshake_failure
  const std::vector<std::byte> alert = {std::byte{21}, std::byte{0xfe}, std::byte{0xfd}, std::byte{0},
                                        std::byte{0},  std::byte{0},    std::byte{0},    std::byte{0},
                                        std::byte{0},  std::byte{0},    std::byte{9},    std::byte{0},
                                        std::byte{2},  std::byte{2},    std::byte{40}};
  start();
  int turns = 0;
  while (!server_.out.sent.empty() || !client_.out.sent.empty()) {
    for (auto [from, to] : {std::pair{&client_, &server_}, std::pair{&server_, &client_}}) {
      EXPECT_EQ(to->channel.take(from->at, alert, to->turn()), DropReason::kDtlsAlert);
      if (from->out.sent.empty()) continue;
      to->channel.take(from->at, from->out.sent.front().octets, to->turn());
      from->out.sent.pop_front();
    }
    ASSERT_LT(++turns, 100);
  }
  expect_ready();
  EXPECT_EQ(server_.channel.take(kAlice, alert, server_.turn()), DropReason::kDtlsAlert);
  expect_ready();
}

TEST_F(DtlsTest, D02_HellosFromTheSameAddressDoNotKeepThePeerOut) {
  server_.knows(client_);
  client_.knows(server_);
  // Two handshakes that lead nowhere are begun from alice's address.
  for (int i = 0; i < 2; ++i) {
    End forger(kAlice, DtlsRole::kClient, backend_);
    forger.knows(server_);
    forger.channel.drive(kRelay, forger.turn());
    for (int flight = 0; flight < 2; ++flight) {  // hello, hello with cookie
      server_.channel.take(kAlice, forger.out.sent.back().octets, server_.turn());
      forger.channel.take(kRelay, server_.out.sent.front().octets, forger.turn());
      server_.out.sent.clear();
    }
  }
  start();
  exchange();
  expect_ready();
}

TEST_F(DtlsTest, DTL4_RestartsAreFewAndNothingEnds) {
  handshake();
  const DtlsKeys before = *server_.channel.keys();
  int begun = 0;
  for (int i = 0; i < 20; ++i) {
    End forger(kAlice, DtlsRole::kClient, backend_);
    forger.knows(server_);
    forger.channel.drive(kRelay, forger.turn());
    server_.channel.take(kAlice, forger.out.sent.back().octets, server_.turn());
    forger.out.sent.clear();
    forger.channel.take(kRelay, server_.out.sent.front().octets, forger.turn());
    server_.out.sent.clear();
    server_.channel.take(kAlice, forger.out.sent.back().octets, server_.turn());
    if (!server_.out.sent.empty()) ++begun;
    server_.out.sent.clear();
  }
  EXPECT_EQ(begun, 3);
  EXPECT_EQ(server_.channel.keys(), before);
  EXPECT_LE(server_.budget.pending(), 1u);
}

/// D-06. The timer of the back end runs in real time: short waits, a bounded number of them.
TEST_F(DtlsTest, D06_CompletesThroughLoss) {
  server_.knows(client_);
  client_.knows(server_);
  std::mt19937 random(7);
  start();
  const auto lose = [&] { return random() % 10 < 3; };
  for (int turn = 0; turn < 200 && !(server_.channel.keys() && client_.channel.keys()); ++turn) {
    exchange(lose);
    const Instant due = std::min(client_.channel.due(client_.now).value_or(client_.now + 20ms),
                                 server_.channel.due(server_.now).value_or(server_.now + 20ms));
    const Duration wait = std::min<Duration>(due - client_.now, 100ms);
    std::this_thread::sleep_for(wait);
    client_.now += wait;
    server_.now += wait;
    client_.channel.drive(kRelay, client_.turn());
    server_.channel.drive({}, server_.turn());
  }
  expect_ready();
}

TEST_F(DtlsTest, D06_AHelloInPiecesIsPutTogether) {
  server_.knows(client_);
  client_.knows(server_);
  start();
  // hello -> cookie -> hello with cookie, which arrives in pieces of 40 octets, the second half first
  server_.channel.take(kAlice, client_.out.sent.front().octets, server_.turn());
  client_.out.sent.clear();
  client_.channel.take(kRelay, server_.out.sent.front().octets, client_.turn());
  server_.out.sent.clear();
  const std::vector<std::byte> hello = client_.out.sent.front().octets;
  client_.out.sent.clear();
  const Bytes message = Bytes(hello).subspan(25);
  const auto piece = [&](std::size_t from, std::size_t size) {
    std::vector<std::byte> record(hello.begin(), hello.begin() + 25);
    write_u16(record, 11, static_cast<std::uint16_t>(12 + size));
    write_u8(record, 13 + 7, static_cast<std::uint8_t>(from >> 8));
    write_u8(record, 13 + 8, static_cast<std::uint8_t>(from));
    write_u8(record, 13 + 10, static_cast<std::uint8_t>(size >> 8));
    write_u8(record, 13 + 11, static_cast<std::uint8_t>(size));
    const Bytes octets = message.subspan(from, size);
    record.insert(record.end(), octets.begin(), octets.end());
    return record;
  };
  constexpr std::size_t kFirst = 80;  // with the cookie
  server_.channel.take(kAlice, piece(0, kFirst), server_.turn());
  EXPECT_EQ(server_.channel.state(), State::kWaiting);
  for (std::size_t at = message.size(); at > kFirst;) {
    const std::size_t size = std::min<std::size_t>(40, at - kFirst);
    at -= size;
    server_.channel.take(kAlice, piece(at, size), server_.turn());
  }
  EXPECT_EQ(server_.channel.state(), State::kHandshaking);
  exchange();
  expect_ready();
}

TEST_F(DtlsTest, DTL8_AfterAMismatchSignallingMayAskAgain) {
  server_.knows(client_);
  client_.plan.peer = {client_.plan.identity->fingerprint(FingerprintHash::kSha256)};  // not the server's
  start();
  settle(client_, server_);
  ASSERT_EQ(client_.channel.state(), State::kMismatch);
  EXPECT_FALSE(client_.channel.keys());
  client_.knows(server_);
  client_.plan.association = 2;
  start();
  settle(client_, server_);
  expect_ready();
}

/// Associations that nobody answers: each gives up at its first turn.
class Unanswered final : public DtlsIdentity {
 public:
  class Association final : public DtlsAssociation {
   public:
    State start(DtlsOwner& out) noexcept override {
      out.send(std::as_bytes(std::span("hello")));
      return State::kHandshaking;
    }
    State take(Bytes, DtlsOwner&) noexcept override { return State::kHandshaking; }
    State on_time(DtlsOwner&) noexcept override { return State::kFailed; }
    void hurry() noexcept override {}
    void refuse(DtlsOwner&) noexcept override {}
    [[nodiscard]] std::optional<Duration> timer() const noexcept override { return Duration{0}; }
    [[nodiscard]] std::optional<DtlsKeys> keys() const override { return std::nullopt; }
    [[nodiscard]] Fingerprint peer_fingerprint(FingerprintHash) const override { return {}; }
  };
  [[nodiscard]] Fingerprint fingerprint(FingerprintHash) const override { return {}; }
  [[nodiscard]] std::unique_ptr<DtlsAssociation> make(DtlsRole, bool) const override {
    return std::make_unique<Association>();
  }
  [[nodiscard]] Cookie cookie(Bytes) const override { return {}; }
  [[nodiscard]] std::string pem() const override { return {}; }
};

TEST_F(DtlsTest, LAT12_AClientWhomNobodyAnswersGivesUp) {
  client_.plan.identity = std::make_shared<Unanswered>();
  client_.channel.drive({}, client_.turn());  // nobody to speak to yet
  EXPECT_TRUE(client_.out.sent.empty());
  for (int turn = 0; turn < 20; ++turn) {
    client_.channel.drive(kRelay, client_.turn());
    client_.now += 10s;
  }
  EXPECT_EQ(client_.out.sent.size(), 3u);
  EXPECT_EQ(client_.channel.state(), State::kFailed);
  EXPECT_EQ(client_.channel.take_news(), DtlsChannel::News::kFailed);
  EXPECT_FALSE(client_.channel.due(client_.now));
  client_.plan.association = 2;  // signalling asks again
  client_.channel.drive(kRelay, client_.turn());
  EXPECT_EQ(client_.out.sent.size(), 4u);
}

TEST_F(DtlsTest, DTL7_VersionOneZeroIsRefused) {
  start();
  server_.channel.take(kAlice, client_.out.sent.front().octets, server_.turn());
  client_.out.sent.clear();
  client_.channel.take(kRelay, server_.out.sent.front().octets, client_.turn());
  server_.out.sent.clear();
  std::vector<std::byte> hello = client_.out.sent.front().octets;
  ASSERT_EQ(parse_client_hello(hello)->version, 0xfefd);
  write_u16(hello, 25, 0xfeff);  // client_version, before the random
  server_.channel.take(kAlice, hello, server_.turn());
  ASSERT_EQ(server_.out.sent.size(), 1u);
  EXPECT_EQ(read_u8(server_.out.sent.front().octets, 0), 21) << "an alert, to a peer that proved to be there";
  server_.out.sent.clear();
  EXPECT_EQ(server_.channel.state(), State::kFailed);
  EXPECT_EQ(server_.budget.pending(), 0u);
  // As it was written it is answered by 1.2.
  server_.channel.take(kAlice, client_.out.sent.front().octets, server_.turn());
  ASSERT_FALSE(server_.out.sent.empty());
  EXPECT_EQ(read_u16(server_.out.sent.front().octets, 1), 0xfefd);
}

TEST_F(DtlsTest, TheRoleOfTheAnswerWins) {
  // We offered actpass and the peer began; then its answer says that it waits.
  const auto hello = hello_of(client_);
  server_.channel.take(kAlice, hello, server_.turn());
  client_.channel.take(kRelay, server_.out.sent.front().octets, client_.turn());
  server_.out.sent.clear();
  server_.channel.take(kAlice, client_.out.sent.back().octets, server_.turn());
  server_.out.sent.clear();
  End peer(kAlice, DtlsRole::kServer, backend_);
  server_.plan.role = DtlsRole::kClient;
  server_.knows(peer);
  peer.knows(server_);
  server_.channel.drive(kAlice, server_.turn());
  ASSERT_FALSE(server_.out.sent.empty());
  settle(peer, server_);
  EXPECT_EQ(server_.channel.state(), State::kReady);
  EXPECT_EQ(server_.channel.keys()->send, peer.channel.keys()->receive);
}

TEST_F(DtlsTest, AnIdentitySurvivesItsText) {
  const auto again = backend_.identity_of(client_.plan.identity->pem());
  ASSERT_NE(again, nullptr);
  for (const FingerprintHashRow& row : kFingerprintHashes) {
    const Fingerprint one = client_.plan.identity->fingerprint(row.hash);
    EXPECT_EQ(one, again->fingerprint(row.hash));
    EXPECT_EQ(one.octets.size(), row.octets);
  }
  EXPECT_NE(again->fingerprint(FingerprintHash::kSha256),
            backend_.make_identity()->fingerprint(FingerprintHash::kSha256));
  EXPECT_EQ(backend_.identity_of(""), nullptr);
  EXPECT_EQ(backend_.identity_of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nullptr);
}

TEST_F(DtlsTest, RestoredKeysNeedNoHandshake) {
  handshake();
  DtlsChannel restored;
  restored.restore(*client_.channel.keys(), 1);
  restored.drive(kRelay, client_.turn());
  EXPECT_TRUE(client_.out.sent.empty());
  EXPECT_EQ(restored.keys(), client_.channel.keys());
  client_.plan.association = 2;
  restored.drive({}, client_.turn());  // nobody to speak to yet
  EXPECT_TRUE(client_.out.sent.empty());
  restored.drive(kRelay, client_.turn());
  EXPECT_EQ(client_.out.sent.size(), 1u);
}

/// The way to the peer changes, as it does when ICE selects another pair.
class DtlsWays : public DtlsTest {
 protected:
  DtlsWays() {
    server_.knows(client_);
    client_.knows(server_);
  }
  DtlsChannel::Turn proven(End& end) {
    DtlsChannel::Turn turn = end.turn();
    turn.is_proven = true;
    return turn;
  }
  /// Both take what there is for them, whatever address it was sent to; replies come from `server` at.
  void exchange_at(const Endpoint& client, const Endpoint& server) {
    while (!server_.out.sent.empty() || !client_.out.sent.empty()) {
      for (auto [from, to, at] :
           {std::tuple{&client_, &server_, client}, std::tuple{&server_, &client_, server}}) {
        if (from->out.sent.empty()) continue;
        const Datagram datagram = std::move(from->out.sent.front());
        from->out.sent.pop_front();
        to->channel.take(at, datagram.octets, proven(*to));
      }
    }
  }
  const Endpoint kRelay2 = *Endpoint::parse("[2001:db8::1]:30000");
  const Endpoint kAlice2 = *Endpoint::parse("[2001:db8::10]:4000");
};

TEST_F(DtlsWays, WDTLS4_AFlightGoesToTheNewWayAtOnce) {
  client_.channel.drive(kRelay, proven(client_));
  ASSERT_EQ(client_.out.sent.size(), 1u);
  const auto hello = client_.out.sent.front().octets;
  client_.out.sent.clear();
  client_.channel.drive(kRelay, proven(client_));
  EXPECT_TRUE(client_.out.sent.empty());
  client_.channel.drive(kRelay2, proven(client_));
  ASSERT_EQ(client_.out.sent.size(), 1u);
  EXPECT_EQ(client_.out.sent.front().to, kRelay2);
  EXPECT_EQ(client_.out.sent.front().octets, hello);
  // The flight is repeated soon, however long the association has waited on the old way.
  const auto due = client_.channel.due(client_.now);
  ASSERT_TRUE(due);
  EXPECT_LE(*due, client_.now + 50ms);
  exchange_at(kAlice2, kRelay2);
  expect_ready();
}

TEST_F(DtlsWays, WDTLS4_AnAnswerThatWasLostOnTheOldWayIsRepeatedOnTheNewOne) {
  server_.channel.drive(kAlice, proven(server_));
  client_.channel.drive(kRelay, proven(client_));
  server_.channel.take(kAlice, client_.out.sent.front().octets, proven(server_));
  client_.out.sent.clear();
  ASSERT_FALSE(server_.out.sent.empty());
  EXPECT_EQ(server_.out.sent.front().to, kAlice);  // DTL-6
  server_.out.sent.clear();
  server_.channel.drive(kAlice2, proven(server_));
  ASSERT_FALSE(server_.out.sent.empty());
  EXPECT_EQ(server_.out.sent.front().to, kAlice2);
  exchange_at(kAlice2, kRelay2);
  expect_ready();
}

TEST_F(DtlsWays, WDTLS4_AHelloThatComesAgainElsewhereIsAnsweredThere) {
  client_.channel.drive(kRelay, proven(client_));
  const auto hello = client_.out.sent.front().octets;
  server_.channel.take(kAlice, hello, proven(server_));
  const std::size_t flight = server_.out.sent.size();
  server_.out.sent.clear();
  server_.channel.take(kAlice2, hello, proven(server_));
  ASSERT_EQ(server_.out.sent.size(), flight);
  EXPECT_EQ(server_.out.sent.front().to, kAlice2);
  // Without ICE the address is not proven: nothing is amplified (LIM-2).
  server_.out.sent.clear();
  server_.channel.take(kStranger, hello, server_.turn());
  for (const Datagram& each : server_.out.sent) EXPECT_LE(each.octets.size(), hello.size());
  EXPECT_LE(server_.out.sent.size(), 1u);
}

TEST_F(DtlsWays, WithoutIceAServerDoesNotFollowTheWay) {
  start();
  for (int i = 0; i < 2; ++i) {
    server_.channel.take(kAlice, client_.out.sent.back().octets, server_.turn());
    client_.out.sent.clear();
    if (i == 0) client_.channel.take(kRelay, server_.out.sent.back().octets, client_.turn());
    server_.out.sent.clear();
  }
  ASSERT_EQ(server_.channel.state(), State::kHandshaking);
  server_.channel.drive(kStranger, server_.turn());  // signalling names another address: it is not proven
  for (const Datagram& each : server_.out.sent) EXPECT_EQ(each.to, kAlice);
}

TEST_F(DtlsWays, WDTLS3_ANewAssociationWaitsForItsWay) {
  client_.channel.drive(kRelay, proven(client_));
  exchange_at(kAlice, kRelay);
  expect_ready();
  const DtlsKeys before = *client_.channel.keys();
  client_.plan.association = 2;
  client_.channel.drive({}, proven(client_));  // the new session has no pair yet
  EXPECT_TRUE(client_.out.sent.empty());
  EXPECT_EQ(client_.channel.keys(), before);
  EXPECT_EQ(client_.channel.keyed_for(), 1u);
  client_.channel.drive(kRelay2, proven(client_));
  ASSERT_FALSE(client_.out.sent.empty());
  EXPECT_EQ(client_.out.sent.front().to, kRelay2);
  exchange_at(kAlice2, kRelay2);
  expect_ready();
  EXPECT_NE(client_.channel.keys(), before);
  EXPECT_EQ(client_.channel.keyed_for(), 2u);
}

TEST_F(DtlsWays, WDTLS4_WhoGaveUpBeginsAnewOnAnotherWay) {
  client_.plan.identity = std::make_shared<Unanswered>();
  for (int turn = 0; turn < 20; ++turn) {
    client_.channel.drive(kRelay, proven(client_));
    client_.now += 10s;
  }
  EXPECT_EQ(client_.channel.state(), State::kFailed);
  client_.out.sent.clear();
  client_.channel.drive(kRelay2, proven(client_));
  ASSERT_FALSE(client_.out.sent.empty());
  EXPECT_EQ(client_.out.sent.front().to, kRelay2);
}

TEST_F(DtlsWays, WhatTheFormerPageStillSaysDoesNotDisturbTheNewOne) {
  client_.channel.drive(kRelay, proven(client_));
  exchange_at(kAlice, kRelay);
  expect_ready();
  const auto before = *server_.channel.keys();
  End page(kAlice2, DtlsRole::kClient, backend_);
  page.knows(server_);
  server_.knows(page);
  page.channel.drive(kRelay2, proven(page));
  // Octets of the old association, to its path: 40 of its epoch that nobody can read.
  std::vector<std::byte> late(13 + 40, std::byte{0x5a});
  const std::array<std::uint8_t, 13> header = {21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 40};
  std::ranges::copy(std::as_bytes(std::span(header)), late.begin());
  for (int turn = 0; turn < 10; ++turn) {
    server_.channel.take(kAlice, late, proven(server_));
    for (auto [from, to, at] : {std::tuple{&page, &server_, kAlice2}, std::tuple{&server_, &page, kRelay2}}) {
      while (!from->out.sent.empty()) {
        const Datagram datagram = std::move(from->out.sent.front());
        from->out.sent.pop_front();
        EXPECT_NE(datagram.to, kAlice);
        to->channel.take(at, datagram.octets, proven(*to));
      }
    }
  }
  ASSERT_EQ(page.channel.state(), State::kReady);
  EXPECT_NE(server_.channel.keys(), before);
  EXPECT_EQ(server_.channel.keys()->send, page.channel.keys()->receive);
}

/// A certificate that is not the signalled one: the peer is told (DTL-8).
class DtlsAlerts : public DtlsTest {
 protected:
  static constexpr std::uint8_t kAlert = 21, kFatal = 2, kBadCertificate = 42;
  /// The alerts that `end` has sent, oldest first.
  static std::vector<std::vector<std::byte>> alerts_of(End& end) {
    std::vector<std::vector<std::byte>> alerts;
    for (const Datagram& each : end.out.sent) {
      if (read_u8(each.octets, 0) == kAlert) alerts.push_back(each.octets);
    }
    return alerts;
  }
  static void expect_bad_certificate(End& end) {
    const auto alerts = alerts_of(end);
    ASSERT_EQ(alerts.size(), 1u);
    ASSERT_EQ(alerts.front().size(), 15u) << "in clear: the handshake has no keys yet";
    EXPECT_EQ(read_u8(alerts.front(), 13), kFatal);
    EXPECT_EQ(read_u8(alerts.front(), 14), kBadCertificate);
  }
  /// As `settle`, but what `end` sends stays.
  void settle_but_for(End& end, End& other) {
    std::size_t taken = 0;
    for (int i = 0; i < 20; ++i) {
      while (!other.out.sent.empty()) {
        end.channel.take(other.at, other.out.sent.front().octets, end.turn());
        other.out.sent.pop_front();
      }
      for (; taken < end.out.sent.size(); ++taken)
        other.channel.take(end.at, end.out.sent[taken].octets, other.turn());
    }
  }
};

TEST_F(DtlsAlerts, DTL8_AClientWithAnotherCertificateGetsAFatalAlert) {
  server_.plan.peer = {server_.plan.identity->fingerprint(FingerprintHash::kSha256)};
  client_.knows(server_);
  start();
  settle_but_for(server_, client_);
  expect_bad_certificate(server_);
  EXPECT_EQ(server_.out.sent.back().to, kAlice);
  EXPECT_EQ(server_.channel.state(), State::kMismatch);
  EXPECT_EQ(server_.channel.take_news(), DtlsChannel::News::kMismatch);
  EXPECT_FALSE(server_.channel.keys());
  EXPECT_FALSE(client_.channel.keys()) << "it must not believe that it is connected";
  EXPECT_EQ(server_.budget.pending(), 0u);
}

TEST_F(DtlsAlerts, DTL8_AServerWithAnotherCertificateGetsAFatalAlert) {
  client_.plan.peer = {client_.plan.identity->fingerprint(FingerprintHash::kSha256)};
  server_.knows(client_);
  start();
  settle_but_for(client_, server_);
  expect_bad_certificate(client_);
  EXPECT_EQ(client_.channel.state(), State::kMismatch);
  EXPECT_FALSE(server_.channel.keys());
  const std::size_t sent = client_.out.sent.size();
  client_.channel.drive(kRelay, client_.turn());
  EXPECT_EQ(client_.out.sent.size(), sent) << "not again, until signalling says something else";
}

TEST_F(DtlsAlerts, DTL9_TheAlertComesWhenTheFingerprintDoes) {
  client_.knows(server_);
  start();
  exchange();
  ASSERT_EQ(server_.channel.state(), State::kUnverified);
  server_.plan.peer = {server_.plan.identity->fingerprint(FingerprintHash::kSha256)};
  server_.channel.drive({}, server_.turn());
  ASSERT_EQ(alerts_of(server_).size(), 1u);
  EXPECT_EQ(read_u16(alerts_of(server_).front(), 3), 1u) << "under the keys of the association";
  EXPECT_EQ(server_.out.sent.size(), 1u);
  EXPECT_EQ(server_.channel.state(), State::kMismatch);
  EXPECT_FALSE(server_.channel.keys());
}

TEST_F(DtlsAlerts, DTL9_AsClientToo) {
  server_.knows(client_);
  client_.plan.peer = {};
  start();
  exchange();
  ASSERT_EQ(client_.channel.state(), State::kUnverified);
  client_.plan.peer = {client_.plan.identity->fingerprint(FingerprintHash::kSha256)};
  client_.channel.drive(kRelay, client_.turn());
  ASSERT_EQ(alerts_of(client_).size(), 1u);
  EXPECT_EQ(client_.out.sent.size(), 1u);
  EXPECT_EQ(client_.channel.state(), State::kMismatch);
}

TEST_F(DtlsAlerts, DTL11_ALiveAssociationIsNotTouchedByAWrongOneBesideIt) {
  handshake();
  expect_ready();
  const DtlsKeys before = *server_.channel.keys();
  EXPECT_EQ(server_.channel.take_news(), DtlsChannel::News::kReady);
  End wrong(kAlice, DtlsRole::kClient, backend_);
  wrong.knows(server_);
  wrong.channel.drive(kRelay, wrong.turn());
  settle_but_for(server_, wrong);
  expect_bad_certificate(server_);
  EXPECT_EQ(server_.channel.state(), State::kReady);
  EXPECT_EQ(server_.channel.keys(), before);
  EXPECT_EQ(server_.channel.take_news(), DtlsChannel::News::kMismatch);
  server_.out.sent.clear();
  client_.plan.association = 2;  // the true peer can go on
  start();
  exchange();
  expect_ready();
}

}  // namespace
}  // namespace ferry
