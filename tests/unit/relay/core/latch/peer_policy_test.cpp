// SPDX-License-Identifier: Apache-2.0
// LAT-11a: what the policy says of addresses and ports, and what a latch makes of it.

#include "relay/core/latch/peer_policy.hpp"

#include "relay/core/latch/latch.hpp"

#include <string>

#include <gtest/gtest.h>

namespace ferry::peer_policy_test {
namespace {

using namespace std::chrono_literals;
using Decision = Latch::Judgement::Decision;

Endpoint endpoint(std::string_view text) { return Endpoint::parse(text).value(); }
Network network(std::string_view text) { return Network::parse(text).value(); }

/// A host with one address of each kind, behind an advertised one.
PeerRules rules() {
  PeerRules rules;
  for (const char* each : {"192.0.2.1", "203.0.113.77", "10.0.0.1", "2001:db8::1", "fe80::1"})
    rules.host.push_back(IpAddress::parse(each).value());
  rules.control = {network("198.51.100.0/24"), network("2001:db8:c::/48")};
  rules.ports = {{UdpPort{8080}, UdpPort{8080}}, {UdpPort{9000}, UdpPort{9003}}};
  rules.denied = {network("172.16.0.0/12"), network("2001:db8:bad::/48")};
  rules.allowed = {network("172.16.5.0/24")};
  return rules;
}

std::shared_ptr<const PeerPolicy> policy(PeerScope scope = {}) {
  return std::make_shared<const PeerPolicy>(std::make_shared<const PeerTables>(rules()), scope);
}

struct Row {
  const char* peer;
  PeerDenial expected;
};

void expect(const PeerPolicy& policy, const std::vector<Row>& rows) {
  for (const Row& row : rows)
    EXPECT_EQ(to_string(policy.judge(endpoint(row.peer))), to_string(row.expected)) << row.peer;
}

TEST(PeerPolicy, LAT11a_NoControlPortAtThisHostOrInItsControlNetworks) {
  using enum PeerDenial;
  expect(*policy(), {
                        {"192.0.2.1:2223", kControlPort},
                        {"192.0.2.1:22222", kControlPort},
                        {"192.0.2.1:8080", kControlPort},
                        {"192.0.2.1:9000", kControlPort},
                        {"192.0.2.1:9003", kControlPort},
                        {"192.0.2.1:1", kControlPort},
                        {"192.0.2.1:1023", kControlPort},
                        {"192.0.2.1:5060", kControlPort},
                        {"192.0.2.1:5061", kControlPort},
                        {"203.0.113.77:2223", kControlPort},
                        {"10.0.0.1:2223", kControlPort},
                        {"[2001:db8::1]:2223", kControlPort},
                        {"198.51.100.9:2223", kControlPort},
                        {"198.51.100.9:5060", kControlPort},
                        {"[2001:db8:c::9]:22222", kControlPort},
                        // Ports beside them, and the same ports elsewhere.
                        {"192.0.2.1:1024", kNone},
                        {"192.0.2.1:2222", kNone},
                        {"192.0.2.1:2224", kNone},
                        {"192.0.2.1:5059", kNone},
                        {"192.0.2.1:5062", kNone},
                        {"192.0.2.1:8081", kNone},
                        {"192.0.2.1:8999", kNone},
                        {"192.0.2.1:9004", kNone},
                        {"192.0.2.1:30000", kNone},
                        {"192.0.2.2:2223", kNone},
                        {"192.0.2.2:5060", kNone},
                        {"192.0.2.2:1000", kNone},
                        {"198.51.100.9:4000", kNone},
                        {"198.51.101.9:2223", kNone},
                        {"[2001:db8::2]:2223", kNone},
                    });
}

TEST(PeerPolicy, LAT11a_LoopbackAndLinkLocalForPartiesOfSuchInterfacesAlone) {
  using enum PeerDenial;
  expect(*policy(), {
                        {"127.0.0.1:4000", kLoopback},
                        {"127.8.9.10:4000", kLoopback},
                        {"[::1]:4000", kLoopback},
                        {"127.0.0.1:2223", kLoopback},
                        {"169.254.1.1:4000", kLinkLocal},
                        {"169.254.169.254:4000", kLinkLocal},
                        {"[fe80::9]:4000", kLinkLocal},
                        {"[febf::9]:4000", kLinkLocal},
                        {"[fec0::9]:4000", kNone},
                        {"169.255.0.1:4000", kNone},
                        {"128.0.0.1:4000", kNone},
                    });
  expect(*policy({.is_loopback = true}), {
                                             {"127.0.0.1:4000", kNone},
                                             {"[::1]:4000", kNone},
                                             {"169.254.1.1:4000", kLinkLocal},
                                             // Every loopback address is this host's.
                                             {"127.0.0.1:2223", kControlPort},
                                             {"127.8.9.10:22222", kControlPort},
                                             {"[::1]:5060", kControlPort},
                                         });
  expect(*policy({.is_link_local = true}), {
                                               {"169.254.1.1:4000", kNone},
                                               {"[fe80::9]:4000", kNone},
                                               {"[fe80::1]:2223", kControlPort},
                                               {"127.0.0.1:4000", kLoopback},
                                           });
}

TEST(PeerPolicy, LAT11a_AnIpv4AddressInIpv6FormIsTheSameAddress) {
  using enum PeerDenial;
  expect(*policy(), {
                        {"[::ffff:127.0.0.1]:4000", kLoopback},
                        {"[::ffff:169.254.1.1]:4000", kLinkLocal},
                        {"[::ffff:192.0.2.1]:2223", kControlPort},
                        {"[::ffff:198.51.100.9]:2223", kControlPort},
                        {"[::ffff:172.16.0.9]:4000", kDeniedNetwork},
                        {"[::ffff:172.16.5.9]:4000", kNone},
                        {"[::ffff:0.0.0.0]:4000", kNoParty},
                        {"[::ffff:224.0.0.1]:4000", kNoParty},
                        {"[::ffff:192.0.2.2]:2223", kNone},
                    });
  PeerRules mapped;
  mapped.host = {IpAddress::parse("::ffff:192.0.2.1").value()};
  const PeerPolicy of_mapped(std::make_shared<const PeerTables>(mapped), {});
  expect(of_mapped, {{"192.0.2.1:2223", kControlPort}, {"[::ffff:192.0.2.1]:2223", kControlPort}});
}

TEST(PeerPolicy, LAT11a_AnAddressBehindATranslatorIsTheIPv4Address) {
  using enum PeerDenial;
  // RFC 6052 §2.1: 64:ff9b::/96 alone. Its neighbours are addresses like others.
  expect(*policy(), {
                        {"[64:ff9b::192.0.2.1]:2223", kControlPort},
                        {"[64:ff9b::192.0.2.1]:4000", kNone},
                        {"[64:ff9b::127.0.0.1]:4000", kLoopback},
                        {"[64:ff9b::169.254.169.254]:4000", kLinkLocal},
                        {"[64:ff9b::172.16.0.9]:4000", kDeniedNetwork},
                        {"[64:ff9b::172.16.5.9]:4000", kNone},
                        {"[64:ff9b::224.0.0.1]:4000", kNoParty},
                        {"[64:ff9b::192.0.2.2]:2223", kNone},
                        {"[64:ff9b:0:0:0:1:127.0.0.1]:4000", kNone},
                        {"[64:ff9a::127.0.0.1]:4000", kNone},
                    });
  PeerRules of_prefix;
  of_prefix.denied = {network("64:ff9b::/96")};
  const PeerPolicy no_translator(std::make_shared<const PeerTables>(of_prefix), {});
  expect(no_translator, {{"[64:ff9b::198.51.100.7]:4000", kDeniedNetwork}, {"198.51.100.7:4000", kNone}});
}

TEST(PeerPolicy, LAT11a_NetworksOfTheOperatorComeOnTop) {
  using enum PeerDenial;
  expect(*policy(), {
                        {"172.16.0.9:4000", kDeniedNetwork},
                        {"172.31.255.255:65535", kDeniedNetwork},
                        {"[2001:db8:bad::1]:4000", kDeniedNetwork},
                        {"172.16.5.9:4000", kNone},
                        {"172.32.0.1:4000", kNone},
                    });
  PeerRules open = rules();
  open.allowed = {network("0.0.0.0/0"), network("::/0")};
  const PeerPolicy all(std::make_shared<const PeerTables>(open), {});
  expect(all, {{"172.16.0.9:4000", kNone}, {"192.0.2.1:2223", kControlPort}, {"127.0.0.1:4000", kLoopback}});
}

TEST(PeerPolicy, LAT11_IsPartOfItAndAllThereIsWithoutOne) {
  using enum PeerDenial;
  const std::vector<Row> everywhere = {{"224.0.0.1:4000", kNoParty}, {"255.255.255.255:4000", kNoParty},
                                       {"0.0.0.0:4000", kNoParty},   {"[::]:4000", kNoParty},
                                       {"[ff02::1]:4000", kNoParty}, {"192.0.2.9:53", kNoParty},
                                       {"192.0.2.9:0", kNoParty},    {"192.0.2.9:11211", kNoParty}};
  expect(*policy(), everywhere);
  for (const Row& row : everywhere) EXPECT_EQ(judge_peer(nullptr, endpoint(row.peer)), kNoParty) << row.peer;
  for (const char* other : {"127.0.0.1:2223", "192.0.2.1:2223", "169.254.1.1:4000"})
    EXPECT_EQ(judge_peer(nullptr, endpoint(other)), kNone) << other;
  EXPECT_FALSE(is_refusal(kNoParty));
}

TEST(PeerPolicy, LAT11a_EachDenialHasItsRow) {
  for (std::size_t i = 0; i < kPeerDenials; ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kPeerDenialRows[i].denial), i);
    EXPECT_FALSE(kPeerDenialRows[i].meaning.empty());
  }
}

