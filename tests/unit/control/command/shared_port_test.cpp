// SPDX-License-Identifier: Apache-2.0
// Who may live on the port that all ICE legs share: one table of what is known of a party and what the words
// of an offer say.
#include "control/command/shared_port.hpp"

#include <string_view>

#include <gtest/gtest.h>

namespace ferry::test::shared_port_test {
namespace {

using Offer = IceWishes::Offer;

Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }

/// A party with one transport.
struct Party {
  Party(bool has_ice, bool has_mux) {
    MediaTransport& transport = leg.add_transport();
    transport.ensure_ice().in_use = has_ice;
    transport.mux_used = has_mux;
  }
  Leg leg;
};

TEST(CertainIceOfAParty, ONE3_IsWhatItHasOrWhatTheWordsSayOfABrowser) {
  const Party both(true, true);
  const Party ice(true, false);
  const Party mux(false, true);
  struct Row {
    const Leg* leg;
    Offer ice;
    bool sdes_off;
    bool has_mux;
    bool is_certain;
  };
  const Row rows[] = {
      {nullptr, Offer::kAlways, true, true, true},       {nullptr, Offer::kAlways, false, true, false},
      {nullptr, Offer::kAlways, true, false, false},     {nullptr, Offer::kAsOffered, true, true, false},
      {nullptr, Offer::kNever, true, true, false},       {&both.leg, Offer::kAsOffered, false, false, true},
      {&ice.leg, Offer::kAsOffered, false, true, false}, {&mux.leg, Offer::kAsOffered, false, true, false},
      {&ice.leg, Offer::kAlways, true, true, true},
  };
  for (const Row& row : rows)
    EXPECT_EQ((CertainIce{row.leg, row.ice, row.sdes_off, row.has_mux}.is_certain()), row.is_certain)
        << &row - rows;
}

TEST(LiteAgents, ONE3_AreSoByTheWordOrByAnEarlierOne) {
  for (const bool kept : {false, true}) {
    Leg leg;
    leg.keep_ice_lite(kept);
    EXPECT_EQ(is_lite_toward(&leg, std::nullopt), kept);
    EXPECT_FALSE(is_lite_toward(nullptr, std::nullopt));
    for (const bool word : {false, true}) {
      EXPECT_EQ(is_lite_toward(&leg, word), word);
      EXPECT_EQ(is_lite_toward(nullptr, word), word);
    }
  }
}

TEST(PartiesBehindASharedPort, ONE3_AreKnownByTheirCandidates) {
  const auto interfaces = InterfaceSet::build({parse_interface_spec("a/192.0.2.1!203.0.113.1")},
                                              UdpPort{30000}, UdpPort{30009}, false, UdpPort{3478});
  ASSERT_TRUE(interfaces);
  struct Row {
    const char* candidate;
    bool is_behind;
  };
  for (const Row& row : {Row{"192.0.2.1:3478", true}, Row{"203.0.113.1:3478", true},
                         Row{"192.0.2.1:30000", false}, Row{"192.0.2.9:3478", false}}) {
    Party party(true, true);
    EXPECT_FALSE(is_behind_shared_port(party.leg, *interfaces)) << "no candidates";
    auto& theirs = party.leg.transports.front().ice->theirs;
    theirs.candidates = {{1, 5, at("198.51.100.1:4000")}, {1, 4, at(row.candidate)}};
    EXPECT_EQ(is_behind_shared_port(theirs.candidates, *interfaces), row.is_behind) << row.candidate;
    EXPECT_EQ(is_behind_shared_port(party.leg, *interfaces), row.is_behind) << row.candidate;
  }
}

}  // namespace
}  // namespace ferry::test::shared_port_test
