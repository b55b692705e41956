// SPDX-License-Identifier: Apache-2.0
#include "control/call/peer_guard.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

Endpoint endpoint(std::string_view text) { return Endpoint::parse(text).value(); }

class PeerGuardTest : public ::testing::Test {
 protected:
  static InterfaceSet make_interfaces() {
    std::vector<InterfaceSpec> specs;
    for (const char* each : {"inside/192.0.2.1", "outside/10.0.0.1!203.0.113.77", "lo/127.0.0.1",
                             "any/0.0.0.0", "public/0.0.0.0!203.0.113.78"})
      specs.push_back(parse_interface_spec(each));
    return std::move(*InterfaceSet::build(specs, UdpPort{30000}, UdpPort{30100}, false));
  }
  [[nodiscard]] const LocalAddress& local(std::string_view name) const {
    return interfaces_.find(name)->addresses.front();
  }
  /// `none` if everything is taken, `left out`, or why it is an error.
  std::string verdict(const NamedPeer& named, std::string_view interface = "inside") {
    const auto left_out = guard_.admit(named, local(interface));
    if (!left_out) return std::string(to_string(left_out.error()));
    return left_out->empty() ? "none" : "left out";
  }
  static NamedPeer plain(const char* rtp, const char* rtcp) {
    NamedPeer named;
    named.rtp = endpoint(rtp);
    named.rtcp = endpoint(rtcp);
    return named;
  }
  static NamedPeer with_ice(const char* rtp, const std::vector<const char*>& candidates) {
    NamedPeer named = plain(rtp, rtp);
    named.has_ice = true;
    for (const char* each : candidates) named.candidates.push_back(endpoint(each));
    return named;
  }

  InterfaceSet interfaces_ = make_interfaces();
  PeerGuard guard_{PeerRules{}, interfaces_};
};

TEST_F(PeerGuardTest, LAT11a_APlainSectionNeedsAnAddressForRtpAndForRtcp) {
  EXPECT_EQ(verdict(plain("198.51.100.9:4000", "198.51.100.9:4001")), "none");
  EXPECT_EQ(verdict(plain("192.0.2.1:2223", "192.0.2.1:2224")), "control-port");
  EXPECT_EQ(verdict(plain("192.0.2.1:2222", "192.0.2.1:2223")), "control-port");
  EXPECT_EQ(verdict(plain("203.0.113.77:2223", "203.0.113.77:2224")), "control-port") << "as advertised";
  EXPECT_EQ(verdict(plain("127.0.0.1:4000", "127.0.0.1:4001")), "loopback");
  EXPECT_EQ(verdict(plain("127.0.0.1:4000", "127.0.0.1:4001"), "lo"), "none");
  EXPECT_EQ(verdict(plain("127.0.0.1:2223", "127.0.0.1:2224"), "lo"), "control-port");
  NamedPeer with_mux = plain("192.0.2.1:2222", "192.0.2.1:2223");
  with_mux.has_mux = true;
  EXPECT_EQ(verdict(with_mux), "left out") << "RTCP may go to the RTP port";
}

TEST_F(PeerGuardTest, LAT11a_AnInterfaceOnEveryAddressIsOnLoopbackToo) {
  EXPECT_EQ(verdict(plain("127.0.0.1:4000", "127.0.0.1:4001"), "any"), "none");
  EXPECT_EQ(verdict(plain("127.0.0.1:2223", "127.0.0.1:2224"), "any"), "control-port");
  EXPECT_EQ(verdict(plain("169.254.169.254:4000", "169.254.169.254:4001"), "any"), "link-local");
  EXPECT_EQ(verdict(plain("127.0.0.1:4000", "127.0.0.1:4001"), "public"), "loopback")
      << "its parties are told another address";
}

TEST_F(PeerGuardTest, LAT11a_WhatIsVoidOrNotSaidIsLeftOut) {
  NamedPeer named = plain("192.0.2.1:2223", "192.0.2.1:2224");
  named.is_void = true;
  EXPECT_EQ(verdict(named), "left out");
  EXPECT_EQ(verdict(plain("0.0.0.0:2223", "0.0.0.0:2224")), "none") << "hold";
  EXPECT_EQ(verdict(NamedPeer{}), "none");
  EXPECT_EQ(verdict(plain("224.0.0.1:4000", "224.0.0.1:4001")), "none") << "LAT-11 alone is no error";
}