// The latch.

class DeniedSource : public ::testing::Test {
 protected:
  void begin(LatchPolicy policy_of_sources, const char* signalled, const char* source = "192.0.2.1") {
    config_.policy = policy_of_sources;
    config_.signalled = endpoint(signalled);
    config_.signalling_source = IpAddress::parse(source).value();
    config_.peers = policy();
    latch_.restart(config_, kStart);
  }
  DropReason reason_of(const char* from, std::uint16_t sequence = 1) {
    return latch_.on_rtp(endpoint(from), Ssrc{1}, SeqNo{sequence}, kStart, own_).reason;
  }

  static constexpr Instant kStart{1h};
  LatchConfig config_;
  Latch latch_;
  OwnMedia own_{{}};
};

TEST_F(DeniedSource, LAT11a_IsNeverLearnedWhateverItsRankAndThePolicy) {
  for (const auto policy_of_sources :
       {LatchPolicy::kOff, LatchPolicy::kSignalled, LatchPolicy::kUncontested, LatchPolicy::kAny}) {
    for (const char* from : {"192.0.2.1:2223", "127.0.0.1:4000", "169.254.1.1:4000", "172.16.0.9:4000"}) {
      begin(policy_of_sources, from);  // rank 4
      for (std::uint16_t n = 1; n < 5; ++n) EXPECT_EQ(reason_of(from, n), DropReason::kDeniedAddress) << from;
      const auto rtcp = latch_.on_unsequenced(endpoint(from), Ssrc{1}, kStart, own_, {});
      EXPECT_EQ(rtcp.reason, DropReason::kDeniedAddress) << from;
      EXPECT_FALSE(latch_.may_speak(endpoint(from))) << from;
      EXPECT_EQ(latch_.signalled_rank(endpoint(from), kStart, own_), 0) << from;
      EXPECT_EQ(latch_.refusal_of(endpoint(from), kStart, own_), DropReason::kDeniedAddress) << from;
      EXPECT_EQ(latch_.state(), Latch::State::kLearning);
      EXPECT_FALSE(latch_.destination().is_set()) << "and nothing is sent to " << from;
    }
  }
}

