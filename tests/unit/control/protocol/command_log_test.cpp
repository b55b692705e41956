// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/command_log.hpp"

#include "control/log/log.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

TEST(CommandLog, OneLineSaysWhoDidWhatToWhichPortsAndHowLongItTook) {
  CommandReport report{.protocol = "NG", .command = "offer", .call_id = "c", .from_tag = "alice"};
  report.client = IpAddress::v4({192, 0, 2, 7});
  report.local = "audio 198.51.100.1:30000";
  report.time = 1'234'000ns;
  EXPECT_EQ(describe(report), "offer from alice: ok, audio 198.51.100.1:30000 (NG from 192.0.2.7, 1.23 ms)");
  report.to_tag = "bob";
  report.warning = "There is no interface 'pub'";
  EXPECT_EQ(describe(report),
            "offer from alice to bob: ok, audio 198.51.100.1:30000; There is no interface 'pub' (NG from "
            "192.0.2.7, 1.23 ms)");
  report.local = report.warning = {};
  report.refusal = "Ran out of ports";
  EXPECT_EQ(describe(report),
            "offer from alice to bob: refused: Ran out of ports (NG from 192.0.2.7, 1.23 ms)");
}

// Text from outside stays on its line and sends no control characters to a terminal.
TEST(CommandLog, TagsAreMadeSafe) {
  const CommandReport report{
      .protocol = "NG", .command = "delete", .from_tag = "a\r\nb", .client = IpAddress::v4({127, 0, 0, 1})};
  EXPECT_EQ(describe(report), "delete from a\\x0d\\x0ab: ok (NG from 127.0.0.1, 0.00 ms)");
}

// A media type is whatever the party wrote, and a reason may repeat a word of the request.
TEST(CommandLog, CTL14_WordsOfSdpAndOfReasonsAreMadeSafe) {
  const std::string ports =
      ports_in_sdp("c=IN IP4 192.0.2.1\r\nm=a\x1b[2Ju 9 RTP/AVP 0\r\nm=\x9b\x7f 0 x\r\n");
  const CommandReport report{.command = "offer",
                             .client = IpAddress::v4({127, 0, 0, 1}),
                             .refusal = "no 'a\nb'",
                             .warning = "odd \x1b]0;x\x07",
                             .local = ports};
  const std::string line = describe(report);
  EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= 0x20 && c < 0x7f; })) << line;
  EXPECT_NE(line.find("no 'a\\x0ab'"), std::string::npos) << line;
  EXPECT_NE(line.find("a\\x1b[2Ju 192.0.2.1:9"), std::string::npos) << line;
}

TEST(CommandLog, ALineIsMadeOnlyIfItsLevelIsWritten) {
  const int before = log::level_of(log::Subsystem::kControl);
  const struct {
    int level;
    bool question, change, warning, refusal;
  } rows[] = {{7, true, true, true, true},
              {6, false, true, true, true},
              {4, false, false, true, true},
              {3, false, false, false, false}};
  for (const auto& row : rows) {
    log::set_level(log::Subsystem::kControl, row.level);
    CommandReport report{.command = "offer"};
    EXPECT_EQ(is_logged(report), row.change) << row.level;
    report.changes = false;
    EXPECT_EQ(is_logged(report), row.question) << row.level;
    report.warning = "odd";
    EXPECT_EQ(is_logged(report), row.warning) << row.level;
    report.warning = {};
    report.refusal = "no";
    EXPECT_EQ(is_logged(report), row.refusal) << row.level;
  }
  log::set_level(log::Subsystem::kControl, before);
}

TEST(CommandLog, PortsAreThoseThatTheSdpShows) {
  const struct {
    const char* sdp;
    const char* ports;
  } rows[] = {
      {"", ""},
      {"v=0\r\ns=-\r\n", ""},
      {"c=IN IP4 192.0.2.1\r\nm=audio 30000 RTP/AVP 0\r\n", "audio 192.0.2.1:30000"},
      {"m=audio 30000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n", "audio 192.0.2.1:30000"},
      {"c=IN IP6 2001:db8::1\nm=audio 30000 RTP/AVP 0\nm=video 0 RTP/AVP 96\n",
       "audio [2001:db8::1]:30000, video off"},
      {"c=IN IP4 192.0.2.1\r\nm=audio 30000/2 RTP/AVP 0\r\nc=IN IP4 192.0.2.9\r\nm=",
       "audio 192.0.2.9:30000/2,  192.0.2.1:"},
  };
  for (const auto& row : rows) EXPECT_EQ(ports_in_sdp(row.sdp), row.ports) << row.sdp;
  std::string many;
  for (int i = 0; i < 10; ++i) many += "m=audio 1 RTP/AVP 0\r\n";
  EXPECT_TRUE(ports_in_sdp(many).ends_with(" and 2 more"));
}

}  // namespace
}  // namespace ferry::test
