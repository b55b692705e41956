// SPDX-License-Identifier: Apache-2.0
// Settings of everything that tells other systems how the relay is: names of metrics, Graphite, InfluxDB,
// Homer.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace ferry {

/// By which names `/metrics` shows the figures.
enum class MetricNames : std::uint8_t { kRtpferry, kRtpengine, kBoth };

/// A server by its name or address.
struct ServerName {
  /// Host name or address, an IPv6 address without brackets; empty = there is none.
  std::string host;
  std::uint16_t port = 0;
  [[nodiscard]] bool is_set() const { return !host.empty(); }
};

/// Graphite, by its plaintext protocol over TCP.
struct GraphiteSettings {
  ServerName server;
  std::chrono::seconds interval{60};
  /// Begin of each name.
  std::string prefix;
  /// How long a connection may take to be set up, and to take what is sent.
  std::chrono::seconds timeout{10};
};

/// InfluxDB, by its line protocol over HTTP.
struct InfluxSettings {
  /// URL that lines are posted to, with the database or bucket; empty = there is none.
  std::string url;
  /// Token of InfluxDB 2 and later: a secret; empty = none.
  std::string token;
  std::chrono::seconds interval{10};
};

/// How HEP gets to Homer.
enum class HomerTransport : std::uint8_t { kUdp, kTcp, kTls };

/// Homer, by HEP version 3.
struct HomerSettings {
  ServerName server;
  HomerTransport transport = HomerTransport::kUdp;
  /// Which capture agent this is.
  std::uint32_t id = 0;
  /// Secret that a collector may ask for; empty = none.
  std::string password;
  /// RTCP reports and the quality of streams are sent.
  bool sends_reports = true;
  /// Messages of the NG protocol and replies are sent, without keys and passwords.
  bool sends_ng = false;
  /// Protocol type of those.
  std::uint8_t ng_type = 0x3d;
  /// PEM file with the authorities that the collector's certificate may come from; empty = those of the host.
  std::string ca_file;
};

struct TelemetrySettings {
  MetricNames names = MetricNames::kRtpferry;
  GraphiteSettings graphite;
  InfluxSettings influx;
  HomerSettings homer;
};

}  // namespace ferry