TEST_F(DeniedSource, LAT11a_OnAnotherPortOfTheSignallingSourceIsNotLearnedEither) {
  begin(LatchPolicy::kSignalled, "198.51.100.9:4000");
  EXPECT_EQ(reason_of("192.0.2.1:2223"), DropReason::kDeniedAddress);
  EXPECT_EQ(reason_of("192.0.2.1:30000"), DropReason::kNone) << "rank 2, under probation";
}

TEST_F(DeniedSource, LAT11a_DoesNotMoveALockedStream) {
  begin(LatchPolicy::kSignalled, "192.0.2.1:30000");
  EXPECT_EQ(reason_of("192.0.2.1:30000"), DropReason::kNone);
  const auto moved = latch_.on_rtp(endpoint("192.0.2.1:2223"), Ssrc{1}, SeqNo{2}, kStart + 600ms, own_);
  EXPECT_EQ(moved.reason, DropReason::kDeniedAddress) << "not a rebinding (LAT-8)";
  EXPECT_EQ(latch_.learned(), endpoint("192.0.2.1:30000"));
}

TEST_F(DeniedSource, LAT11a_IsNotTakenByTheAlgorithmsOfTheNgReference) {
  for (const auto algorithm :
       {LearningAlgorithm::kImmediate, LearningAlgorithm::kDelayed, LearningAlgorithm::kHeuristic}) {
    config_.algorithm = algorithm;
    begin(LatchPolicy::kAny, "198.51.100.9:4000");
    EXPECT_EQ(reason_of("192.0.2.1:2223"), DropReason::kDeniedAddress);
    EXPECT_EQ(latch_.destination(), endpoint("198.51.100.9:4000"));
  }
}

