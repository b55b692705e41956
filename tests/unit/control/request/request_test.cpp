// SPDX-License-Identifier: Apache-2.0
// A request without words asks for nothing.
#include "control/request/request.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

TEST(Requests, WithoutWordsAskForNothing) {
  const Request request;
  EXPECT_TRUE(request.flags.none() && request.replaces.none() && request.rtcp_mux.none());
  EXPECT_FALSE(request.call_id || request.from_tag || request.to_tag || request.sdp);
  EXPECT_FALSE(request.dtls.off || request.dtls.passive || request.dtls.hash || request.dtls.no_tls_id);
  EXPECT_FALSE(request.osrtp.offer || request.osrtp.accept || request.osrtp.offer_doubled ||
               request.osrtp.accept_doubled);
  EXPECT_EQ(request.ice.offer, IceWishes::Offer::kAsOffered);
  EXPECT_FALSE(request.codecs.changes_offer());
  EXPECT_FALSE(request.latch || request.learning || request.strict_payload_types || request.drop_traffic);
}

TEST(Requests, AFlagIsItsOwnAlone) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(Flag::kCount); ++i) {
    Request request;
    request.flags.set(i);
    for (std::size_t other = 0; other < static_cast<std::size_t>(Flag::kCount); ++other)
      EXPECT_EQ(request.has_flag(static_cast<Flag>(other)), other == i);
  }
  RtcpMuxes words;
  words.set(static_cast<std::size_t>(RtcpMux::kDemux));
  EXPECT_TRUE(has(words, RtcpMux::kDemux));
  EXPECT_FALSE(has(words, RtcpMux::kReject));
}

}  // namespace
}  // namespace ferry::test
