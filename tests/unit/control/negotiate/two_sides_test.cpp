// SPDX-License-Identifier: Apache-2.0
// One table: an offer, the wishes of the request, the answer, and the transports of both parties that follow.
// Neither a worker nor a protocol is linked.
#include "control/negotiate/side.hpp"
#include "control/sdp/sdp.hpp"
#include "tests/support/paper_dtls.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::two_sides_test {
namespace {

/// What a party says in one section.
struct Says {
  std::string profile = "RTP/AVP";
  std::string lines = {};
};
struct Section {
  explicit Section(const Says& says)
      : text("v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 5000 " +
             says.profile + " 8\r\n" + says.lines),
        session(sdp::parse(text).value()) {}
  [[nodiscard]] const sdp::MediaSection& media() const { return session.media.front(); }
  std::string text;
  sdp::Session session;
};

/// A and B with the relay between them.
class TwoSides {
 public:
  TwoSides() {
    dtls_.backend = std::make_shared<PaperBackend>();
    a.leg = &a_leg_;
    b.leg = &b_leg_;
  }

  /// A offers; B is offered the profile `toward_b`.
  void offer(const Says& says, const std::string& toward_b, const Request& request) {
    const Section section(says);
    const SideInput in{request, srtp_, dtls_, dtls_.backend->make_identity()};
    a_profile_ = says.profile;
    b_profile_ = toward_b;
    Side from(a, in);
    from.take_address(section.media(), at(section));
    from.take_mux_offer();
    from.take_offer(section.media(), false);
    Side::Offer offer;
    offer.is_secure = sdp::parse_protocol(toward_b).secure;
    offer.is_opportunistic =
        !offer.is_secure &&
        (request.osrtp.offer || (a.keys && a.keys->offered_by_peer && toward_b == says.profile));
    if (a.keys) offer.lines = a.keys->theirs;
    offer.sdes = request.sdes.policy;
    offer.rules.recrypt = request.has_flag(Flag::kRecrypt);
    offer.has_dtls = !request.dtls.off;
    offer.has_ice = offers_ice(&b, request.ice.offer, sdp::read_ice(section.media()).is_there(), false);
    Side to(b, in);
    to.offer_mux(a.mux_offered_by_peer);
    to.offer_to(offer);
  }
  /// B answers. False if the answer is refused.
  bool answer(const Says& says, const Request& request) {
    const Section section(says);
    const SideInput in{request, srtp_, dtls_, dtls_.backend->make_identity()};
    Side from(b, in);
    if (!Side::check_answer(section.media(), sdp::parse_protocol(b_profile_).secure, from.own_offer(), in))
      return false;
    from.take_address(section.media(), at(section));
    from.take_mux_answer();
    const Side::KeyedBy keyed = from.take_answer(section.media(), from.own_offer());
    Side to(a, in);
    to.answer_mux(b.mux_offered_to_peer ? std::optional(b.mux_used) : std::nullopt, false);
    to.answer_to(sdp::parse_protocol(a_profile_).secure, keyed != Side::KeyedBy::kNothing,
                 keyed == Side::KeyedBy::kSdes ? b.keys.get() : nullptr);
    return true;
  }
  /// What is agreed with a party: `plain`, or words such as `sdes shared dtls=active ice=controlled mux`.
  static std::string agreed(const MediaTransport& transport) {
    std::string text;
    const auto add = [&](bool is_it, const std::string& word) {
      if (is_it) text += (text.empty() ? "" : " ") + word;
    };
    add(transport.keys && transport.keys->in && transport.keys->out, "sdes");
    add(transport.keys && transport.keys->out_is_relayed, "shared");
    if (transport.is_keyed_by_dtls())
      add(true, transport.dtls->role == DtlsRole::kClient ? "dtls=active" : "dtls=passive");
    if (transport.has_ice()) add(true, transport.ice->controlling ? "ice=controlling" : "ice=controlled");
    add(transport.mux_used, "mux");
    return text.empty() ? "plain" : text;
  }

  MediaTransport a;
  MediaTransport b;