TEST_F(DeniedSource, LAT11a_APeerIsLetGoWhenThePolicyChanges) {
  begin(LatchPolicy::kSignalled, "198.51.100.9:4000");
  EXPECT_EQ(reason_of("198.51.100.9:4000"), DropReason::kNone);
  PeerRules changed = rules();
  changed.denied.push_back(network("198.51.100.9"));
  config_.peers =
      std::make_shared<const PeerPolicy>(std::make_shared<const PeerTables>(changed), PeerScope{});
  latch_.update(config_);
  EXPECT_FALSE(latch_.learned().is_set());
  EXPECT_FALSE(latch_.destination().is_set());
  EXPECT_EQ(latch_.state(), Latch::State::kLearning);
}

TEST_F(DeniedSource, LAT11a_ARestoredPeerIsJudgedAnew) {
  begin(LatchPolicy::kSignalled, "198.51.100.9:4000");
  EXPECT_EQ(reason_of("198.51.100.9:4000"), DropReason::kNone);
  Latch::Snapshot snapshot = latch_.snapshot();
  Latch restored;
  restored.restore(config_, snapshot);
  EXPECT_EQ(restored.learned(), endpoint("198.51.100.9:4000"));
  snapshot.peer = endpoint("192.0.2.1:2223");  // learned on another host
  restored.restore(config_, snapshot);
  EXPECT_FALSE(restored.learned().is_set());
  EXPECT_EQ(restored.destination(), endpoint("198.51.100.9:4000"));
}

TEST(OwnMediaPorts, LIM5_AnAddressInIpv6FormIsStillOurs) {
  auto ports = std::make_shared<OpenPorts>(UdpPort{30000}, UdpPort{30010});
  ports->set(UdpPort{30002}, true);
  const OwnMedia own({{IpAddress::parse("192.0.2.1").value(), ports}});
  EXPECT_TRUE(own.contains(endpoint("[::ffff:192.0.2.1]:30002")));
  EXPECT_FALSE(own.contains(endpoint("[::ffff:192.0.2.1]:30004")));
}

}  // namespace
}  // namespace ferry::peer_policy_test
