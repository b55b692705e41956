// SPDX-License-Identifier: Apache-2.0
// Keys about sounds and digits (docs/reference/ng.md#playback).
#include "control/protocol/ng/request_sounds.hpp"

#include "control/protocol/ng/json_codec.hpp"
#include "control/protocol/ng/request_parser.hpp"

#include <gtest/gtest.h>

namespace ferry::test::request_sounds_test {
namespace {

using Kind = SoundName::Kind;

Request parse(const std::string& json) {
  const auto decoded = ng::decode_json(json);
  return ng::parse_request(*decoded.value().value.dict());
}

TEST(SoundKeys, NameOneSound) {
  const struct {
    const char* json;
    Kind kind;
    const char* text;
  } rows[] = {
      {R"({"file": "/a.wav"})", Kind::kFile, "/a.wav"},
      {R"({"blob": "RIFF"})", Kind::kContent, "RIFF"},
      {R"({"blob64": "UklGRg=="})", Kind::kContent, "RIFF"},
      {R"({"blob64": "UklG\r\nRg=="})", Kind::kContent, "RIFF"},
      {R"({"db-id": 5})", Kind::kNumber, "5"},
      {R"({"db-id": "12"})", Kind::kNumber, "12"},
      {R"({"tone": "ringback/cn"})", Kind::kTone, "ringback/cn"},
      {R"({"tone": "busy", "db-id": 5, "blob": "x", "file": "f"})", Kind::kFile, "f"},
      {R"({"file": "f", "blob": "x", "db-id": 5, "tone": "busy"})", Kind::kFile, "f"},
  };
  for (const auto& row : rows) {
    const Request request = parse(row.json);
    ASSERT_TRUE(request.play.sound) << row.json;
    EXPECT_EQ(request.play.sound->kind, row.kind) << row.json;
    EXPECT_EQ(request.play.sound->text, row.text) << row.json;
    EXPECT_TRUE(request.not_in_force.empty() && request.unknown_keys.empty()) << row.json;
  }
  for (const char* json :
       {R"({"blob64": "!!!"})", R"({"blob64": ""})", R"({"blob64": "UklGRg==x"})", R"({"file": ""})",
        R"({"file": 5})", R"({"db-id": -1})", R"({"db-id": "x"})", R"({"blob": []})", "{}"})
    EXPECT_FALSE(parse(json).play.sound) << json;
}

TEST(SoundKeys, HowItIsPlayed) {
  const Request request = parse(
      R"({"repeat-times": 3, "repeat-duration": "8000", "start-pos": 4000, "flags": ["block-egress"]})");
  EXPECT_EQ(request.play.times, 3);
  EXPECT_EQ(request.play.longest_ms, 8000);
  EXPECT_EQ(request.play.from_sample, 4000);
  EXPECT_TRUE(request.has_flag(Flag::kBlockEgress));
  EXPECT_FALSE(parse("{}").play.times);
}

TEST(SoundKeys, Digits) {
  const struct {
    const char* json;
    int event;
  } rows[] = {{R"({"code": "5"})", 5},   {R"({"code": 5})", 5},     {R"({"code": "*"})", 10},
              {R"({"digit": "#"})", 11}, {R"({"code": "A"})", 12},  {R"({"code": "d"})", 15},
              {R"({"code": 15})", 15},   {R"({"code": "11"})", 11}, {R"({"code": 16})", -1},
              {R"({"code": -1})", -1},   {R"({"code": "X"})", -1},  {R"({"code": ""})", -1},
              {R"({"code": "16"})", -1}, {R"({"code": []})", -1},   {"{}", -1}};
  for (const auto& row : rows) {
    const Request request = parse(row.json);
    EXPECT_EQ(request.digit.event ? int{*request.digit.event} : -1, row.event) << row.json;
  }
  const Request request =
      parse(R"({"code": "1", "duration": "160", "pause": 60, "volume": -20, "flags": ["inject-DTMF"]})");
  EXPECT_EQ(request.digit.length_ms, 160);
  EXPECT_EQ(request.digit.pause_ms, 60);
  EXPECT_EQ(request.digit.level_db, -20);
  EXPECT_TRUE(request.has_flag(Flag::kInjectDtmf));
  EXPECT_FALSE(request.pause) << "a number is no order to pause a recording";
}

TEST(SoundKeys, MusicOnHold) {
  using Shown = HoldMusicWish::Shown;
  const Request request = parse(R"({"moh": {"file": "/m.wav", "mode": "sendrecv", "connection": "zero"}})");
  ASSERT_TRUE(request.hold_music && request.hold_music->sound);
  EXPECT_EQ(request.hold_music->sound->text, "/m.wav");
  EXPECT_EQ(request.hold_music->shown, Shown::kSendReceive);
  EXPECT_TRUE(request.hold_music->shows_zero_address);
  const Request other = parse(R"({"MoH": {"db-id": 7, "mode": "reflect"}})");
  ASSERT_TRUE(other.hold_music && other.hold_music->sound);
  EXPECT_EQ(other.hold_music->sound->kind, Kind::kNumber);
  EXPECT_EQ(other.hold_music->shown, Shown::kReflected);
  EXPECT_FALSE(other.hold_music->shows_zero_address);
  const Request plain = parse(R"({"moh": {"tone": "silence", "mode": "x"}})");
  EXPECT_EQ(plain.hold_music->shown, Shown::kSendOnly);
  EXPECT_FALSE(parse(R"({"moh": {}})").hold_music->sound);
  EXPECT_FALSE(parse(R"({"moh": "x"})").hold_music);
}

}  // namespace
}  // namespace ferry::test::request_sounds_test
