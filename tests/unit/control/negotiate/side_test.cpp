// SPDX-License-Identifier: Apache-2.0
// One table: what a party is offered or offers, what the request wishes, what is answered, and the transport
// that follows. Neither a worker nor a protocol is linked.
#include "control/negotiate/side.hpp"

#include "control/sdp/sdp.hpp"
#include "tests/support/paper_dtls.hpp"

#include <algorithm>
#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

constexpr const char* kKey = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
constexpr const char* kFingerprint =
    "a=fingerprint:sha-256 "
    "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:"
    "77:88:99\r\n";
constexpr const char* kIce =
    "a=ice-ufrag:Qz8d\r\na=ice-pwd:4hJk8LmN2pQrStUvWxYzAbCd\r\na=candidate:1 1 UDP 2130706431 198.51.100.7 "
    "5000 "
    "typ host\r\n";

/// The transport of one party, and our port for it.
class OneParty {
 public:
  OneParty() {
    LocalPorts ports;
    ports.local = &local_;
    ports.port = UdpPort{30000};
    transport.ports.push_back(std::move(ports));
    transport.leg = &leg;
    dtls_.backend = std::make_shared<PaperBackend>();
  }
  [[nodiscard]] SideInput input() const { return {request, srtp_, dtls_, dtls_.backend->make_identity()}; }

  /// `profile` and `lines` of an SDP of the party; it lives until the next one.
  const sdp::MediaSection& says(const std::string& profile, const std::string& lines) {
    text_ = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 5000 " +
            profile + " 8\r\n" + lines;
    session_ = sdp::parse(text_).value();
    return session_.media.front();
  }
  /// We offer; what the party is shown.
  sdp::SectionEdit offer(const Side::Offer& offer) {
    const SideInput in = input();
    Side side(transport, in);
    side.offer_mux(false);
    side.offer_to(offer);
    return shown(false);
  }
  void answered(const std::string& profile, const std::string& lines) {
    const SideInput in = input();
    Side side(transport, in);
    const sdp::MediaSection& section = says(profile, lines);
    side.take_address(section, {*section.connection, UdpPort{section.port}});
    side.take_mux_answer();
    side.take_answer(section, side.own_offer());
  }
  /// The party offers and is answered; what it is shown.
  sdp::SectionEdit answer(const std::string& profile, const std::string& lines) {
    const SideInput in = input();
    Side side(transport, in);
    const sdp::MediaSection& section = says(profile, lines);
    side.take_address(section, {*section.connection, UdpPort{section.port}});
    side.take_mux_offer();
    side.answer_mux(std::nullopt, false);
    side.take_offer(section, false);
    side.answer_to(section.protocol.secure, true, nullptr);
    return shown(true);
  }
  [[nodiscard]] sdp::SectionEdit shown(bool is_answer) const {
    sdp::SectionEdit edit;
    const SideInput in = input();
    Side(const_cast<MediaTransport&>(transport), in).print(edit, is_answer, {{"candidate of ours"}, {}});
    return edit;
  }
  /// What is agreed on, in words: `sdes dtls=active ice mux`, `plain` if none of them.
  [[nodiscard]] std::string agreed() const {
    std::string text;
    const auto add = [&](bool is_it, const std::string& word) {
      if (is_it) text += (text.empty() ? "" : " ") + word;
    };
    add(transport.keys && transport.keys->in && transport.keys->out, "sdes");
    if (transport.is_keyed_by_dtls())
      add(true, transport.dtls->role == DtlsRole::kClient ? "dtls=active" : "dtls=passive");
    if (transport.has_ice()) add(true, transport.ice->controlling ? "ice=controlling" : "ice=controlled");
    add(transport.mux_used, "mux");
    return text.empty() ? "plain" : text;
  }
  /// The lines of a section in the same words.
  static std::string in_words(const sdp::SectionEdit& edit) {
    std::string text;
    const auto add = [&](bool is_it, const std::string& word) {
      if (is_it) text += (text.empty() ? "" : " ") + word;
    };
    add(!edit.crypto.empty(), "sdes");
    add(!edit.dtls.setup.empty(), "dtls=" + edit.dtls.setup);
    add(!edit.ice.ufrag.empty(), "ice");
    add(edit.rtcp_mux, "mux");
    return text.empty() ? "plain" : text;
  }

  Leg leg;
  MediaTransport transport;
  Request request;

 private:
  LocalAddress local_{*IpAddress::parse("192.0.2.1"), *IpAddress::parse("192.0.2.1"), nullptr, 0};
  SrtpConfig srtp_;
  DtlsConfig dtls_;
  std::string text_;
  sdp::Session session_;
};

