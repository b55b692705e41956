// SPDX-License-Identifier: Apache-2.0
// Entries of the work after calls as text.

#include "recorder/after/work_entry.hpp"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using nlohmann::json;

WorkEntry entry() {
  return {.kind = WorkKind::kUpload,
          .call_id = "a\x1b[2J\n\"b",
          .recording = "0123456789abcdef",
          .directory = "/var/rec",
          .files = {"2026/a.pcap", "2026/a.json"},
          .posted_ms = 1'700'000'000'123,
          .stored = 1,
          .tries = 2,
          .error = "HTTP status 503"};
}

TEST(WorkEntry, CTL15_ComesBackAsItWas) {
  for (const WorkKind kind : {WorkKind::kHook, WorkKind::kNotify, WorkKind::kUpload}) {
    WorkEntry written = entry();
    written.kind = kind;
    const auto read = parse_work_entry(to_text(written));
    ASSERT_TRUE(read) << read.error();
    EXPECT_EQ(*read, written);
    EXPECT_EQ(read->file_name(), std::string(to_string(kind)) + "-0123456789abcdef.json");
  }
}

// What stands there cannot make the relay run a program or ask a server of the writer's choice.
TEST(WorkEntry, CTL15_NamesNoProgramAndNoServer) {
  const json document = json::parse(to_text(entry()));
  for (const auto& [key, value] : document.items())
    EXPECT_THAT(key, testing::AnyOf("version", "kind", "call_id", "recording", "directory", "files",
                                    "posted_ms", "stored", "tries", "error"));
}

TEST(WorkEntry, CTL15_WhatIsTornOrForeignIsRefusedWithAReason) {
  const auto changed = [](const char* key, const json& value) {
    json document = json::parse(to_text(entry()));
    document[key] = value;
    return document.dump();
  };
  const auto without = [](const char* key) {
    json document = json::parse(to_text(entry()));
    document.erase(key);
    return document.dump();
  };
  const std::string rows[] = {
      "",
      "{",
      "[]",
      "null",
      to_text(entry()).substr(0, 60),
      std::string(3000, '['),
      changed("version", 2),
      changed("version", "1"),
      changed("version", 1e130),
      changed("posted_ms", 1.7e130),
      changed("stored", -1e130),
      changed("tries", 0.5),
      changed("kind", "shell"),
      changed("kind", 0),
      changed("call_id", 1),
      changed("recording", ""),
      changed("recording", "../x"),
      changed("recording", std::string(65, 'a')),
      changed("files", json::array()),
      changed("files", "a.json"),
      changed("files", {1}),
      changed("files", {"/etc/shadow"}),
      changed("files", {"a/../../b.json"}),
      changed("files", {""}),
      changed("stored", 3),
      changed("stored", -1),
      changed("tries", "many"),
      changed("error", 5),
      without("version"),
      without("kind"),
      without("call_id"),
      without("recording"),
      without("directory"),
      without("files"),
      without("posted_ms"),
      without("stored"),
      without("tries"),
  };
  for (const std::string& text : rows) {
    const auto read = parse_work_entry(text);
    ASSERT_FALSE(read) << text;
    EXPECT_FALSE(read.error().empty());
  }
}

TEST(WorkEntry, CTL15_TextsThatWereChangedAtRandomThrowNothing) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string whole = to_text(entry());
  for (int i = 0; i < 5'000; ++i) {
    std::string text = whole;
    for (int n = 0; n < 3; ++n) text[random() % text.size()] = static_cast<char>(random());
    EXPECT_NO_THROW(static_cast<void>(parse_work_entry(text)));
  }
}

}  // namespace
}  // namespace ferry::test
