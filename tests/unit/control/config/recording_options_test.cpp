// SPDX-License-Identifier: Apache-2.0
// Values of the options of recordings.

#include "tests/unit/control/config/option_reading.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test::recording_options_test {
namespace {

using namespace std::chrono_literals;

TEST(RecordingOptions, SizesMayHaveAUnit) {
  const struct {
    const char* text;
    bool is_good;
    std::uint64_t octets;
  } rows[] = {{"0", true, 0},           {"4096", true, 4096},
              {"4k", true, 4096},       {"4K", true, 4096},
              {"3M", true, 3ull << 20}, {"2g", true, 2ull << 30},
              {"1T", true, 1ull << 40}, {"8388607T", true, 8388607ull << 40},
              {"8388608T", false, 0},  // 2^63
              {"1P", false, 0},         {"K", false, 0},
              {"", false, 0},           {"1KB", false, 0},
              {"-1K", false, 0},        {"1.5G", false, 0}};
  for (const auto& row : rows) {
    Config config;
    config.recorder.quota_bytes = 7;
    const std::string wrong = set_option(config, "recording-quota", row.text);
    EXPECT_EQ(wrong.empty(), row.is_good) << row.text << ": " << wrong;
    EXPECT_EQ(config.recorder.quota_bytes, row.is_good ? row.octets : 7) << row.text;
  }
}

TEST(RecordingOptions, TimesMayHaveAUnit) {
  const struct {
    const char* text;
    bool is_good;
    std::chrono::seconds time;
  } rows[] = {{"90", true, 90s},          {"90s", true, 90s},   {"5m", true, 300s}, {"2h", true, 7200s},
              {"3d", true, 72h},          {"0", true, 0s},      {"2w", false, 0s},  {"2H", false, 0s},
              {"h", false, 0s},           {"", false, 0s},      {"-1m", false, 0s}, {"1h30m", false, 0s},
              {"99999999999", false, 0s}, {"99999d", false, 0s}};
  for (const auto& row : rows) {
    Config config;
    config.recorder.hook_timeout = 7s;
    const std::string wrong = set_option(config, "recording-hook-timeout", row.text);
    EXPECT_EQ(wrong.empty(), row.is_good) << row.text << ": " << wrong;
    EXPECT_EQ(config.recorder.hook_timeout, row.is_good ? row.time : 7s) << row.text;
  }
}

TEST(RecordingOptions, TheFirstMethodReplacesTheDefault) {
  const struct {
    const char* text;
    bool packets;
    bool audio;
  } rows[] = {{"pcap", true, false},
              {"audio", false, true},
              {"all", true, true},
              {"pcap;audio", true, true},
              {"audio;pcap", true, true}};
  const RecorderSettings defaults;
  EXPECT_TRUE(defaults.packets);
  EXPECT_FALSE(defaults.audio);
  for (const auto& row : rows) {
    Config config;
    EXPECT_EQ(set_option(config, "recording-method", row.text), "") << row.text;
    EXPECT_EQ(config.recorder.packets, row.packets) << row.text;
    EXPECT_EQ(config.recorder.audio, row.audio) << row.text;
  }
  Config config;
  EXPECT_EQ(set_option(config, "recording-method", "wav"), "'wav' is none of pcap, audio, all");
}

TEST(RecordingOptions, GoodAndBadValues) {
  const struct {
    const char* name;
    const char* good;
    const char* bad;
  } rows[] = {
      {"recording-dir", "/var/rec", "rec"},
      {"recording-dir", "/", ""},
      {"recording-format", "eth", "pcapng"},
      {"recording-audio-format", "mp3", "MP3"},
      {"recording-audio-layout", "separate", "mono"},
      {"recording-packet-files", "leg", "party"},
      {"recording-loss", "conceal", "repeat"},
      {"recording-dtmf", "silence", "beep"},
      {"recording-pattern", "%Y/%c", ""},
      {"recording-owner", "root", "no-such-user-here"},
      {"recording-owner", "4711", "-1"},
      {"recording-group", "0", "no-such-group-here"},
      {"recording-mode", "0600", "0999"},
      {"recording-hook", "/bin/true", "true"},
      {"recording-hook-limit", "256", "257"},
      {"recording-hook-limit", "1", "0"},
      {"recording-notify-url", "https://[2001:db8::1]:8443/x", "ftp://example.com"},
      {"recording-notify-tries", "100", "101"},
      {"recording-upload-url", "http://s3.example", "s3.example"},
      {"vsc-start-rec", "*1#", "*1x"},
      {"vsc-stop-rec", "0123456789*#ABCD", ""},
      {"codec-plugins", "/usr/lib/x", "./x"},
  };
  for (const auto& row : rows) {
    Config config;
    EXPECT_EQ(set_option(config, row.name, row.good), "") << row.name << " = " << row.good;
    const std::string wrong = set_option(config, row.name, row.bad);
    EXPECT_NE(wrong, "") << row.name << " = " << row.bad;
    EXPECT_FALSE(wrong.starts_with("not about the value")) << wrong;
  }
}

TEST(RecordingOptions, AUrlLosesItsLastSlashes) {
  Config config;
  EXPECT_EQ(set_option(config, "recording-upload-url", "https://s3.example//"), "");
  EXPECT_EQ(config.recorder.upload.endpoint, "https://s3.example");
}

TEST(RecordingOptions, EachCodeIsKeptForItsAction) {
  const std::pair<const char*, RecordingAction> rows[] = {
      {"vsc-start-rec", RecordingAction::kStart},
      {"vsc-stop-rec", RecordingAction::kStop},
      {"vsc-pause-rec", RecordingAction::kPause},
      {"vsc-start-stop-rec", RecordingAction::kStartStop},
      {"vsc-pause-resume-rec", RecordingAction::kPauseResume},
      {"vsc-start-pause-resume-rec", RecordingAction::kStartPauseResume}};
  Config config;
  for (const auto& [name, action] : rows)
    EXPECT_EQ(set_option(config, name, std::to_string(static_cast<unsigned>(action))), "");
  for (const auto& [name, action] : rows) {
    const auto place = static_cast<std::size_t>(action);
    EXPECT_EQ(config.session.recording_codes[place], std::to_string(place)) << name;
  }
}

// systemd.exec(5): several state directories stand with colons between them.
TEST(RecordingOptions, TheStateDirectoryIsTheFirstOneOfTheUnit) {
  const char* old = std::getenv("STATE_DIRECTORY");
  const std::string before = old == nullptr ? "" : old;
  const std::pair<const char*, const char*> rows[] = {{"/var/lib/a", "/var/lib/a"},
                                                      {"/var/lib/a:/var/lib/b", "/var/lib/a"},
                                                      {"", "/var/lib/rtpferry"},
                                                      {"relative", "/var/lib/rtpferry"}};
  for (const auto& [value, directory] : rows) {
    setenv("STATE_DIRECTORY", value, 1);
    EXPECT_EQ(default_state_directory(), directory) << value;
  }
  unsetenv("STATE_DIRECTORY");
  EXPECT_EQ(default_state_directory(), "/var/lib/rtpferry");
  if (old != nullptr) setenv("STATE_DIRECTORY", before.c_str(), 1);
}

}  // namespace
}  // namespace ferry::test::recording_options_test