TEST_F(PeerGuardTest, LAT11a_WithIceOneUsableWayIsEnough) {
  EXPECT_EQ(verdict(with_ice("127.0.0.1:9", {"198.51.100.9:4000"})), "left out") << "c= of a browser";
  EXPECT_EQ(verdict(with_ice("198.51.100.9:4000", {"127.0.0.1:4000", "198.51.100.9:4000"})), "left out");
  EXPECT_EQ(verdict(with_ice("198.51.100.9:4000", {"192.0.2.1:2223"})), "left out") << "its default is good";
  EXPECT_EQ(verdict(with_ice("127.0.0.1:4000", {})), "left out") << "it will check us (peer reflexive)";
  EXPECT_EQ(verdict(with_ice("127.0.0.1:4000", {"127.0.0.1:4000", "192.0.2.1:2223"})), "control-port");
  EXPECT_EQ(verdict(with_ice("0.0.0.0:9", {"192.0.2.1:2223"})), "control-port");
  EXPECT_EQ(verdict(with_ice("0.0.0.0:9", {"224.0.0.1:4000"})), "none") << "LAT-11 alone";
  NamedPeer trickling = with_ice("0.0.0.0:9", {"192.0.2.1:2223"});
  trickling.trickles = true;
  EXPECT_EQ(verdict(trickling), "left out") << "others will follow";
}

TEST_F(PeerGuardTest, LAT11a_WhatIsRefusedOrLeftOutIsCountedByItsReason) {
  verdict(plain("192.0.2.1:2223", "192.0.2.1:22222"));
  verdict(with_ice("198.51.100.9:4000", {"127.0.0.1:4000"}));
  const auto& counts = guard_.counts();
  EXPECT_EQ(counts[static_cast<std::size_t>(PeerDenial::kControlPort)], 2u);
  EXPECT_EQ(counts[static_cast<std::size_t>(PeerDenial::kLoopback)], 1u);
  EXPECT_EQ(counts[static_cast<std::size_t>(PeerDenial::kNone)], 0u);
}

TEST_F(PeerGuardTest, LAT11a_ACommandHasNoOtherWay) {
  EXPECT_TRUE(guard_.admit(endpoint("198.51.100.9:4000"), local("inside")));
  EXPECT_EQ(guard_.admit(endpoint("10.0.0.1:22222"), local("inside")).error(), PeerDenial::kControlPort);
  EXPECT_EQ(guard_.admit(endpoint("224.0.0.1:4000"), local("inside")).error(), PeerDenial::kNoParty);
}

TEST_F(PeerGuardTest, LAT11a_NewRulesAreInForceAtOnceAndTheSameOnesChangeNothing) {
  const auto before = guard_.policy_of({});
  EXPECT_FALSE(guard_.set_rules(PeerRules{}));
  EXPECT_EQ(guard_.policy_of({}), before) << "no plan has to be made again";
  PeerRules rules;
  rules.ports = {{UdpPort{8080}, UdpPort{8080}}};
  EXPECT_EQ(guard_.judge(endpoint("192.0.2.1:8080"), local("inside")), PeerDenial::kNone);
  EXPECT_TRUE(guard_.set_rules(rules));
  EXPECT_NE(guard_.policy_of({}), before);
  EXPECT_EQ(guard_.judge(endpoint("192.0.2.1:8080"), local("inside")), PeerDenial::kControlPort);
  EXPECT_EQ(before->judge(endpoint("192.0.2.1:8080")), PeerDenial::kNone) << "a worker may still read it";
}

TEST_F(PeerGuardTest, LAT11a_AnAddressThatACommandAskedForIsThisHostsToo) {
  const Endpoint asked = endpoint("192.0.2.200:2223");
  EXPECT_EQ(guard_.judge(asked, local("inside")), PeerDenial::kNone);
  ASSERT_NE(interfaces_.local_address(asked.address), nullptr);
  EXPECT_TRUE(guard_.follow_host(Instant{1h}));
  EXPECT_EQ(guard_.judge(asked, local("inside")), PeerDenial::kControlPort);
  EXPECT_FALSE(guard_.follow_host(Instant{2h}));
}

TEST_F(PeerGuardTest, LAT11a_TheWordsNameTheRule) {
  EXPECT_EQ(in_words(RequestError(RequestFault::kDeniedSection, PeerDenial::kControlPort, 1)),
            "Section 1 of the SDP names a port for control or signalling, at this host or in control-allow "
            "(LAT-11a)");
  EXPECT_EQ(in_words({LeftOutPeer::Kind::kCandidate, endpoint("127.0.0.1:4000"), PeerDenial::kLoopback}),
            "candidate 127.0.0.1:4000, a loopback address, and the interface of its party is not on loopback "
            "(LAT-11a)");
}

}  // namespace
}  // namespace ferry::test
