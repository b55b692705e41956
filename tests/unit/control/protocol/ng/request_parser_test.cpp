// SPDX-License-Identifier: Apache-2.0
// Keys and flags of requests: spelling, types, templates, and suggestions (docs/reference/ng.md#encodings,
// docs/reference/ng.md#templates).
#include "control/protocol/ng/request_parser.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using Words = std::vector<std::string>;

Request parse(std::initializer_list<std::pair<const char*, Value>> keys,
              const ng::Templates& templates = {}) {
  Dict dict;
  for (const auto& [key, value] : keys) dict.set(key, value);
  return ng::parse_request(dict, templates);
}

TEST(RequestParser, SpellingsOfKeysAndFlagsAreOne) {
  Dict dict;
  dict.set("media_address", "192.0.2.9");
  dict.set("Address Family", "ip6");
  dict.set("delete delay", "20");
  dict.set("replace", "origin, SDP version");
  dict.set("flags", List{Value("Trust Address"), Value("rtcp-mux-require"), Value("strct-source")});
  dict.set("received-from", List{});
  dict.set("from-tag", 7);
  dict.set("ICE", "remove");
  dict.set("bundle", "offer");
  dict.set("medya", "x");
  const Request request = ng::parse_request(dict);
  EXPECT_EQ(request.media_address->to_string(), "192.0.2.9");
  EXPECT_EQ(request.address_family, AddressFamily::kIpv6);
  EXPECT_EQ(request.delete_delay_s, 20);
  EXPECT_TRUE(has(request.replaces, Replace::kOrigin) && has(request.replaces, Replace::kSdpVersion));
  EXPECT_TRUE(request.has_flag(Flag::kTrustAddress));
  EXPECT_EQ(request.ice.offer, IceWishes::Offer::kNever);
  EXPECT_TRUE(has(request.rtcp_mux, RtcpMux::kRequire));
  EXPECT_FALSE(request.received_from.has_value());
  EXPECT_FALSE(request.from_tag.has_value()) << "an integer is no tag";
  EXPECT_TRUE(has(request.bundle, Bundle::kOffer));
  EXPECT_EQ(request.not_in_force, Words{});
  EXPECT_EQ(request.unknown_keys, Words{"medya"});
  EXPECT_EQ(request.unknown_flags, Words{"strct-source"});
}

TEST(RequestParser, FaxesAreAskedForByKeysAndFlags) {
  Request request =
      parse({{"T.38", List{Value("force"), Value("no-ECM"), Value("FEC")}}, {"T.38 version", 3}});
  EXPECT_EQ(request.fax, (FaxWishes{.force = true, .fec = true, .ecm = false, .version = 3}));
  EXPECT_EQ(request.not_in_force, Words{});
  request = parse({{"t38", "decode,no-V.17"}});
  EXPECT_EQ(request.fax, (FaxWishes{.decode = true, .v17 = false}));
  request = parse({{"flags", List{Value("T.38-force"), Value("T38-no-V.34"), Value("t38-no-V.29")}}});
  EXPECT_EQ(request.fax, (FaxWishes{.force = true, .v29 = false}));
  EXPECT_EQ(request.unknown_flags, Words{});
  request = parse({{"rtpp-flags", "T.38=[stop] T.38-version=9"}});
  EXPECT_EQ(request.fax, (FaxWishes{.stop = true, .version = 3}));
  request = parse({{"T.38", "no-V.90"}, {"flags", List{Value("t38-encode")}}});
  EXPECT_EQ(request.fax, FaxWishes{});
  EXPECT_EQ(request.unknown_flags, (Words{"t.38-no-v.90", "t.38-encode"}));
}

TEST(RequestParser, AnEmptyTextIsAValue) {
  EXPECT_EQ(parse({{"from-tag", ""}}).from_tag, "");
  EXPECT_FALSE(parse({{"to-tag", "x"}}).from_tag.has_value());
}

TEST(RequestParser, NumbersMayBeTexts) {
  for (const Value& value : {Value(16), Value("16"), Value("0x10"), Value("020")})
    EXPECT_EQ(parse({{"limit", value}}).limit, 16);
  EXPECT_FALSE(parse({{"limit", "16 calls"}}).limit.has_value());
  EXPECT_EQ(parse({{"limit", -1}}).limit, -1) << "the command refuses it";
}

