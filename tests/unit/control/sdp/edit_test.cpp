// SPDX-License-Identifier: Apache-2.0
// Edits of the finished SDP (docs/reference/ng.md#sdp-attr), one row each.
#include "control/sdp/edit.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::sdp::edit_test {
namespace {

using Kind = AttributeEdit::Kind;

const std::string kBody =
    "v=0\r\na=tool:x\r\nm=audio 1 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=sendrecv\r\nm=video 2 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\nm=audio 3 RTP/AVP 0\r\na=sendonly\r\n";

struct Change {
  std::string from;
  std::string to;
};
struct Row {
  const char* name;
  AttributeEdits edits;
  /// `kBody` with every first text replaced by the second.
  std::vector<Change> changes;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class Edits : public ::testing::TestWithParam<Row> {};

TEST_P(Edits, ChangeTheirLinesAndNoOthers) {
  std::string expected = kBody;
  for (const auto& [from, to] : GetParam().changes) {
    const auto at = expected.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    expected.replace(at, from.size(), to);
  }
  EXPECT_EQ(sdp::apply(GetParam().edits, kBody), expected);
}

const std::string kVideo = "m=video 2 RTP/AVP 96\r\n";
const std::string kSecond = "m=audio 3 RTP/AVP 0\r\n";
INSTANTIATE_TEST_SUITE_P(
    Table, Edits,
    ::testing::Values(
        Row{"None", {}, {}},
        Row{"AddToTheSession", {{Kind::kAdd, "", "x:1", ""}}, {{"m=audio 1", "a=x:1\r\nm=audio 1"}}},
        Row{"AddToEachSectionOfTheType",
            {{Kind::kAdd, "audio", "x", ""}},
            {{kVideo, "a=x\r\n" + kVideo}, {kSecond + "a=sendonly\r\n", kSecond + "a=sendonly\r\na=x\r\n"}}},
        Row{"AddInOrder",
            {{Kind::kAdd, "video", "x", ""}, {Kind::kAdd, "video", "y", ""}},
            {{kSecond, "a=x\r\na=y\r\n" + kSecond}}},
        Row{"AddALine", {{Kind::kAddLine, "video", "b=AS:5", ""}}, {{kSecond, "b=AS:5\r\n" + kSecond}}},
        Row{"ADirectionReplaces",
            {{Kind::kAdd, "audio", "recvonly", ""}},
            {{"a=sendrecv\r\n", "a=recvonly\r\n"}, {"a=sendonly\r\n", "a=recvonly\r\n"}}},
        Row{"ADirectionOfAnotherTypeDoesNot",
            {{Kind::kAdd, "video", "recvonly", ""}},
            {{kSecond, "a=recvonly\r\n" + kSecond}}},
        Row{"RemoveByName",
            {{Kind::kRemove, "audio", "rtpmap", ""}},
            {{"a=rtpmap:8 PCMA/8000\r\n", ""}, {"a=rtpmap:101 telephone-event/8000\r\n", ""}}},
        Row{"RemoveByTag",
            {{Kind::kRemove, "audio", "rtpmap:101", ""}},
            {{"a=rtpmap:101 telephone-event/8000\r\n", ""}}},
        Row{"RemoveByTheBeginningOfATag", {{Kind::kRemove, "audio", "rtpmap:10", ""}}, {}},
        Row{"RemoveWhole",
            {{Kind::kRemove, "audio", "rtpmap:8 PCMA/8000", ""}},
            {{"a=rtpmap:8 PCMA/8000\r\n", ""}}},
        Row{"RemoveFromTheSessionOnly", {{Kind::kRemove, "", "rtpmap", ""}}, {}},
        Row{"RemoveWhatIsAdded",
            {{Kind::kAdd, "video", "x", ""}, {Kind::kRemove, "video", "x", ""}},
            {{kSecond, "a=x\r\n" + kSecond}}},
        Row{"Substitute",
            {{Kind::kSubstitute, "audio", "rtpmap:8", "rtpmap:8 G711A/8000"}},
            {{"PCMA", "G711A"}}},
        Row{"SubstituteASecondTime",
            {{Kind::kSubstitute, "", "tool", "x:1"}, {Kind::kSubstitute, "", "x", "y"}},
            {{"a=tool:x", "a=y"}}},
        Row{"SubstituteAndRemove",
            {{Kind::kSubstitute, "", "tool", "x:1"}, {Kind::kRemove, "", "x", ""}},
            {{"a=tool:x\r\n", ""}}},
        Row{"ControlCharactersAreIgnored",
            {{Kind::kAdd, "video", "x\r\na=y", ""},
             {Kind::kAddLine, "video", "b=1\n", ""},
             {Kind::kSubstitute, "", "tool", "a\r\nm=x"},
             {Kind::kAdd, "video", "", ""}},
            {}}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Edits, KnownTypesAreThoseOfTheDocument) {
  for (const char* type : {"audio", "video", "image", "message", "text", "application"})
    EXPECT_TRUE(is_known_media_type(type)) << type;
  for (const char* type : {"", "other", "Audio", "data"}) EXPECT_FALSE(is_known_media_type(type)) << type;
}

TEST(Edits, NoTextOfARequestMakesASection) {
  EXPECT_TRUE(rc::check([] {
    const auto text = *rc::gen::string<std::string>();
    const auto replacement = *rc::gen::string<std::string>();
    const AttributeEdits edits = {{Kind::kAdd, "audio", text, ""},
                                  {Kind::kSubstitute, "audio", "rtpmap", replacement},
                                  {Kind::kRemove, "", text, ""}};
    const std::string out = sdp::apply(edits, kBody);
    std::size_t sections = 0;
    for (auto at = out.find("\r\nm="); at != std::string::npos; at = out.find("\r\nm=", at + 1)) ++sections;
    RC_ASSERT(sections == 3u);
    RC_ASSERT(out.find('\n', 0) == out.find("\r\n") + 1);
  }));
}

}  // namespace
}  // namespace ferry::sdp::edit_test