std::string crypto(int tag = 1) {
  return "a=crypto:" + std::to_string(tag) + " AES_CM_128_HMAC_SHA1_80 inline:" + kKey + "\r\n";
}
std::string fingerprint(const std::string& setup) { return kFingerprint + ("a=setup:" + setup + "\r\n"); }
void want(Request& request, RtcpMux word) { request.rtcp_mux.set(static_cast<std::size_t>(word)); }

/// A party offers.
struct OfferRow {
  const char* name;
  std::string profile;
  std::string lines;
  std::function<void(Request&)> wish;
  /// Both agreed on, and shown to the party.
  std::string agreed;
  std::string shown;
};
void PrintTo(const OfferRow& row, std::ostream* out) { *out << row.name; }

class OfferOfAParty : public ::testing::TestWithParam<OfferRow> {};

TEST_P(OfferOfAParty, IsAnswered) {
  const OfferRow& row = GetParam();
  OneParty party;
  if (row.wish) row.wish(party.request);
  const sdp::SectionEdit shown = party.answer(row.profile, row.lines);
  EXPECT_EQ(party.agreed(), row.agreed);
  EXPECT_EQ(OneParty::in_words(shown), row.shown);
  EXPECT_EQ(shown.rtcp_port, party.transport.mux_used ? 30000 : 30001);
}

const std::string kTls = "UDP/TLS/RTP/SAVPF";
INSTANTIATE_TEST_SUITE_P(
    Table, OfferOfAParty,
    ::testing::Values(OfferRow{"Plain", "RTP/AVP", "", {}, "plain", "plain"},
                      OfferRow{"Sdes", "RTP/SAVP", crypto(), {}, "sdes", "sdes"},
                      OfferRow{"SdesOnAPlainProfile", "RTP/AVP", crypto(), {}, "sdes", "sdes"},
                      OfferRow{"Browser",
                               kTls,
                               fingerprint("actpass") + kIce + "a=rtcp-mux\r\n",
                               {},
                               "dtls=active ice=controlled mux",
                               "dtls=active ice mux"},
                      OfferRow{"DtlsActive", kTls, fingerprint("active"), {}, "dtls=passive", "dtls=passive"},
                      OfferRow{"DtlsPassive", kTls, fingerprint("passive"), {}, "dtls=active", "dtls=active"},
                      OfferRow{"WeWait", kTls, fingerprint("actpass"),
                               [](Request& r) { r.dtls.passive = true; }, "dtls=passive", "dtls=passive"},
                      OfferRow{"DtlsBeforeSdes",
                               "RTP/SAVP",
                               crypto() + fingerprint("actpass"),
                               {},
                               "dtls=active",
                               "dtls=active"},
                      OfferRow{"SdesPreferred", "RTP/SAVP", crypto() + fingerprint("actpass"),
                               [](Request& r) { r.sdes.is_preferred = true; }, "sdes", "sdes"},
                      OfferRow{"DtlsOff", "RTP/SAVP", crypto() + fingerprint("actpass"),
                               [](Request& r) { r.dtls.off = true; }, "sdes", "sdes"},
                      OfferRow{"IceAlone", "RTP/AVP", kIce, {}, "ice=controlled", "ice"},
                      OfferRow{"IceRefused", kTls, fingerprint("actpass") + kIce,
                               [](Request& r) { r.ice.is_refused = true; }, "dtls=active", "dtls=active"},
                      OfferRow{
                          "IceWithoutAPassword", "RTP/AVP", "a=ice-ufrag:Qz8d\r\n", {}, "plain", "plain"},
                      OfferRow{"MuxRejected", "RTP/AVP", "a=rtcp-mux\r\n",
                               [](Request& r) { want(r, RtcpMux::kReject); }, "plain", "plain"},
                      OfferRow{"MuxAcceptWins", "RTP/AVP", "a=rtcp-mux\r\n",
                               [](Request& r) {
                                 want(r, RtcpMux::kReject);
                                 want(r, RtcpMux::kAccept);
                               },
                               "mux", "mux"},
                      OfferRow{"MuxIsNotThere", "RTP/AVP", "", [](Request& r) { want(r, RtcpMux::kAccept); },
                               "plain", "plain"}),
    [](const auto& each) { return std::string(each.param.name); });

/// We offer, and the party answers.
struct AnswerRow {
  const char* name;
  bool is_secure;
  bool is_opportunistic;
  bool has_ice;
  std::function<void(Request&)> wish;
  std::string shown;
  std::string profile;
  std::string lines;
  std::string agreed;
};
void PrintTo(const AnswerRow& row, std::ostream* out) { *out << row.name; }

class OfferToAParty : public ::testing::TestWithParam<AnswerRow> {};

