// SPDX-License-Identifier: Apache-2.0
// What each word of a key means (docs/reference/ng.md). A word that nobody knows is listed and changes
// nothing else.
#include "control/protocol/ng/request_words.hpp"

#include "control/protocol/ng/request_parser.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::request_words_test {
namespace {

using Words = std::vector<std::string>;

Request parse(const char* key, Value value) {
  Dict dict;
  dict.set(key, std::move(value));
  return ng::parse_request(dict);
}

bool lite(const Request& r, std::optional<bool> to_receiver, std::optional<bool> to_sender) {
  return r.ice.is_lite_to_receiver == to_receiver && r.ice.is_lite_to_sender == to_sender;
}

/// A key and its value, and what the request must be then.
struct Row {
  const char* name;
  const char* key;
  Value value;
  std::function<bool(const Request&)> holds;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class WordRows : public testing::TestWithParam<Row> {};

TEST_P(WordRows, MeansWhatTheReferenceSays) {
  const Request made = parse(GetParam().key, GetParam().value);
  EXPECT_TRUE(GetParam().holds(made));
  EXPECT_FALSE(GetParam().holds(Request{})) << "it would hold without the word";
  EXPECT_EQ(made.unknown_keys, Words{});
  EXPECT_EQ(made.unknown_flags, Words{});
  EXPECT_FALSE(made.option_fault);
}

using R = const Request&;
const Row kRows[] = {
    {"ReplaceOriginFull", "replace", "origin-full",
     [](R r) {
       return has(r.replaces, Replace::kOrigin) && has(r.replaces, Replace::kSdpVersion) &&
              has(r.replaces, Replace::kUsername) && r.replaces.count() == 3;
     }},
    {"ReplaceZeroAddress", "replace", "zero address",
     [](R r) { return has(r.replaces, Replace::kZeroAddress); }},
    {"ReplaceVersionAlways", "replace", "force-increment-sdp-ver",
     [](R r) { return has(r.replaces, Replace::kForceIncrementVersion) && r.replaces.count() == 1; }},
    {"OutputDest", "output-dest", "x", [](R r) { return r.destination == "x"; }},
    {"RecordingDest", "recording-dest", "x", [](R r) { return r.recording_file == "x"; }},
    {"OutputDir", "output-dir", "x", [](R r) { return r.recording_dir == "x"; }},
    {"OutputDirectory", "output-directory", "x", [](R r) { return r.recording_dir == "x"; }},
    {"OutputFolder", "output-folder", "x", [](R r) { return r.recording_dir == "x"; }},
    {"OutputPath", "output-path", "x", [](R r) { return r.recording_dir == "x"; }},
    {"T38Version", "t38-version", std::int64_t{3}, [](R r) { return r.fax.version == 3; }},
    {"EndTriggerTime", "end-trigger-time", std::int64_t{5}, [](R r) { return r.guard.end_ms == 5; }},
    {"EndTriggerDigits", "end-trigger-digits", std::int64_t{5}, [](R r) { return r.guard.end_digits == 5; }},
    {"Mixed", "flags", List{"mixed"}, [](R r) { return r.has_flag(Flag::kMix); }},
    {"AsymmetricCodec", "flags", List{"allow-asymmetric-codec"},
     [](R r) { return r.has_flag(Flag::kAllowAsymmetricCodecs); }},
    {"NoCodecMedias", "flags", List{"allow-no-codec-medias"},
     [](R r) { return r.has_flag(Flag::kAllowNoCodecMedia); }},
    {"EmptyCodecMedias", "flags", List{"allow-empty-codec-medias"},
     [](R r) { return r.has_flag(Flag::kAllowNoCodecMedia); }},
    {"StaticCodec", "flags", List{"static-codec"}, [](R r) { return r.has_flag(Flag::kStaticCodecs); }},
    {"MuxDemux", "rtcp-mux", "demux",
     [](R r) { return has(r.rtcp_mux, RtcpMux::kDemux) && r.rtcp_mux.count() == 1; }},
    {"MuxSeveral", "rtcp-mux", "offer, require",
     [](R r) {
       return has(r.rtcp_mux, RtcpMux::kOffer) && has(r.rtcp_mux, RtcpMux::kRequire) &&
              r.rtcp_mux.count() == 2;
     }},
    {"LearningOff", "endpoint-learning", "off", [](R r) { return r.latch == LatchPolicy::kOff; }},
    {"LearningHeuristic", "endpoint-learning", "heuristic",
     [](R r) { return r.learning == LearningAlgorithm::kHeuristic && !r.latch; }},
    {"LearningDelayed", "endpoint-learning", "Delayed",
     [](R r) { return r.learning == LearningAlgorithm::kDelayed; }},
    {"LearningImmediate", "endpoint-learning", "immediate",
     [](R r) { return r.learning == LearningAlgorithm::kImmediate; }},
    {"LatchAny", "latch", "any", [](R r) { return r.latch == LatchPolicy::kAny; }},
    {"StrictTypesNo", "strict-payload-types", "no", [](R r) { return r.strict_payload_types == false; }},
    {"PassthroughYes", "passthrough-unknown", "on", [](R r) { return r.passthrough_unknown == true; }},
    {"RecordYes", "record-call", "true", [](R r) { return r.record == RecordCall::kYes; }},
    {"RecordNo", "record-call", "off", [](R r) { return r.record == RecordCall::kNo; }},
    {"RecordDiscard", "record-call", "discard", [](R r) { return r.record == RecordCall::kDiscard; }},
    {"SdesOff", "SDES", "disable", [](R r) { return r.sdes.policy.off; }},
    {"SdesWithout", "SDES", "no-AES_CM_128_HMAC_SHA1_32",
     [](R r) { return r.sdes.policy.without == Words{"AES_CM_128_HMAC_SHA1_32"} && !r.sdes.policy.off; }},
    {"SdesOnly", "SDES", "only-AEAD_AES_256_GCM",
     [](R r) { return r.sdes.policy.only == Words{"AEAD_AES_256_GCM"}; }},
    {"SdesOrder", "SDES", "order:AES_CM_128_HMAC_SHA1_80;AEAD_AES_128_GCM",
     [](R r) {
       return r.sdes.policy.order == Words{"AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"};
     }},
    {"SdesOfferer", "SDES", "offerer_pref:AEAD_AES_128_GCM;AES_256_CM_HMAC_SHA1_80",
     [](R r) {
       return r.sdes.for_offerer == Words{"AEAD_AES_128_GCM", "AES_256_CM_HMAC_SHA1_80"};
     }},
    {"SdesNoNew", "SDES", "nonew", [](R r) { return r.sdes.policy.no_new; }},
    {"SdesPad", "SDES", "pad", [](R r) { return r.sdes.style.pad && !r.sdes.style.lifetime; }},
    {"SdesLifetime", "SDES", "lifetime", [](R r) { return r.sdes.style.lifetime; }},
    {"SdesStatic", "SDES", "static", [](R r) { return r.sdes.keeps_suite; }},
    {"SdesPrefer", "SDES", "priority", [](R r) { return r.sdes.is_preferred; }},
    {"SRT12_PlainSrtpIsNotInForce", "SDES", "unencrypted_srtp",
     [](R r) { return r.not_in_force == Words{"sdes-unencrypted-srtp"}; }},
    {"DtlsOff", "DTLS", "off", [](R r) { return r.dtls.off; }},
    {"DtlsPassive", "DTLS", "passive", [](R r) { return r.dtls.passive == true; }},
    {"DtlsActive", "DTLS-reverse", "active", [](R r) { return r.dtls.passive == false; }},
    {"Fingerprint", "DTLS-fingerprint", "SHA-512",
     [](R r) { return r.dtls.hash == FingerprintHash::kSha512; }},
    {"IceForceAndTrickle", "ICE", "force,trickle",
     [](R r) { return r.ice.offer == IceWishes::Offer::kAlways && r.ice.trickles; }},
    {"Ice2", "ICE", "ice2", [](R r) { return r.ice.says_ice2; }},
    {"IceRemove", "ICE", "remove", [](R r) { return r.ice.offer == IceWishes::Offer::kNever; }},
    {"IceOptional", "ICE", "optional", [](R r) { return r.ice.offer == IceWishes::Offer::kBeside; }},
    {"IceForceRelay", "ICE", "force_relay", [](R r) { return r.ice.offer == IceWishes::Offer::kRelayed; }},
    {"IceLite", "ICE", "lite", [](R r) { return lite(r, true, {}); }},
    {"IceLiteFwd", "ICE", "lite-fwd", [](R r) { return lite(r, true, {}); }},
    {"IceLiteForward", "ICE", "force,lite_forward", [](R r) { return lite(r, true, {}); }},
    {"IceLiteOffer", "ICE", "lite-offer", [](R r) { return lite(r, true, {}); }},
    {"IceLiteBackward", "ICE", "lite backward", [](R r) { return lite(r, {}, true); }},
    {"IceLiteBkw", "ICE", "lite-bkw", [](R r) { return lite(r, {}, true); }},
    {"IceLiteAnswer", "ICE", "lite-answer", [](R r) { return lite(r, {}, true); }},
    {"IceLiteBoth", "ICE", "lite-both", [](R r) { return lite(r, true, true); }},
    {"IceNoLite", "ICE", "no-lite", [](R r) { return lite(r, false, false); }},
    {"IceLiteOff", "ICE", "lite-off", [](R r) { return lite(r, false, false); }},
    {"KeyIceLiteForward", "ICE-lite", "forward", [](R r) { return lite(r, true, {}); }},
    {"KeyIceLiteBackward", "ICE-lite", "backward", [](R r) { return lite(r, {}, true); }},
    {"KeyIceLiteBoth", "ICE-lite", "both", [](R r) { return lite(r, true, true); }},
    {"KeyIceLiteOff", "ice_lite", "off", [](R r) { return lite(r, false, false); }},
    {"OsrtpOffer", "OSRTP", "offer-RFC",
     [](R r) { return r.osrtp.offer && !r.osrtp.offer_doubled && !r.osrtp.accept; }},
    {"OsrtpOfferLegacy", "OSRTP", "offer-legacy",
     [](R r) { return r.osrtp.offer_doubled && !r.osrtp.offer; }},
    {"OsrtpAcceptRfc", "OSRTP", "accept-RFC", [](R r) { return r.osrtp.accept && !r.osrtp.accept_doubled; }},
    {"OsrtpAcceptBoth", "OSRTP", "accept", [](R r) { return r.osrtp.accept && r.osrtp.accept_doubled; }},
    {"FamilySix", "address-family", "ip6", [](R r) { return r.address_family == AddressFamily::kIpv6; }},
    {"AllFlows", "all", "flows", [](R r) { return r.all == AllParties::kFlows; }},
    {"AllNonOfferAnswer", "all", "non-offer-answer",
     [](R r) { return r.all == AllParties::kExceptOfferAnswer; }},
    {"AliasByAddress", "alias-key", "endpoint", [](R r) { return r.alias_key == AliasKey::kAddress; }},
    {"AliasBySdp", "alias-key", "sdp", [](R r) { return r.alias_key == AliasKey::kSdp; }},
    {"EchoSinkhole", "media-echo", "sinkhole", [](R r) { return r.echo == MediaEcho::kBlackhole; }},
    {"EchoForward", "media-echo", "forward", [](R r) { return r.echo == MediaEcho::kForward; }},
    {"EchoBackwards", "media-echo", "backwards", [](R r) { return r.echo == MediaEcho::kBackwards; }},
    {"EchoBoth", "media-echo", "both", [](R r) { return r.echo == MediaEcho::kBoth; }},
    {"EchoNone", "media-echo", "no", [](R r) { return r.echo == MediaEcho::kOff; }},
    {"PlayerForce", "audio-player", "force", [](R r) { return r.audio_player == AudioPlayer::kAlways; }},
    {"PlayerAlways", "player", "always", [](R r) { return r.audio_player == AudioPlayer::kAlways; }},
    {"PlayerOn", "audio-player", "on", [](R r) { return r.audio_player == AudioPlayer::kTranscoding; }},
    {"PlayerOff", "audio player", "off", [](R r) { return r.audio_player == AudioPlayer::kOff; }},
    {"PlayerDefault", "audio-player", "default", [](R r) { return r.audio_player == AudioPlayer::kDefault; }},
    {"PlayerFlag", "flags", "player", [](R r) { return r.audio_player == AudioPlayer::kTranscoding; }},
    {"NoPlayerFlag", "flags", "no-audio-player", [](R r) { return r.audio_player == AudioPlayer::kOff; }},
    {"TrafficStops", "drop-traffic", "start", [](R r) { return r.drop_traffic == true; }},
    {"TrafficGoesOn", "drop-traffic", "stop", [](R r) { return r.drop_traffic == false; }},
    {"TrafficBothStops", "drop-traffic", "start,stop", [](R r) { return r.drop_traffic == true; }},
    {"TrafficBothStopsInAnyOrder", "drop-traffic", "stop,start", [](R r) { return r.drop_traffic == true; }},
    {"ReportsOn", "generate-RTCP", "on", [](R r) { return r.generate_rtcp == true; }},
    {"ReportsOff", "generate RTCP", "off", [](R r) { return r.generate_rtcp == false; }},
    {"FlagOfReports", "flags", "generate-RTCP", [](R r) { return r.generate_rtcp == true; }},
    {"MediaRemoveOther", "sdp-media-remove", Value(List{Value("video"), Value("other")}),
     [](R r) {
       return r.media_remove == Words{"video", "other"};
     }},
    {"FlagOfACodec", "flags", "codec-strip-G729--a", [](R r) { return r.codecs.strip == Words{"G729=a"}; }},
    {"FlagOfACodecToTranscode", "flags", "transcode-opus",
     [](R r) { return r.codecs.transcode == Words{"opus"}; }},
    {"FlagOfSdes", "flags", "SDES-only-AEAD_AES_128_GCM",
     [](R r) { return r.sdes.policy.only == Words{"AEAD_AES_128_GCM"}; }},
    {"FlagOfOsrtp", "flags", "OSRTP-accept", [](R r) { return r.osrtp.accept && r.osrtp.accept_doubled; }},
    {"FlagOfMux", "flags", "rtcp-mux-reject", [](R r) { return has(r.rtcp_mux, RtcpMux::kReject); }},
    {"FlagOfReplace", "flags", "replace-username", [](R r) { return has(r.replaces, Replace::kUsername); }},
    {"FlagOfLearning", "flags", "endpoint-learning-immediate",
     [](R r) { return r.learning == LearningAlgorithm::kImmediate; }},
    {"FlagOfFromTags", "flags", "from-tags-a--b", [](R r) { return r.from_tags == Words{"a=b"}; }},
    {"FlagStripExtmap", "flags", "strip-extmap", [](R r) { return r.extmap_strip == Words{"all"}; }},
    {"FlagIceReject", "flags", "reject-ICE", [](R r) { return r.ice.is_refused; }},
    {"FlagAll", "flags", "all", [](R r) { return r.all == AllParties::kAll && r.has_flag(Flag::kAll); }},
    {"FlagWebRtc", "flags", "WebRTC",
     [](R r) {
       return r.transport_protocol == "UDP/TLS/RTP/SAVPF" && r.ice.offer == IceWishes::Offer::kAlways &&
              r.ice.trickles && r.sdes.policy.off && has(r.rtcp_mux, RtcpMux::kOffer) &&
              has(r.rtcp_mux, RtcpMux::kRequire) && r.has_flag(Flag::kNoRtcpAttribute) &&
              r.has_flag(Flag::kGenerateMid) && has(r.bundle, Bundle::kOffer) &&
              has(r.bundle, Bundle::kRequire) && !has(r.bundle, Bundle::kStrict);
     }},
    {"Bundle", "bundle", "accept, strict",
     [](R r) {
       return has(r.bundle, Bundle::kAccept) && has(r.bundle, Bundle::kStrict) && r.bundle.count() == 2;
     }},
    {"FlagBundle", "flags", "BUNDLE-require", [](R r) { return has(r.bundle, Bundle::kRequire); }},
    {"FlagBundleReject", "flags", "bundle reject", [](R r) { return has(r.bundle, Bundle::kReject); }},
};
INSTANTIATE_TEST_SUITE_P(Reference, WordRows, testing::ValuesIn(kRows),
                         [](const auto& each) { return std::string(each.param.name); });

/// A word that nobody knows, and how it is listed.
struct UnknownRow {
  const char* key;
  const char* word;
  const char* listed;
};
TEST(RequestWords, AWordThatNobodyKnowsIsListedUnderItsKey) {
  const UnknownRow rows[] = {
      {"replace", "origins", "replace-origins"},
      {"rtcp-mux", "perhaps", "rtcp-mux-perhaps"},
      {"endpoint-learning", "slow", "endpoint-learning-slow"},
      {"strict-payload-types", "maybe", "strict-payload-types-maybe"},
      {"generate-RTCP", "perhaps", "generate-rtcp-perhaps"},
      {"record-call", "maybe", "record-call=maybe"},
      {"SDES", "fancy", "sdes-fancy"},
      {"DTLS", "fancy", "dtls-fancy"},
      {"DTLS-fingerprint", "MD5", "dtls-fingerprint=md5"},
      {"ICE", "Fancy", "ice-fancy"},
      {"ICE", "lite-sideways", "ice-lite-sideways"},
      {"ICE-lite", "sideways", "ice-lite-sideways"},
      {"OSRTP", "fancy", "osrtp-fancy"},
      {"audio-player", "loud", "audio-player=loud"},
      {"all", "some", "all=some"},
      {"alias-key", "name", "alias-key=name"},
      {"bundle", "maybe", "bundle-maybe"},
      {"flags", "codec-mangle-PCMA", "codec-mangle-pcma"},
  };
  for (const UnknownRow& row : rows)
    EXPECT_EQ(parse(row.key, row.word).unknown_flags, Words{row.listed}) << row.key;
}

TEST(RequestWords, EditsOfSdp) {
  using Kind = sdp::AttributeEdit::Kind;
  Dict commands;
  commands.set("add", List{Value("ptime:20"), Value("x--y")});
  commands.set("remove", List{Value("rtcp-fb")});
  commands.set("substitute", List{Value("sendrecv>inactive"), Value(List{Value("a"), Value("b")})});
  Dict sections;
  sections.set("Audio", commands);
  Dict whole;
  whole.set("add", "b=AS:64");
  sections.set("global", whole);
  const auto edits = parse("sdp-attr", sections).sdp_attr;
  struct Expected {
    Kind kind;
    const char* section;
    const char* text;
    const char* replacement;
  };
  const Expected expected[] = {
      {Kind::kAdd, "audio", "ptime:20", ""},   {Kind::kAdd, "audio", "x=y", ""},
      {Kind::kRemove, "audio", "rtcp-fb", ""}, {Kind::kSubstitute, "audio", "sendrecv", "inactive"},
      {Kind::kSubstitute, "audio", "a", "b"},  {Kind::kAddLine, "", "b=AS:64", ""}};
  ASSERT_EQ(edits.size(), std::size(expected));
  for (std::size_t i = 0; i < edits.size(); ++i) {
    EXPECT_EQ(edits[i].kind, expected[i].kind) << i;
    EXPECT_EQ(edits[i].section, expected[i].section) << i;
    EXPECT_EQ(edits[i].text, expected[i].text) << i;
    EXPECT_EQ(edits[i].replacement, expected[i].replacement) << i;
  }
}

TEST(RequestWords, AnEditAsAFlag) {
  const auto edits = parse("flags", "sdp-attr-add-audio-ptime:20").sdp_attr;
  ASSERT_EQ(edits.size(), 1u);
  EXPECT_EQ(edits[0].section, "audio");
  EXPECT_EQ(edits[0].text, "ptime:20");
  const auto exchanged = parse("flags", "sdp-attr-substitute-video-a>b").sdp_attr;
  ASSERT_EQ(exchanged.size(), 1u);
  EXPECT_EQ(exchanged[0].replacement, "b");
}

// docs/reference/ng.md#errors: the only options that fail a request. The first reason counts.
TEST(RequestWords, OptionsThatFailARequest) {
  const auto of_section = [](const char* section, Value commands) {
    Dict sections;
    sections.set(section, std::move(commands));
    return parse("sdp-attr", sections).option_fault;
  };
  Dict strange;
  strange.set("mangle", List{});
  EXPECT_EQ(parse("sdp-attr", "x").option_fault, RequestFault::kWrongType);
  EXPECT_EQ(of_section("audio", List{}), RequestFault::kWrongContent);
  EXPECT_EQ(of_section("smell", Dict{}), RequestFault::kUnknownSectionType);
  EXPECT_EQ(of_section("audio", strange), RequestFault::kUnknownManipulation);
  EXPECT_EQ(parse("sdp-media-remove", "video").option_fault, RequestFault::kWrongType) << "a real list";
  EXPECT_EQ(parse("sdp-media-remove", List{Value("smell")}).option_fault, RequestFault::kUnknownSectionType);
}

TEST(RequestWords, ListsAreRealOnesOrTextsWithCommas) {
  EXPECT_EQ(parse("from-tags", " a , b,,c ").from_tags, (Words{"a", "b", "c"}));
  EXPECT_EQ(parse("from-tags", List{Value("a b"), Value(7), Value("c,d")}).from_tags, (Words{"a b", "c,d"}))
      << "members that are no texts are skipped";
}

TEST(RequestWords, BranchWords) {
  for (const char* word : {"auto", "extra", "next", "1", "2", "auto-next", "1|2", ""})
    EXPECT_TRUE(ng::words::is_branch_word(word)) << word;
  for (const char* word : {"z9hG4bK1", "3", "automatic"})
    EXPECT_FALSE(ng::words::is_branch_word(word)) << word;
}

}  // namespace
}  // namespace ferry::test::request_words_test
