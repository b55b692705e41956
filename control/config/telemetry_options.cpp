// SPDX-License-Identifier: Apache-2.0
// Options of what other systems are told: names of metrics, Graphite, InfluxDB, Homer. No error repeats a
// text that may have a password in it: errors go to logs.

#include "control/config/config.hpp"
#include "control/config/option_row.hpp"
#include "control/config/readers.hpp"

#include <algorithm>
#include <array>

namespace ferry {

namespace {

using std::string;
using std::string_view;

/// Reads `HOST:PORT` or a port alone, which is one of this host. An IPv6 address stands in brackets.
string read_server(string_view text, ServerName& target) {
  const auto colon = text.rfind(':');
  string_view host = colon == string_view::npos ? string_view("127.0.0.1") : text.substr(0, colon);
  const string_view port = colon == string_view::npos ? text : text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != string_view::npos && host.find('@') == string_view::npos) {
    return fmt::format("'{}': an IPv6 address stands in brackets, as [2001:db8::1]:2003", text);
  }
  const auto is_bad = [](unsigned char c) {
    return std::isalnum(c) == 0 && c != '.' && c != '-' && c != '_' && c != ':';
  };
  ServerName server;
  if (host.empty() || std::ranges::any_of(host, is_bad) ||
      !read_number<std::uint16_t>(port, server.port, 1, 65535).empty())
    return text.find('@') == string_view::npos ? fmt::format("'{}' is no HOST:PORT", text)
                                               : string("the value is no HOST:PORT");
  server.host = host;
  target = std::move(server);
  return {};
}

bool has_bad_character(string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c <= ' ' || c > '~'; });
}

/// Begins of names must not break a line of the protocol.
string read_prefix(string_view text, string& target) {
  if (has_bad_character(text)) return fmt::format("'{}' has a character that cannot stand in a name", text);
  target = text;
  return {};
}

/// Tokens and passwords.
string read_secret(string_view text, string& target) {
  if (has_bad_character(text)) return "the value has a character that cannot stand there";
  target = text;
  return {};
}

string read_interval(string_view text, std::chrono::seconds& target) {
  std::int64_t seconds = 0;
  string wrong = read_number<std::int64_t>(text, seconds, 1, 86'400);
  if (wrong.empty()) target = std::chrono::seconds(seconds);
  return wrong;
}

string read_influx_url(Config& c, string_view text) {
  if (!text.starts_with("http://") && !text.starts_with("https://"))
    return "the value is no http:// or https:// URL";
  if (has_bad_character(text)) return "the URL has a character that cannot stand there";
  c.telemetry.influx.url = text;
  return {};
}

string read_transport(Config& c, string_view text) {
  string small(text);
  std::ranges::transform(small, small.begin(), [](unsigned char ch) { return std::tolower(ch); });
  static constexpr std::array<std::pair<string_view, HomerTransport>, 3> kWords = {
      {{"udp", HomerTransport::kUdp}, {"tcp", HomerTransport::kTcp}, {"tls", HomerTransport::kTls}}};
  return read_word(small, c.telemetry.homer.transport, kWords);
}

string read_no_reports(Config& c, string_view text) {
  bool is_off = false;
  string wrong = set_switch(is_off, text);
  if (wrong.empty()) c.telemetry.homer.sends_reports = !is_off;
  return wrong;
}

constexpr std::array<std::pair<string_view, MetricNames>, 3> kNames = {
    {{"rtpferry", MetricNames::kRtpferry},
     {"rtpengine", MetricNames::kRtpengine},
     {"both", MetricNames::kBoth}}};

// clang-format off
constexpr OptionRow kTelemetryRows[] = {
  {"metrics-names", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_word(v, c.telemetry.names, kNames); }, "WHOSE", "names of the metrics at /metrics and for influxdb-url: rtpferry (default), rtpengine (for dashboards that were made for it), both"},
  {"graphite", 'g', OptionKind::kValue, [](Config& c, string_view v) { return read_server(v, c.telemetry.graphite.server); }, "HOST:PORT", "Graphite server that gets figures by rtpengine's names, over TCP; a port alone is one of this host"},
  {"graphite-interval", 'G', OptionKind::kValue, [](Config& c, string_view v) { return read_interval(v, c.telemetry.graphite.interval); }, "S", "time between two reports to Graphite (default 60)"},
  {"graphite-prefix", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_prefix(v, c.telemetry.graphite.prefix); }, "TEXT", "text before each name that Graphite gets, with its dot, such as relay1."},
  {"graphite-timeout", 0, OptionKind::kValue, [](Config& c, string_view v) {
     std::int64_t seconds = 0;
     string wrong = read_number<std::int64_t>(v, seconds, 0, 3600);
     // 0 is no limit where the option comes from; the relay has one in any case.
     if (wrong.empty() && seconds > 0) c.telemetry.graphite.timeout = std::chrono::seconds(seconds);
     return wrong;
   }, "S", "time after which the relay gives up a connection to Graphite that is not there or takes nothing, and tries again (default 10)"},
  {"influxdb-url", 0, OptionKind::kValue, read_influx_url, "URL", "InfluxDB that gets all metrics by its line protocol, such as http://HOST:8086/write?db=NAME or http://HOST:8086/api/v2/write?org=ORG&bucket=BUCKET"},
  {"influxdb-token", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_secret(v, c.telemetry.influx.token); }, "TEXT", "token that InfluxDB asks for; better in the file than on the command line"},
  {"influxdb-interval", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_interval(v, c.telemetry.influx.interval); }, "S", "time between two reports to InfluxDB (default 10)"},
  {"homer", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_server(v, c.telemetry.homer.server); }, "HOST:PORT", "Homer server that gets RTCP reports and the quality of calls, by HEP version 3; they name Call-IDs and addresses"},
  {"homer-protocol", 0, OptionKind::kValue, read_transport, "udp|tcp|tls", "how reports go to Homer (default udp); with tls the relay checks Homer's certificate"},
  {"homer-id", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number<std::uint32_t>(v, c.telemetry.homer.id, 0, UINT32_MAX); }, "N", "number of this relay as a capture agent of Homer (default 0)"},
  {"homer-password", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_secret(v, c.telemetry.homer.password); }, "TEXT", "authentication key that Homer asks for; better in the file than on the command line"},
  {"homer-ca", 0, OptionKind::kValue, [](Config& c, string_view v) { c.telemetry.homer.ca_file = v; return string(); }, "FILE", "authorities (PEM) that Homer's certificate may come from with tls (default: those of the host)"},
  {"homer-disable-rtcp-stats", 0, OptionKind::kSwitch, read_no_reports, "", "send Homer no RTCP reports and no quality of calls"},
  {"homer-enable-ng", 0, OptionKind::kSwitch, [](Config& c, string_view v) { return set_switch(c.telemetry.homer.sends_ng, v); }, "", "send Homer messages of the NG protocol and their replies as JSON, without keys and passwords"},
  {"homer-ng-capture-proto", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number<std::uint8_t>(v, c.telemetry.homer.ng_type, 1, 255); }, "1-255", "protocol type of the NG messages that Homer gets (default 61)"},
};
// clang-format on

}  // namespace

std::span<const OptionRow> telemetry_option_rows() { return kTelemetryRows; }

}  // namespace ferry
