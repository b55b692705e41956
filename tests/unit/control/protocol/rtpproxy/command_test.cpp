// SPDX-License-Identifier: Apache-2.0
// The grammar of the rtpproxy protocol (docs/reference/rtpproxy.md#grammar), its errors
// (docs/reference/rtpproxy.md#errors), and what `U` and `L` say (docs/reference/rtpproxy.md#signal).
#include "control/protocol/rtpproxy/command.hpp"

#include <functional>
#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test::command_test {
namespace {

using rtpproxy::ErrorCode;
using rtpproxy::parse_command;
using rtpproxy::parse_signal_modifiers;
using rtpproxy::SignalModifiers;

/// A command, and its error; unset: it is taken.
struct Row {
  const char* name;
  std::string text;
  std::optional<ErrorCode> error;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class CommandRows : public testing::TestWithParam<Row> {};

TEST_P(CommandRows, IsTakenOrRefused) {
  const auto command = parse_command(GetParam().text);
  ASSERT_EQ(command.has_value(), !GetParam().error.has_value());
  if (!command) {
    EXPECT_EQ(static_cast<int>(command.error()), static_cast<int>(*GetParam().error));
  }
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

const Row kRows[] = {
    {"Version", "V", {}},
    {"SmallLetters", "v", {}},
    {"Feature", "VF 20040107", {}},
    {"FeatureWithoutDate", "VF", ErrorCode::kArguments},
    {"VersionWithAWord", "V x", ErrorCode::kArguments},
    {"VersionWithModifier", "Vx", ErrorCode::kNoModifiers},
    {"Offer", "U call 192.0.2.1 4000 tag", {}},
    {"OfferWithModifiers", "Uc0,8n call 192.0.2.1 4000 tag", {}},
    {"OfferWithToTag", "U call 192.0.2.1 4000 tag tag2", {}},
    {"OfferWithTarget", "U call 192.0.2.1 4000 from to udp:127.0.0.1:9 tag", {}},
    {"OfferTooShort", "U call 192.0.2.1 4000", ErrorCode::kArguments},
    {"OfferTooLong", "U 1 2 3 4 5 6 7 8", ErrorCode::kArguments},
    {"Answer", "L call 192.0.2.1 4000 from to", {}},
    {"AnswerTooLong", "L call 192.0.2.1 4000 from to more", ErrorCode::kArguments},
    {"Delete", "D call from", {}},
    {"DeleteTooLong", "D call from to more", ErrorCode::kArguments},
    {"Play", "P-1 call prompt 0,8 from to", {}},
    {"PlayTooShort", "P call prompt 0", ErrorCode::kArguments},
    {"Stop", "S call from to", {}},
    {"StopWithModifier", "Sx call from", ErrorCode::kNoModifiers},
    {"Record", "Rs call from", {}},
    {"Copy", "C call udp:192.0.2.1:9 from to", {}},
    {"CopyTooShort", "C call target", ErrorCode::kArguments},
    {"EndRecording", "Na call from", {}},
    {"Query", "Qv call from to ttl", {}},
    {"QueryOfTwelveNames", "Q call from" + repeated(" x", 12), {}},
    {"QueryOfTooManyNames", "Q call from" + repeated(" x", 13), ErrorCode::kArguments},
    {"Information", "Il", {}},
    {"Counters", "Gv" + repeated(" x", 22), {}},
    {"CountersTooMany", "G" + repeated(" x", 23), ErrorCode::kTokens},
    {"EndAll", "X", {}},
    {"EndAllWithModifier", "Xy", ErrorCode::kNoModifiers},
    {"UnknownLetter", "Z call", ErrorCode::kUnknownCommand},
    {"NoLetterAtAll", std::string(" \t\r\n"), ErrorCode::kTokens},
    {"ANulInAWord", std::string("D ca\0ll from", 12), ErrorCode::kTokens},
    {"BlanksTabsAndLineEndsDivide", "\tD  call\tfrom\r\n", {}},
    {"LettersBeforeNumbersOfWords", "Z", ErrorCode::kUnknownCommand},
    {"WordsBeforeLetters", "Z" + repeated(" x", 23), ErrorCode::kTokens},
    {"NumberBeforeModifiers", "Vx y", ErrorCode::kArguments},
    {"SubcommandOfDelete", "D call from && D", ErrorCode::kSubcommand},
    {"EmptySubcommand", "U call 192.0.2.1 4000 from to && ", ErrorCode::kTokens},
    {"SubcommandInFront", "&& D", ErrorCode::kTokens},
    {"FifteenSubcommands", "Q call from" + repeated(" && D", 15), {}},
    {"SixteenSubcommands", "Q call from" + repeated(" && D", 16), ErrorCode::kTokens},
    {"DeleteBehindQuery", "Q call from && D", {}},
    {"WeakDeleteBehindQuery", "Q call from && Dw", {}},
    {"StrangeDeleteBehindQuery", "Q call from && Dx", ErrorCode::kSubcommand},
    {"SettingOfTime", "U call 192.0.2.1 4000 from to && S ttl=30", {}},
    {"SettingOfTheOtherSide", "U call 192.0.2.1 4000 from to && Sr tos=184", {}},
    {"SettingOfNoTime", "U call 192.0.2.1 4000 from to && S ttl=0", ErrorCode::kSubcommand},
    {"SettingOfTooLargeTos", "U call 192.0.2.1 4000 from to && S tos=256", ErrorCode::kSubcommand},
    {"SettingThatIsNone", "U call 192.0.2.1 4000 from to && S mtu=1", ErrorCode::kSubcommand},
    {"AnswerAtOnce", "U call 192.0.2.1 4000 from to && L 192.0.2.2 5000", {}},
    {"AnswerAtOnceNeedsAToTag", "U call 192.0.2.1 4000 from && L 192.0.2.2 5000", ErrorCode::kSubcommand},
    {"AnswerAtOnceBehindAnAnswer", "L call 192.0.2.1 4000 from to && L 192.0.2.2 5000",
     ErrorCode::kSubcommand},
    {"AnswerAtOnceWithoutPort", "U call 192.0.2.1 4000 from to && L 192.0.2.2", ErrorCode::kSubcommand},
    {"AnswerAtOnceWithBadPort", "U call 192.0.2.1 4000 from to && L 192.0.2.2 65536", ErrorCode::kSubcommand},
    {"CrossedSessions", "U call 192.0.2.1 4000 from to && C other a b", {}},
    {"CrossedSessionsNeedTags", "U call 192.0.2.1 4000 from to && C other a", ErrorCode::kSubcommand},
    {"KeyPresses", "U call 192.0.2.1 4000 from to && M3:1 tag 101 h", {}},
    {"OtherModules", "U call 192.0.2.1 4000 from to && M1:1 tag", ErrorCode::kSubcommand},
};
INSTANTIATE_TEST_SUITE_P(Grammar, CommandRows, testing::ValuesIn(kRows),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(RtpproxyCommand, WordsModifiersAndSubcommands) {
  const auto command = parse_command("uc8S call 192.0.2.1 4000 from to && d && Sr ttl=9\n");
  ASSERT_TRUE(command);
  EXPECT_EQ(command->letter, 'U');
  EXPECT_EQ(command->modifiers, "c8S") << "as they came";
  ASSERT_EQ(command->values.size(), 5u);
  EXPECT_EQ(command->values[0], "call");
  EXPECT_EQ(command->values[4], "to");
  ASSERT_EQ(command->subcommands.size(), 2u);
  EXPECT_EQ(command->subcommands[0].letter, 'D');
  EXPECT_EQ(command->subcommands[1].modifiers, "r");
  EXPECT_EQ(command->subcommands[1].values[0], "ttl=9");
  EXPECT_FALSE(command->is_feature_query);
  EXPECT_TRUE(parse_command("vf 20040107")->is_feature_query);
}

// docs/reference/rtpproxy.md#limits: a longer datagram is cut.
TEST(RtpproxyCommand, OctetsBehindTheLimitAreNotRead) {
  const std::string head = "D call ";
  const auto command = parse_command(head + std::string(10'000, 'x'));
  ASSERT_TRUE(command);
  EXPECT_EQ(command->values[1].size(), 8191 - head.size());
}

/// Modifiers of `U`, and what they say.
struct ModifierRow {
  const char* name;
  const char* text;
  std::function<bool(const SignalModifiers&)> holds;
};
void PrintTo(const ModifierRow& row, std::ostream* out) { *out << row.name; }

class ModifierRows : public testing::TestWithParam<ModifierRow> {};

TEST_P(ModifierRows, SaysWhatTheReferenceSays) {
  const auto read = parse_signal_modifiers(GetParam().text, true);
  ASSERT_TRUE(read);
  EXPECT_TRUE(GetParam().holds(*read));
  EXPECT_FALSE(GetParam().holds(SignalModifiers{})) << "it would hold without the letters";
}

using M = const SignalModifiers&;
using Local = SignalModifiers::Local;
IpAddress address(const char* text) { return *IpAddress::parse(text); }
const ModifierRow kModifiers[] = {
    {"Asymmetric", "a", [](M m) { return m.asymmetric == true; }},
    {"Symmetric", "S", [](M m) { return m.asymmetric == false; }},
    {"TheLastOneCounts", "as", [](M m) { return m.asymmetric == false; }},
    {"IpSix", "6", [](M m) { return m.is_ipv6; }},
    {"TwoInterfaces", "ei",
     [](M m) {
       return m.bridge == std::array{'e', 'i'};
     }},
    {"OneInterface", "I",
     [](M m) {
       return m.bridge == std::array<char, 2>{'i', 0};
     }},
    {"NewPort", "n", [](M m) { return m.wants_new_port; }},
    {"Weak", "w", [](M m) { return m.is_weak; }},
    {"PacketTime", "z40", [](M m) { return m.ptime_ms == 40; }},
    {"PayloadTypes", "c0,8,101",
     [](M m) {
       return m.codecs == std::vector{PayloadType{0}, PayloadType{8}, PayloadType{101}};
     }},
    {"LocalAddress", "l192.0.2.7n",
     [](M m) { return m.local == Local::kAddress && m.address == address("192.0.2.7") && m.wants_new_port; }},
    {"LocalAddressSix", "l[2001:db8::7]w",
     [](M m) { return m.local == Local::kAddress && m.address == address("2001:db8::7") && m.is_weak; }},
    {"Label", "l{outside}n",
     [](M m) { return m.local == Local::kLabel && m.label == "outside" && m.wants_new_port; }},
    {"Route", "r192.0.2.7",
     [](M m) { return m.local == Local::kRouteTo && m.address == address("192.0.2.7"); }},
    {"RouteSix", "r[2001:db8::7]",
     [](M m) { return m.local == Local::kRouteTo && m.address == address("2001:db8::7"); }},
};
INSTANTIATE_TEST_SUITE_P(Signal, ModifierRows, testing::ValuesIn(kModifiers),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(RtpproxyModifiers, ErrorsHaveTheirNumbers) {
  const struct {
    const char* text;
    int error;
  } rows[] = {{"eie", 11}, {"iei", 12},  {"eii", 12},          {"z0", 13},   {"z1000", 13},
              {"z", 13},   {"c", 14},    {"c0,", 14},          {"c128", 14}, {"c0c8", 14},
              {"l", 15},   {"lx", 15},   {"l[192.0.2.1]", 15}, {"l{}", 15},  {"l{x", 15},
              {"r", 16},   {"r{x}", 16}, {"r1.2.3", 16},       {"q", 35},    {"x", 35}};
  for (const auto& row : rows) {
    const auto read = parse_signal_modifiers(row.text, true);
    ASSERT_FALSE(read) << row.text;
    EXPECT_EQ(static_cast<int>(read.error()), row.error) << row.text;
  }
  EXPECT_EQ(static_cast<int>(parse_signal_modifiers("e", false).error()), 11) << "without rtpp-bridge";
  EXPECT_EQ(static_cast<int>(parse_signal_modifiers("i", false).error()), 12) << "without rtpp-bridge";
}

TEST(RtpproxyModifiers, AtMostSixtyFourTypes) {
  std::string text = "0";
  for (int i = 1; i < 64; ++i) text += "," + std::to_string(i);
  EXPECT_EQ(rtpproxy::parse_payload_types(text)->size(), 64u);
  EXPECT_FALSE(rtpproxy::parse_payload_types(text + ",64"));
}

TEST(RtpproxyRemote, AddressesOfParties) {
  const auto media = rtpproxy::parse_remote("192.0.2.1", "4000", false);
  ASSERT_TRUE(media);
  EXPECT_EQ(media->endpoint.to_string(), "192.0.2.1:4000");
  EXPECT_FALSE(media->is_on_hold);
  for (const auto& [text, is_six] : {std::pair{"0.0.0.0", false}, {"::", true}}) {
    const auto hold = rtpproxy::parse_remote(text, "4000", is_six);
    ASSERT_TRUE(hold) << text;
    EXPECT_TRUE(hold->is_on_hold) << text;
    EXPECT_FALSE(hold->endpoint.is_set()) << text;
  }
  for (const char* nothing : {"1.2.3", "a", "1234567890123456"}) {
    const auto said = rtpproxy::parse_remote(nothing, "4000", false);
    ASSERT_TRUE(said) << nothing << " cannot be an address";
    EXPECT_FALSE(said->endpoint.is_set() || said->is_on_hold) << nothing;
  }
  EXPECT_TRUE(rtpproxy::parse_remote("192.0.2.1", "0", false)) << "port 0 is allowed";
  for (const auto& [text, port] : {std::pair{"192.0.2.x", "4000"},
                                   {"192.0.2.1", "65536"},
                                   {"192.0.2.1", "x"},
                                   {"2001:db8::1", "4000"}}) {
    const auto refused = rtpproxy::parse_remote(text, port, false);
    ASSERT_FALSE(refused) << text << " " << port;
    EXPECT_EQ(static_cast<int>(refused.error()), 37);
  }
}

TEST(RtpproxyTexts, UrlEncoding) {
  EXPECT_EQ(rtpproxy::url_decoded("a+b%20c%2B"), "a b c+");
  EXPECT_EQ(rtpproxy::url_decoded(""), "");
  for (const char* bad : {"%", "%4", "%4g", "%g4"}) EXPECT_FALSE(rtpproxy::url_decoded(bad)) << bad;
}

TEST(RtpproxyTexts, Numbers) {
  EXPECT_EQ(rtpproxy::parse_number("-1", -1, 5), -1);
  EXPECT_EQ(rtpproxy::parse_number("5", -1, 5), 5);
  for (const char* bad : {"", "6", "-2", "5x", " 5", "+5", "0x1"})
    EXPECT_FALSE(rtpproxy::parse_number(bad, -1, 5)) << bad;
}

}  // namespace
}  // namespace ferry::test::command_test