TEST_P(OfferToAParty, IsTaken) {
  const AnswerRow& row = GetParam();
  OneParty party;
  if (row.wish) row.wish(party.request);
  Side::Offer offer;
  offer.is_secure = row.is_secure;
  offer.is_opportunistic = row.is_opportunistic;
  offer.has_ice = row.has_ice;
  offer.has_dtls = !party.request.dtls.off;
  offer.sdes = party.request.sdes.policy;
  EXPECT_EQ(OneParty::in_words(party.offer(offer)), row.shown);
  EXPECT_EQ(party.agreed(), has(party.request.rtcp_mux, RtcpMux::kRequire) ? "mux" : "plain")
      << "nothing else before the answer";
  party.answered(row.profile, row.lines);
  EXPECT_EQ(party.agreed(), row.agreed);
}

const auto kOffered = [](Request& r) { want(r, RtcpMux::kOffer); };
const auto kRequired = [](Request& r) { want(r, RtcpMux::kRequire); };
INSTANTIATE_TEST_SUITE_P(
    Table, OfferToAParty,
    ::testing::Values(
        AnswerRow{"Plain", false, false, false, {}, "plain", "RTP/AVP", "", "plain"},
        AnswerRow{"BothAreOffered",
                  true,
                  false,
                  false,
                  {},
                  "sdes dtls=actpass",
                  "RTP/SAVP",
                  fingerprint("active"),
                  "dtls=passive"},
        AnswerRow{"SdesIsTaken", true, false, false, {}, "sdes dtls=actpass", "RTP/SAVP", crypto(7), "sdes"},
        AnswerRow{"DtlsBeforeSdes",
                  true,
                  false,
                  false,
                  {},
                  "sdes dtls=actpass",
                  "RTP/SAVP",
                  crypto(7) + fingerprint("passive"),
                  "dtls=active"},
        AnswerRow{"SdesPreferred", true, false, false, [](Request& r) { r.sdes.is_preferred = true; },
                  "sdes dtls=actpass", "RTP/SAVP", crypto(7) + fingerprint("passive"), "sdes"},
        AnswerRow{"DtlsOff", true, false, false, [](Request& r) { r.dtls.off = true; }, "sdes", "RTP/SAVP",
                  crypto(7) + fingerprint("passive"), "sdes"},
        AnswerRow{"SdesOff", true, false, false, [](Request& r) { r.sdes.policy.off = true; }, "dtls=actpass",
                  kTls, fingerprint("active"), "dtls=passive"},
        AnswerRow{
            "KeysOnAPlainProfile", false, true, false, {}, "sdes dtls=actpass", "RTP/AVP", crypto(7), "sdes"},
        AnswerRow{"KeysOnAPlainProfileDeclined",
                  false,
                  true,
                  false,
                  {},
                  "sdes dtls=actpass",
                  "RTP/AVP",
                  "",
                  "plain"},
        AnswerRow{"Ice", false, false, true, {}, "ice", "RTP/AVP", kIce, "ice=controlling"},
        AnswerRow{"IceDeclined", false, false, true, {}, "ice", "RTP/AVP", "", "plain"},
        AnswerRow{"IceThatNobodyOffered", false, false, false, {}, "plain", "RTP/AVP", kIce, "plain"},
        AnswerRow{"Browser", true, false, true, kRequired, "sdes dtls=actpass ice mux", kTls,
                  fingerprint("active") + kIce + "a=rtcp-mux\r\n", "dtls=passive ice=controlling mux"},
        AnswerRow{"MuxTaken", false, false, false, kOffered, "mux", "RTP/AVP", "a=rtcp-mux\r\n", "mux"},
        AnswerRow{"MuxDeclined", false, false, false, kOffered, "mux", "RTP/AVP", "", "plain"},
        AnswerRow{"MuxRequiredAndDeclined", false, false, false, kRequired, "mux", "RTP/AVP", "", "plain"},
        AnswerRow{
            "MuxThatNobodyOffered", false, false, false, {}, "plain", "RTP/AVP", "a=rtcp-mux\r\n", "plain"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(SideAgain, AnOfferOfPlainMediaHasNoLineOfAnEarlierOne) {
  OneParty party;
  Side::Offer offer;
  offer.is_secure = offer.has_ice = true;
  party.offer(offer);
  EXPECT_EQ(OneParty::in_words(party.offer({})), "plain");
  party.answered("RTP/AVP", fingerprint("active") + kIce);
  EXPECT_EQ(party.agreed(), "plain");
}

TEST(SideAgain, WhatWasAgreedStaysUntilTheNextAnswer) {
  OneParty party;
  Side::Offer offer;
  offer.is_secure = offer.has_ice = true;
  want(party.request, RtcpMux::kOffer);
  const std::string lines = fingerprint("active") + kIce + "a=rtcp-mux\r\n";
  party.offer(offer);
  party.answered(kTls, lines);
  const IceCredentials own = party.transport.ice->own;
  const std::string tls_id = party.transport.dtls->tls_id;
  party.request = {};
  EXPECT_EQ(OneParty::in_words(party.offer(offer)), "sdes dtls=actpass ice mux") << "rtcp-mux is in use";
  EXPECT_EQ(party.agreed(), "dtls=passive ice=controlling mux");
  party.answered(kTls, lines);
  EXPECT_EQ(party.transport.ice->own, own);
  EXPECT_EQ(party.transport.dtls->tls_id, tls_id);
  party.answered("RTP/SAVP", crypto(7));
  EXPECT_EQ(party.agreed(), "sdes");
}

TEST(SideAgain, SRT13_AnAnswerThatTakesLessIsRefused) {
  OneParty party;
  Side::Offer offer;
  offer.is_secure = true;
  party.offer(offer);
  const SideInput in = party.input();
  const auto judge = [&](const std::string& profile, const std::string& lines) {
    return Side::check_answer(party.says(profile, lines), true, Side(party.transport, in).own_offer(), in)
        .has_value();
  };
  EXPECT_FALSE(judge("RTP/AVP", ""));
  EXPECT_FALSE(judge("RTP/SAVP", ""));
  EXPECT_TRUE(judge("RTP/SAVP", crypto(7)));
  EXPECT_TRUE(judge(kTls, fingerprint("active")));
}

TEST(SideAgain, AWayToThePartyIsAnAddressOrIce) {
  OneParty party;
  const SideInput in = party.input();
  Side side(party.transport, in);
  const Endpoint nowhere{IpAddress::unspecified(AddressFamily::kIpv4), UdpPort{9}};
  EXPECT_FALSE(side.take_address(party.says("RTP/AVP", ""), nowhere)) << "hold";
  EXPECT_FALSE(party.transport.remote_known);
  EXPECT_TRUE(side.take_address(party.says("RTP/AVP", kIce), nowhere)) << "candidates say where it is";
  EXPECT_TRUE(party.transport.remote_known);
  EXPECT_FALSE(party.transport.remote_rtp.is_set());
}

TEST(SideAgain, ICE8_ALiteAgentSaysSoToWhomItIsLite) {
  for (const bool is_lite : {true, false}) {
    OneParty offered;
    offered.leg.keep_ice_lite(is_lite);
    EXPECT_EQ(offered.offer({.has_ice = true}).ice.is_lite, is_lite);
    OneParty answered;
    answered.leg.keep_ice_lite(is_lite);
    EXPECT_EQ(answered.answer("RTP/AVP", kIce).ice.is_lite, is_lite);
    // A party of which another section has ICE in use already sees one kind of agent.
    OneParty joined;
    joined.leg.add_transport().ensure_ice().in_use = true;
    joined.leg.keep_ice_lite(is_lite);
    EXPECT_FALSE(joined.answer("RTP/AVP", kIce).ice.is_lite);
  }
}

TEST(SideAgain, Ice2IsSaidInOffers) {
  OneParty party;
  party.request.ice.says_ice2 = true;
  EXPECT_TRUE(party.offer({.has_ice = true}).ice.says_ice2);
  EXPECT_FALSE(party.answer("RTP/AVP", kIce).ice.says_ice2);
}

TEST(SideAgain, APortWithoutAnRtcpPortTakesTheMuxThatTheOtherSideDeclined) {
  for (const bool has_one_port : {false, true}) {
    for (const bool is_refused : {false, true}) {
      OneParty party;
      if (is_refused) want(party.request, RtcpMux::kReject);
      party.transport.mux_offered_by_peer = true;
      const SideInput in = party.input();
      Side(party.transport, in).answer_mux(false, has_one_port);
      EXPECT_EQ(party.transport.mux_used, has_one_port && !is_refused);
    }
  }
}

TEST(SideAgain, IceIsOfferedByWishCustomAndMemory) {
  using Wish = IceWishes::Offer;
  MediaTransport transport;
  for (const MediaTransport* known :
       {static_cast<const MediaTransport*>(nullptr), &std::as_const(transport)}) {
    EXPECT_TRUE(offers_ice(known, Wish::kAlways, false, false));
    EXPECT_FALSE(offers_ice(known, Wish::kNever, true, false));
    EXPECT_TRUE(offers_ice(known, Wish::kAsOffered, true, false));
    EXPECT_FALSE(offers_ice(known, Wish::kAsOffered, false, false));
    // Without ICE of the offerer, that of the parties is the relay's, or none.
    EXPECT_TRUE(offers_ice(known, Wish::kBeside, false, false));
    EXPECT_FALSE(offers_ice(known, Wish::kRelayed, false, false));
  }
  transport.ensure_ice().was_declined = true;
  EXPECT_FALSE(offers_ice(&transport, Wish::kAlways, true, false));
  EXPECT_TRUE(offers_ice(&transport, Wish::kAlways, true, true));
}

}  // namespace
}  // namespace ferry::test
