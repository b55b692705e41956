// SPDX-License-Identifier: Apache-2.0
// Lists of `mesh`, `create` and `transform`: what each member says, and where a list stops because one is
// wrong (docs/reference/ng.md#conferences, docs/reference/ng.md#create).
#include "control/protocol/ng/request_lists.hpp"

#include "control/protocol/ng/json_codec.hpp"
#include "control/protocol/ng/request_parser.hpp"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::request_lists_test {
namespace {

using F = RequestFault;

Request parse(const std::string& json) {
  const auto decoded = ng::decode_json(json);
  return ng::parse_request(*decoded.value().value.dict());
}

/// A value of a key in JSON, the members that are read from it as a text, and what is wrong with the next
/// one.
struct Row {
  const char* name;
  const char* value;
  const char* members;
  std::optional<F> fault = {};
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
std::string name_of(const testing::TestParamInfo<Row>& row) { return row.param.name; }

class CallsRows : public testing::TestWithParam<Row> {};
TEST_P(CallsRows, AreRead) {
  const Request request = parse(std::string(R"({"calls":)") + GetParam().value + "}");
  std::string members;
  for (const std::string& each : request.calls.members) members += "<" + each + ">";
  EXPECT_EQ(members, GetParam().members);
  EXPECT_EQ(request.calls.fault, GetParam().fault);
  EXPECT_FALSE(request.option_fault) << "other commands ignore the key";
}
const Row kCalls[] = {
    {"Ids", R"(["a","b",""])", "<a><b><>"},
    {"ANumberIsNoCall", R"(["a",7,"b"])", "<a>", F::kUnknownCall},
    {"ATextIsNoList", R"("a,b")", ""},
    {"Nothing", "[]", ""},
};
INSTANTIATE_TEST_SUITE_P(Mesh, CallsRows, testing::ValuesIn(kCalls), name_of);

class FlowsRows : public testing::TestWithParam<Row> {};
TEST_P(FlowsRows, AreRead) {
  const Request request = parse(std::string(R"({"tags":)") + GetParam().value + "}");
  std::string members;
  for (const WishedFlows& each : request.flows.members) {
    members += "<" + each.from + ":";
    for (const std::string& tag : each.to) members += " " + tag;
    members += ">";
  }
  EXPECT_EQ(members, GetParam().members);
  EXPECT_EQ(request.flows.fault, GetParam().fault);
}
const Row kFlows[] = {
    {"Flows", R"([{"from":"a","to":["b","c"]},{"from":"b","to":["a"]}])", "<a: b c><b: a>"},
    {"WithoutReceiversThereIsNoFlow", R"([{"from":"a"},{"from":"b","to":"a"}])", "<a:><b:>"},
    {"ATextIsNoRow", R"([{"from":"a","to":["b"]},"x",{}])", "<a: b>", F::kWrongType},
    {"WithoutSender", R"([{"to":["b"]}])", "", F::kNoMemberTag},
    {"AnEmptySender", R"([{"from":"","to":["b"]}])", "", F::kNoMemberTag},
    {"ANumberAsSender", R"([{"from":3,"to":["b"]}])", "", F::kNoMemberTag},
    {"ANumberAsReceiver", R"([{"from":"a","to":["b",3,"c"]},{"from":"b"}])", "<a: b>", F::kUnknownToTag},
    {"ADictionaryIsNoList", R"({"a":["b"]})", ""},
};
INSTANTIATE_TEST_SUITE_P(Mesh, FlowsRows, testing::ValuesIn(kFlows), name_of);

class SectionsRows : public testing::TestWithParam<Row> {};
TEST_P(SectionsRows, AreRead) {
  const Request request = parse(std::string(R"({"medias":)") + GetParam().value + "}");
  std::string members;
  for (const WishedSection& each : request.sections.members) {
    members += "<" + each.type + ":";
    for (const std::string& codec : each.codecs) members += " " + codec;
    members += ">";
  }
  EXPECT_EQ(members, GetParam().members);
  EXPECT_EQ(request.sections.fault, GetParam().fault);
  EXPECT_FALSE(request.option_fault);
}
const Row kSections[] = {
    {"Sections", R"([{"type":"audio","codecs":["PCMA","opus/48000/2"]},{"type":"video"}])",
     "<audio: PCMA opus/48000/2><video:>"},
    {"CodecsThatAreNoTextsAreLeftOut", R"([{"type":"audio","codecs":["PCMA",8]}])", "<audio: PCMA>"},
    {"TypesAreNotJudgedHere", R"([{"type":"smoke"}])", "<smoke:>"},
    {"WithoutType", R"([{"type":"audio"},{"codecs":["PCMA"]},{"type":"video"}])", "<audio:>",
     F::kWrongContent},
    {"ATextIsNoSection", R"(["audio"])", "", F::kWrongContent},
    {"ATextIsNoList", R"("audio")", "", F::kWrongType},
    {"ADictionaryIsNoList", R"({"type":"audio"})", "", F::kWrongType},
    {"ANumberIsIgnored", "0", ""},
};
INSTANTIATE_TEST_SUITE_P(Create, SectionsRows, testing::ValuesIn(kSections), name_of);

class StreamsRows : public testing::TestWithParam<Row> {};
TEST_P(StreamsRows, AreRead) {
  const Request request = parse(std::string(R"({"media":)") + GetParam().value + "}");
  std::string members;
  for (const WishedStream& each : request.streams.members)
    members += "<" + each.id + " " + each.type + " " + each.destination.to_string() + ">";
  EXPECT_EQ(members, GetParam().members);
  EXPECT_EQ(request.streams.fault, GetParam().fault);
  EXPECT_FALSE(request.option_fault);
}
#define FERRY_TO R"("destination":{"family":"IP4","address":"192.0.2.1","port":)"
const Row kStreams[] = {
    {"Streams", R"([{"id":"x","type":"video",)" FERRY_TO R"(4000}},{)" FERRY_TO R"("4002"}}])",
     "<x video 192.0.2.1:4000><  192.0.2.1:4002>"},
    {"APortMayBeHexadecimal", R"([{)" FERRY_TO R"("0xfa0"}}])", "<  192.0.2.1:4000>"},
    {"PortZero", R"([{)" FERRY_TO R"(0}}])", "", F::kUnreadableDestination},
    {"APortThatIsTooLarge", R"([{)" FERRY_TO R"(65536}}])", "", F::kUnreadableDestination},
    {"WithoutFamily", R"([{"destination":{"address":"192.0.2.1","port":4000}}])", "",
     F::kNoDestinationFamily},
    {"WithoutDestination", R"([{"id":"x"}])", "", F::kNoDestinationFamily},
    {"WithoutAddress", R"([{"destination":{"family":"IP4","port":4000}}])", "", F::kUnreadableDestination},
    {"TheSameCodecGoesThrough",
     R"([{"codec":[{"input":{"codec":"PCMA"},"output":{"codec":"PCMA"}}],)" FERRY_TO R"(4000}}])",
     "<  192.0.2.1:4000>"},
    {"AnotherCodecDoesNot", R"([{"codec":[{"input":"PCMA","output":"PCMU"}],)" FERRY_TO R"(4000}}])", "",
     F::kTransformChangesCodec},
    {"ACodecWithoutOutputDoesNot", R"([{"codec":[{"input":"PCMA"}],)" FERRY_TO R"(4000}}])", "",
     F::kTransformChangesCodec},
    {"AfterAGoodOne", R"([{)" FERRY_TO R"(4000}},7])", "<  192.0.2.1:4000>", F::kWrongContent},
    {"ATextIsNoList", R"("x")", "", F::kWrongType},
    {"ADictionaryIsIgnored", R"({"id":"x"})", ""},
    {"ANumberIsIgnored", "0", ""},
};
#undef FERRY_TO
INSTANTIATE_TEST_SUITE_P(Transform, StreamsRows, testing::ValuesIn(kStreams), name_of);

TEST(RequestLists, ATransformNamesPairsOfCodecs) {
  const Request request = parse(
      R"({"media":[{"codec":[{"input":{"codec":"PCMA","payload type":8,"clock rate":8000,"channels":1},)"
      R"("output":{"codec":"opus","payload type":96,"clock rate":48000,"channels":2,"format":"stereo=1"}}],)"
      R"("destination":{"family":"IP4","address":"192.0.2.1","port":4000}}]})");
  ASSERT_EQ(request.streams.members.size(), 1u);
  ASSERT_EQ(request.streams.members[0].codecs.size(), 1u);
  const WishedStream::Pair& pair = request.streams.members[0].codecs[0];
  EXPECT_EQ(pair.input, (WishedCodec{PayloadType{8}, {"PCMA", 8000, 1, ""}}));
  EXPECT_EQ(pair.output, (WishedCodec{PayloadType{96}, {"opus", 48000, 2, "stereo=1"}}));
}

TEST(RequestLists, ALaterValueReplacesTheOneBefore) {
  const Request request =
      parse(R"({"media":[{"type":"audio"},{"type":"video"}],"medias":[{"type":"image"}]})");
  ASSERT_EQ(request.sections.members.size(), 1u);
  EXPECT_EQ(request.sections.members[0].type, "image");
  EXPECT_EQ(parse(R"({"media":[7],"medias":0})").sections.fault, std::nullopt);
}

}  // namespace
}  // namespace ferry::test::request_lists_test