 private:
  Leg a_leg_;
  Leg b_leg_;
  static Endpoint at(const Section& section) {
    return {*section.media().connection, UdpPort{section.media().port}};
  }
  SrtpConfig srtp_;
  DtlsConfig dtls_;
  std::string a_profile_;
  std::string b_profile_;
};

const std::string kKeyA = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw";
const std::string kKeyB = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk";
const std::string kKeyC = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0";
std::string crypto(int tag, const std::string& key, const std::string& suite = "AES_CM_128_HMAC_SHA1_80") {
  return "a=crypto:" + std::to_string(tag) + " " + suite + " inline:" + key + "\r\n";
}
std::string dtls(const std::string& setup) {
  std::string octets = "AA";
  for (int i = 1; i < 32; ++i) octets += ":AA";
  return "a=fingerprint:sha-256 " + octets + "\r\na=setup:" + setup + "\r\n";
}
const std::string kIce = "a=ice-ufrag:Qz8d\r\na=ice-pwd:4hJk8LmN2pQrStUvWxYzAbCd\r\n";
const std::string kMux = "a=rtcp-mux\r\n";
const std::string kTls = "UDP/TLS/RTP/SAVPF";

using Wish = std::function<void(Request&)>;
struct Row {
  const char* name;
  Says offer;
  /// The profile that B is offered (`transport-protocol`, or that of the offer).
  std::string toward_b;
  /// Words of the request with the offer, and of that with the answer.
  Wish wishes;
  Wish of_answer;
  Says answer;
  /// Agreed with A and with B; empty: the answer is refused.
  std::string a;
  std::string b;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class OfferWishesAnswer : public ::testing::TestWithParam<Row> {};

TEST_P(OfferWishesAnswer, GiveTheTransports) {
  const Row& row = GetParam();
  TwoSides sides;
  Request request;
  if (row.wishes) row.wishes(request);
  sides.offer(row.offer, row.toward_b, request);
  Request of_answer;
  if (row.of_answer) row.of_answer(of_answer);
  const bool is_taken = sides.answer(row.answer, of_answer);
  EXPECT_EQ(is_taken, !row.a.empty()) << "SRT-13";
  if (!is_taken) return;
  EXPECT_EQ(TwoSides::agreed(sides.a), row.a);
  EXPECT_EQ(TwoSides::agreed(sides.b), row.b);
  if (!sides.a.keys || !sides.b.keys || !sides.a.keys->out || !sides.b.keys->out) return;
  // SRT-1, SRT-9: keys that are not shared are four different ones.
  const bool is_shared = sides.a.keys->out_is_relayed;
  EXPECT_EQ(is_shared, sides.b.keys->out_is_relayed) << "on both sides or on none";
  EXPECT_EQ(sides.a.keys->out->key_and_salt == sides.b.keys->in->key_and_salt, is_shared);
  EXPECT_EQ(sides.b.keys->out->key_and_salt == sides.a.keys->in->key_and_salt, is_shared);
}

const Wish kSdesOff = [](Request& r) { r.sdes.policy.off = true; };
const Wish kDtlsOff = [](Request& r) { r.dtls.off = true; };
const Wish kPreferSdes = [](Request& r) { r.sdes.is_preferred = true; };
const Wish kRecrypt = [](Request& r) { r.flags.set(static_cast<std::size_t>(Flag::kRecrypt)); };
const Wish kIceForce = [](Request& r) { r.ice.offer = IceWishes::Offer::kAlways; };
const Wish kIceRemove = [](Request& r) { r.ice.offer = IceWishes::Offer::kNever; };
const Wish kIceReject = [](Request& r) { r.ice.is_refused = true; };
const Wish kOsrtp = [](Request& r) { r.osrtp.offer = true; };
const Wish kOsrtpAccept = [](Request& r) { r.osrtp.accept = true; };
Wish mux(RtcpMux word) {
  return [word](Request& r) { r.rtcp_mux.set(static_cast<std::size_t>(word)); };
}
Wish both(Wish one, Wish other) {
  return [one = std::move(one), other = std::move(other)](Request& r) {
    one(r);
    other(r);
  };
}

INSTANTIATE_TEST_SUITE_P(
    Table, OfferWishesAnswer,
    ::testing::Values(
        Row{"PlainToPlain", {}, "RTP/AVP", {}, {}, {}, "plain", "plain"},
        // SDES from end to end: shared if both take the same line of the offerer.
        Row{"SharedKey",
            {"RTP/SAVP", crypto(1, kKeyA)},
            "RTP/SAVP",
            {},
            {},
            {"RTP/SAVP", crypto(1, kKeyB)},
            "sdes shared",
            "sdes shared"},
        Row{"ALineOfOurs",
            {"RTP/SAVP", crypto(1, kKeyA)},
            "RTP/SAVP",
            {},
            {},
            {"RTP/SAVP", crypto(9, kKeyB, "AES_CM_128_HMAC_SHA1_32")},
            "sdes",
            "sdes"},
        Row{"Recrypted",
            {"RTP/SAVP", crypto(1, kKeyA)},
            "RTP/SAVP",
            kRecrypt,
            {},
            {"RTP/SAVP", crypto(1, kKeyB)},
            "sdes",
            "sdes"},
        Row{"SuiteForTheOfferer",
            {"RTP/SAVP", crypto(1, kKeyA) + crypto(2, kKeyC, "AES_CM_128_HMAC_SHA1_32")},
            "RTP/SAVP",
            [](Request& r) { r.sdes.for_offerer = {"AES_CM_128_HMAC_SHA1_32"}; },
            {},
            {"RTP/SAVP", crypto(1, kKeyB)},
            "sdes",
            "sdes"},
        Row{"SRT13_PlainAnswer", {"RTP/SAVP", crypto(1, kKeyA)}, "RTP/SAVP", {}, {}, {}, "", ""},
        Row{"SRT13_NothingThatWasOffered",
            {"RTP/SAVP", crypto(1, kKeyA)},
            "RTP/SAVP",
            kSdesOff,
            {},
            {"RTP/SAVP", crypto(1, kKeyB)},
            "",
            ""},
        // A bridge between plain and encrypted parties.
        Row{"PlainToSdes", {}, "RTP/SAVP", {}, {}, {"RTP/SAVP", crypto(7, kKeyB)}, "plain", "sdes"},
        Row{"SdesToPlain", {"RTP/SAVP", crypto(1, kKeyA)}, "RTP/AVP", {}, {}, {}, "sdes", "plain"},
        Row{"PlainToDtls", {}, kTls, {}, {}, {kTls, dtls("active")}, "plain", "dtls=passive"},
        Row{"PlainToPassiveDtls", {}, kTls, {}, {}, {kTls, dtls("passive")}, "plain", "dtls=active"},
        Row{"DtlsToPlain", {kTls, dtls("actpass")}, "RTP/AVP", {}, {}, {}, "dtls=active", "plain"},
        Row{"DtlsToSdes",
            {kTls, dtls("actpass")},
            "RTP/SAVP",
            kDtlsOff,
            {},
            {"RTP/SAVP", crypto(7, kKeyB)},
            "dtls=active",
            "sdes"},
        Row{"SdesToDtls",
            {"RTP/SAVP", crypto(1, kKeyA)},
            kTls,
            kSdesOff,
            {},
            {kTls, dtls("active")},
            "sdes",
            "dtls=passive"},
        Row{"DtlsToDtls",
            {kTls, dtls("actpass")},
            kTls,
            {},
            {},
            {kTls, dtls("active")},
            "dtls=active",
            "dtls=passive"},
        // Both kinds of keys: DTLS, unless SDES is preferred.
        Row{"DtlsBeforeSdes",
            {"RTP/SAVP", crypto(1, kKeyA) + dtls("actpass")},
            "RTP/SAVP",
            {},
            {},
            {"RTP/SAVP", crypto(1, kKeyB) + dtls("active")},
            "dtls=active",
            "dtls=passive"},
        Row{"SdesPreferred",
            {"RTP/SAVP", crypto(1, kKeyA) + dtls("actpass")},
            "RTP/SAVP",
            kPreferSdes,
            kPreferSdes,
            {"RTP/SAVP", crypto(1, kKeyB) + dtls("active")},
            "sdes shared",
            "sdes shared"},
        Row{"SdesPreferredByTheAnswerAlone",
            {"RTP/SAVP", crypto(1, kKeyA) + dtls("actpass")},
            "RTP/SAVP",
            {},
            kPreferSdes,
            {"RTP/SAVP", crypto(1, kKeyB) + dtls("active")},
            "sdes shared",
            "sdes shared"},
        Row{"DtlsTakenFromNeitherSide",
            {"RTP/SAVP", crypto(1, kKeyA) + dtls("actpass")},
            "RTP/SAVP",
            {},
            kDtlsOff,
            {"RTP/SAVP", crypto(1, kKeyB) + dtls("active")},
            "sdes shared",
            "sdes shared"},
        // RFC 8643.
        Row{"OsrtpTaken",
            {"RTP/AVP", crypto(1, kKeyA)},
            "RTP/AVP",
            {},
            {},
            {"RTP/AVP", crypto(1, kKeyB)},
            "sdes shared",
            "sdes shared"},
        Row{"OsrtpDeclined", {"RTP/AVP", crypto(1, kKeyA)}, "RTP/AVP", {}, {}, {}, "plain", "plain"},
        Row{"OsrtpAcceptedWhateverTheAnswererDoes",
            {"RTP/AVP", crypto(1, kKeyA)},
            "RTP/AVP",
            kOsrtpAccept,
            {},
            {},
            "sdes",
            "plain"},
        Row{"OsrtpOfferedToB", {}, "RTP/AVP", kOsrtp, {}, {"RTP/AVP", crypto(7, kKeyB)}, "plain", "sdes"},
        Row{"OsrtpThatNobodyOffered", {}, "RTP/AVP", {}, {}, {"RTP/AVP", crypto(7, kKeyB)}, "plain", "plain"},
        // ICE of the two sides.
        Row{"IceToIce",
            {"RTP/AVP", kIce},
            "RTP/AVP",
            {},
            {},
            {"RTP/AVP", kIce},
            "ice=controlled",
            "ice=controlling"},
        Row{"IceDeclined", {"RTP/AVP", kIce}, "RTP/AVP", {}, {}, {}, "ice=controlled", "plain"},
        Row{"IceForced", {}, "RTP/AVP", kIceForce, {}, {"RTP/AVP", kIce}, "plain", "ice=controlling"},
        Row{"IceRemoved",
            {"RTP/AVP", kIce},
            "RTP/AVP",
            kIceRemove,
            {},
            {"RTP/AVP", kIce},
            "ice=controlled",
            "plain"},
        Row{"IceRejected",
            {"RTP/AVP", kIce},
            "RTP/AVP",
            both(kIceReject, kIceRemove),
            {},
            {},
            "plain",
            "plain"},
        // docs/reference/ng.md#rtcp-mux
        Row{"MuxToMux", {"RTP/AVP", kMux}, "RTP/AVP", {}, {}, {"RTP/AVP", kMux}, "mux", "mux"},
        Row{"MuxAsTheFarSideAnswered", {"RTP/AVP", kMux}, "RTP/AVP", {}, {}, {}, "plain", "plain"},
        Row{"MuxNotOfferedOn", {"RTP/AVP", kMux}, "RTP/AVP", mux(RtcpMux::kDemux), {}, {}, "mux", "plain"},
        Row{"MuxAcceptedWhateverTheAnswererDoes",
            {"RTP/AVP", kMux},
            "RTP/AVP",
            mux(RtcpMux::kAccept),
            {},
            {},
            "mux",
            "plain"},
        Row{"MuxRejected",
            {"RTP/AVP", kMux},
            "RTP/AVP",
            mux(RtcpMux::kReject),
            {},
            {"RTP/AVP", kMux},
            "plain",
            "mux"},
        Row{"MuxRejectedInTheAnswer",
            {"RTP/AVP", kMux},
            "RTP/AVP",
            {},
            mux(RtcpMux::kReject),
            {"RTP/AVP", kMux},
            "plain",
            "mux"},
        Row{"MuxOfferedByUsAlone",
            {},
            "RTP/AVP",
            mux(RtcpMux::kOffer),
            {},
            {"RTP/AVP", kMux},
            "plain",
            "mux"},
        Row{"OnePortIsMux",
            {"RTP/AVP", "a=rtcp:5000\r\n"},
            "RTP/AVP",
            {},
            {},
            {"RTP/AVP", kMux},
            "mux",
            "mux"},
        // A browser and a phone.
        Row{"BrowserToPhone",
            {kTls, dtls("actpass") + kIce + kMux},
            "RTP/AVP",
            both(kIceRemove, mux(RtcpMux::kDemux)),
            {},
            {},
            "dtls=active ice=controlled mux",
            "plain"},
        Row{"PhoneToBrowser",
            {},
            kTls,
            both(both(kSdesOff, kIceForce), mux(RtcpMux::kRequire)),
            {},
            {kTls, dtls("active") + kIce + kMux},
            "plain",
            "dtls=passive ice=controlling mux"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(OfferWishesAnswerAgain, SRT13_ARefusedAnswerChangesNothing) {
  TwoSides sides;
  sides.offer({"RTP/SAVP", crypto(1, kKeyA)}, "RTP/SAVP", {});
  ASSERT_TRUE(sides.answer({"RTP/SAVP", crypto(1, kKeyB)}, {}));
  const auto in = sides.b.keys->in;
  EXPECT_FALSE(sides.answer({"RTP/AVP", ""}, {}));
  EXPECT_EQ(sides.b.keys->in, in);
  EXPECT_EQ(TwoSides::agreed(sides.a), "sdes shared");
}

TEST(OfferWishesAnswerAgain, AReOfferChangesNothingUntilItsAnswer) {
  TwoSides sides;
  const Says browser{kTls, dtls("actpass") + kIce + kMux};
  sides.offer(browser, kTls, {});
  ASSERT_TRUE(sides.answer({kTls, dtls("active") + kIce + kMux}, {}));
  const std::string a = TwoSides::agreed(sides.a);
  const std::string b = TwoSides::agreed(sides.b);
  EXPECT_EQ(a, "dtls=active ice=controlled mux");
  EXPECT_EQ(b, "dtls=passive ice=controlling mux");
  sides.offer({"RTP/SAVP", crypto(1, kKeyA)}, "RTP/SAVP", {});
  EXPECT_EQ(TwoSides::agreed(sides.a), a);
  EXPECT_EQ(TwoSides::agreed(sides.b), b);
  ASSERT_TRUE(sides.answer({"RTP/SAVP", crypto(1, kKeyB)}, {}));
  EXPECT_EQ(TwoSides::agreed(sides.a), "sdes shared");
}

}  // namespace
}  // namespace ferry::test::two_sides_test
