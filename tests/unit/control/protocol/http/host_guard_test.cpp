// SPDX-License-Identifier: Apache-2.0
// Names by which HTTP clients may call this host (CTL-13).

#include "control/protocol/http/host_guard.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using http::HostGuard;
using http::Request;

const HostGuard& guard() {
  static const HostGuard all({"relay1", "relay1.example.net", "*.voice.example", "Full.Example."});
  return all;
}

TEST(HostGuard, CTL13_TableOfHosts) {
  const struct {
    const char* host;
    bool is_known;
  } rows[] = {
      // Addresses, with and without a port.
      {"127.0.0.1", true},
      {"127.0.0.1:2225", true},
      {"192.0.2.1:80", true},
      {"[::1]", true},
      {"[::1]:2225", true},
      {"[2001:db8::5]:1", true},
      {"[::ffff:192.0.2.1]", true},
      // Our names.
      {"localhost", true},
      {"LOCALHOST:2225", true},
      {"localhost.", true},
      {"localhost.:2225", true},
      {"relay1", true},
      {"Relay1.Example.NET:443", true},
      {"relay1.example.net.", true},
      {"full.example", true},
      {"full.example.:9", true},
      {"a.voice.example", true},
      {"A.VOICE.example.:5", true},
      {"relay1:", true},  // RFC 3986 §3.2.3: a port may be empty
      // Others'.
      {"evil.example", false},
      {"evil.example:2225", false},
      {"localhost.evil.example", false},
      {"relay1.example.net.evil.example", false},
      {"xrelay1", false},
      {"voice.example", false},
      {".voice.example", false},
      {"a.b.voice.example", false},
      {"127.0.0.1.nip.example", false},
      {"2130706433", false},
      {"0x7f.1", false},
      {"127.1", false},
      // None at all.
      {"", false},
      {":2225", false},
      {".", false},
      {"localhost..", false},
      {"localhost:80:80", false},
      {"localhost:port", false},
      {"localhost:123456", false},
      {"localhost 80", false},
      {"localhost,evil.example", false},
      {"evil.example@localhost", false},
      {"user@localhost", false},
      {"localhost/", false},
      {"localhost\\evil", false},
      {"::1", false},
      {"[::1", false},
      {"[::1]x", false},
      {"[::1]:x", false},
      {"[localhost]", false},
      {"[::1%25eth0]", false},
      {"relay1\xc2\xa0", false},
  };
  for (const auto& row : rows) EXPECT_EQ(guard().knows(row.host), row.is_known) << "'" << row.host << "'";
}

TEST(HostGuard, CTL13_TheTargetIsLookedAtToo) {
  const struct {
    std::optional<std::string> authority;
    std::optional<std::string> host;
    std::optional<std::string> foreign;
  } rows[] = {
      {std::nullopt, "localhost", std::nullopt},
      {std::nullopt, "evil.example", "evil.example"},
      {std::nullopt, std::nullopt, std::nullopt},  // HTTP/1.0
      {std::nullopt, "", ""},
      {"localhost", "localhost", std::nullopt},
      {"evil.example", "localhost", "evil.example"},
      {"localhost", "evil.example", "evil.example"},
      {"", "localhost", ""},
      {"user@localhost", "localhost", "user@localhost"},
  };
  for (const auto& row : rows) {
    Request request;
    request.authority = row.authority;
    if (row.host) request.headers.emplace_back("hOST", *row.host);
    EXPECT_EQ(guard().foreign_name(request), row.foreign)
        << row.authority.value_or("-") << row.host.value_or("-");
  }
}

TEST(HostGuard, CTL13_MetricsAreServedUnderTheNameOfAContainer) {
  const struct {
    const char* method;
    const char* target;
    const char* upgrade;
    const char* host;
    bool is_served;
  } rows[] = {
      {"GET", "/metrics", "", "rtpferry:2225", true},      {"GET", "/metrics", "", "x", true},
      {"GET", "/metrics", "", "evil.example", false},      {"GET", "/metrics", "", "rtpferry.evil", false},
      {"GET", "/metrics", "", "user@rtpferry", false},     {"GET", "/metrics", "", "", false},
      {"GET", "/metrics", "websocket", "rtpferry", false}, {"GET", "/metrics/../ws", "", "rtpferry", false},
      {"GET", "/metrics?x", "", "rtpferry", false},        {"GET", "/ping", "", "rtpferry", false},
      {"POST", "/metrics", "", "rtpferry", false},         {"POST", "/ng-plain", "", "rtpferry", false},
  };
  for (const auto& row : rows) {
    Request request;
    request.method = row.method;
    request.target = row.target;
    request.headers.emplace_back("Host", row.host);
    if (*row.upgrade != 0) request.headers.emplace_back("Upgrade", row.upgrade);
    EXPECT_EQ(!guard().foreign_name(request), row.is_served)
        << row.method << " " << row.target << " " << row.host;
    request.authority = row.host;
    EXPECT_EQ(!guard().foreign_name(request), row.is_served) << "in the target: " << row.host;
  }
}

TEST(HostGuard, CTL13_OneHostAndNoMore) {
  const struct {
    int minor_version;
    int hosts;
    bool is_good;
  } rows[] = {{1, 0, false}, {1, 1, true}, {1, 2, false}, {0, 0, true}, {0, 1, true}, {0, 2, false}};
  for (const auto& row : rows) {
    Request request;
    request.minor_version = row.minor_version;
    for (int n = 0; n < row.hosts; ++n) request.headers.emplace_back(n == 0 ? "Host" : "host", "localhost");
    EXPECT_EQ(http::has_good_host_count(request), row.is_good) << row.minor_version << " " << row.hosts;
  }
}

TEST(HostGuard, CTL13_NamesOfTheHost) {
  const char* hosts =
      "# comment\n127.0.0.1 localhost\n127.0.1.1\tRelay1.example.net relay1 voice # relay2\n"
      "192.0.2.9 other relay10\n::1 relay1-six relay1\r\n\nbroken\n";
  using Names = std::vector<std::string>;
  EXPECT_EQ(http::names_of_host("relay1", hosts),
            (Names{"relay1", "relay1", "Relay1.example.net", "relay1", "voice", "relay1-six", "relay1"}));
  EXPECT_EQ(http::names_of_host("relay9.example.net", hosts), (Names{"relay9.example.net", "relay9"}));
  EXPECT_EQ(http::names_of_host("", hosts), Names{});
}

}  // namespace
}  // namespace ferry::test