TEST(RequestParser, TosIsBounded) {
  EXPECT_EQ(parse({{"tos", 184}}).tos, 184);
  EXPECT_GT(*parse({{"tos", 100'000'000'000}}).tos, 255) << "a value above goes back to the option";
  EXPECT_LT(*parse({{"tos", -5}}).tos, 0) << "a negative one keeps it";
}

TEST(RequestParser, WhereTheMessageCameFrom) {
  EXPECT_EQ(parse({{"received-from", List{Value("IP4"), Value("192.0.2.1")}}}).received_from,
            IpAddress::parse("192.0.2.1"));
  EXPECT_EQ(parse({{"received-from", "192.0.2.1"}}).received_from, IpAddress::parse("192.0.2.1"));
  EXPECT_FALSE(parse({{"received-from", List{}}}).received_from.has_value());
  EXPECT_FALSE(parse({{"received-from", "nowhere"}}).received_from.has_value());
}

TEST(RequestParser, DirectionIsAListOfTwo) {
  const Request both = parse({{"direction", List{Value("a"), Value("b")}}});
  EXPECT_EQ(both.sender_interface, "a");
  EXPECT_EQ(both.receiver_interface, "b");
  const Request one = parse({{"direction", List{Value("a")}}});
  EXPECT_EQ(one.sender_interface, "a");
  EXPECT_EQ(one.receiver_interface, "");
  EXPECT_EQ(parse({{"direction", "a"}}).sender_interface, "") << "a text is ignored";
  EXPECT_EQ(parse({{"to-interface", "b"}}).receiver_interface, "b");
}

TEST(RequestParser, FinalAnswersAreReplies) {
  EXPECT_EQ(parse({{"sip-message-type", "sip-reply"}}).sip_message, SipMessage::kReply);
  EXPECT_EQ(parse({{"sip-message-type", "SIP request"}}).sip_message, SipMessage::kRequest);
  EXPECT_EQ(parse({{"sip-message-type", "letter"}}).sip_message, SipMessage::kUnknown);
  EXPECT_EQ(parse({{"sip-code", "183"}}).sip_code, 183);
}

TEST(RequestParser, OnlyLoadLimitIsSupported) {
  EXPECT_TRUE(parse({{"supports", List{Value("load limit")}}}).supports_load_limit);
  EXPECT_FALSE(parse({{"supports", List{Value("other things")}}}).supports_load_limit);
}

TEST(RequestParser, RecordingCodesHaveTheirDigits) {
  const Request r = parse({{"vsc-start-rec", "*1"}, {"vsc-pause-resume-recording", "*2"}});
  EXPECT_EQ(r.recording_codes[static_cast<std::size_t>(RecordingAction::kStart)], "*1");
  EXPECT_EQ(r.recording_codes[static_cast<std::size_t>(RecordingAction::kPauseResume)], "*2");
  EXPECT_EQ(r.recording_codes[static_cast<std::size_t>(RecordingAction::kStop)], "");
  EXPECT_EQ(parse({{"vsc-begin-rec", "*1"}}).unknown_keys, Words{"vsc-begin-rec"});
}

TEST(RequestParser, WhatIsKnownAndNotInForceIsListed) {
  EXPECT_EQ(parse({{"recording-media-slots", 2}}).not_in_force, Words{"recording-media-slots"});
  EXPECT_EQ(parse({{"flags", "early-media"}}).not_in_force, Words{"early-media"});
  EXPECT_EQ(parse({{"flags", "t38-decode"}}).not_in_force, Words{});
  EXPECT_EQ(parse({{"flags", "t38-"}}).unknown_flags, Words{"t38-"}) << "a family has a rest";
}

TEST(RequestParser, OneLetterOffIsSuggested) {
  EXPECT_EQ(ng::suggest("strct-source", true), "strict-source") << "one is missing";
  EXPECT_EQ(ng::suggest("trust-adddress", true), "trust-address") << "one too many";
  EXPECT_EQ(ng::suggest("trusd-address", true), "trust-address") << "another one";
  EXPECT_EQ(ng::suggest("trsut-address", true), "trust-address") << "two are swapped";
  EXPECT_EQ(ng::suggest("medya", false), "media");
  EXPECT_EQ(ng::suggest("trust-addr", true), "");
  EXPECT_EQ(ng::suggest("", false), "");
}

TEST(Templates, DefaultThenCommandThenNamedThenTheRequest) {
  const ng::Templates templates = {{"default", "media-address=192.0.2.1 replace-origin"},
                                   {"offer", "media-address=192.0.2.2 address-family=IP6"},
                                   {"special", "label=special"}};
  const Request plain = parse({{"command", "offer"}}, templates);
  EXPECT_EQ(plain.media_address, IpAddress::parse("192.0.2.2"));
  EXPECT_EQ(plain.address_family, AddressFamily::kIpv6);
  EXPECT_TRUE(has(plain.replaces, Replace::kOrigin));
  EXPECT_FALSE(plain.by_rtpp_flags) << "that was not the client";
  const Request own =
      parse({{"command", "offer"}, {"media-address", "192.0.2.3"}, {"template", "special"}}, templates);
  EXPECT_EQ(own.media_address, IpAddress::parse("192.0.2.3")) << "the request overrides";
  EXPECT_EQ(own.label, "special");
  EXPECT_FALSE(parse({{"command", "query"}}, templates).media_address) << "query reads its few keys alone";
  EXPECT_FALSE(parse({{"command", "list"}}, templates).media_address);
  EXPECT_EQ(parse({{"command", "offer"}, {"template", "nowhere"}}, templates).unknown_flags,
            Words{"template=nowhere"});
}

TEST(Keys, NoKeyOrFlagOfAnyTypeFails) {
  const std::vector<Value> values = {Value("x"),
                                     Value(5),
                                     Value(List{}),
                                     Value(Dict{}),
                                     Value(List{Value("a"), Value(7), Value(Dict{})}),
                                     Value("a,b, c"),
                                     Value(std::string(300, '-'))};
  for (const ng::KeyRow& row : ng::key_rows()) {
    for (const Value& value : values) {
      Dict dict;
      dict.set(std::string(row.name), value);
      const Request request = ng::parse_request(dict);
      EXPECT_EQ(request.unknown_keys, Words{}) << row.name << ": each row is found by its name";
    }
  }
  for (const ng::FlagRow& row : ng::flag_rows()) {
    for (const char* rest : {"", "x", "-", "audio-", "audio-a>b"}) {
      Dict dict;
      dict.set("flags", Value(List{Value(std::string(row.name) + rest)}));
      ng::parse_request(dict);
    }
  }
}

// A row behind a family that its name begins with would never be reached.
TEST(Keys, EachFlagIsReachedByItsOwnName) {
  const auto rows = ng::flag_rows();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t before = 0; before < i; ++before) {
      const bool hides = rows[before].prefix ? rows[i].name.starts_with(rows[before].name) &&
                                                   rows[i].name.size() > rows[before].name.size()
                                             : rows[i].name == rows[before].name;
      EXPECT_FALSE(hides) << rows[i].name << " behind " << rows[before].name;
    }
  }
}

}  // namespace
}  // namespace ferry::test
