// SPDX-License-Identifier: Apache-2.0
// Options of what other systems are told.
#include "control/config/config.hpp"
#include "tests/unit/control/config/option_reading.hpp"

#include <gtest/gtest.h>

namespace ferry::test::telemetry_options_test {
namespace {

TEST(TelemetryOptions, GoodAndBadValues) {
  const struct {
    const char* name;
    const char* good;
    const char* bad;
  } rows[] = {
      {"metrics-names", "both", "all"},
      {"metrics-names", "rtpengine", ""},
      {"graphite", "graphite.example.net:2003", "graphite.example.net"},
      {"graphite", "2003", "0"},
      {"graphite", "[2001:db8::1]:2003", "2001:db8::1:2003"},
      {"graphite", "127.0.0.1:65535", "127.0.0.1:65536"},
      {"graphite-interval", "1", "0"},
      {"graphite-prefix", "relay1.", "two words"},
      {"graphite-timeout", "0", "-1"},
      {"influxdb-url", "https://db.example.net:8086/api/v2/write?org=a&bucket=b", "db.example.net:8086"},
      {"influxdb-url", "http://127.0.0.1:8086/write?db=x", "http://a b/"},
      {"influxdb-token", "abc==", "a\nb"},
      {"influxdb-interval", "10", "soon"},
      {"homer", "192.0.2.9:9060", ":9060"},
      {"homer", "homer:9060", "http://homer:9060"},
      {"homer-protocol", "TLS", "sctp"},
      {"homer-id", "4294967295", "4294967296"},
      {"homer-password", "secret", "se cret"},
      {"homer-ng-capture-proto", "61", "0"},
      {"homer-enable-ng", "yes", "perhaps"},
      {"homer-disable-rtcp-stats", "no", "perhaps"},
  };
  for (const auto& row : rows) {
    Config config;
    EXPECT_EQ(set_option(config, row.name, row.good), "") << row.name << " = " << row.good;
    EXPECT_NE(set_option(config, row.name, row.bad), "") << row.name << " = " << row.bad;
  }
}

TEST(TelemetryOptions, NoErrorRepeatsASecret) {
  const struct {
    const char* name;
    const char* bad;
  } rows[] = {
      {"influxdb-url", "ftp://user:hush@db.example.net/write"},
      {"influxdb-url", "user:hush@db.example.net"},
      {"influxdb-url", "http://user:hush@db.example.net/a b"},
      {"influxdb-token", "hush hush"},
      {"homer-password", "hush hush"},
      {"homer", "user:hush@homer:9060"},
      {"graphite", "tcp://user:hush@graphite:2003"},
      {"graphite", "hush@graphite"},
  };
  for (const auto& row : rows) {
    Config config;
    const std::string wrong = set_option(config, row.name, row.bad);
    EXPECT_NE(wrong, "") << row.bad;
    EXPECT_EQ(wrong.find("hush"), std::string::npos) << wrong;
  }
}

TEST(TelemetryOptions, ValuesAreKeptWhereTheyAreRead) {
  Config config;
  set_option(config, "graphite", "[2001:db8::1]:2003");
  EXPECT_EQ(config.telemetry.graphite.server.host, "2001:db8::1");
  EXPECT_EQ(config.telemetry.graphite.server.port, 2003);
  set_option(config, "graphite", "2004");
  EXPECT_EQ(config.telemetry.graphite.server.host, "127.0.0.1");
  set_option(config, "graphite-timeout", "0");
  EXPECT_EQ(config.telemetry.graphite.timeout, GraphiteSettings().timeout) << "never without a limit";
  set_option(config, "homer-protocol", "tcp");
  EXPECT_EQ(config.telemetry.homer.transport, HomerTransport::kTcp);
  EXPECT_TRUE(config.telemetry.homer.sends_reports);
  set_option(config, "homer-disable-rtcp-stats", "");
  EXPECT_FALSE(config.telemetry.homer.sends_reports);
  EXPECT_FALSE(config.telemetry.homer.sends_ng);
  set_option(config, "homer-enable-ng", "true");
  EXPECT_TRUE(config.telemetry.homer.sends_ng);
  EXPECT_EQ(config.telemetry.homer.ng_type, 61);
  EXPECT_EQ(config.telemetry.names, MetricNames::kRtpferry);
}

TEST(TelemetryOptions, NothingIsSentAnywhereByDefault) {
  const TelemetrySettings defaults;
  EXPECT_FALSE(defaults.graphite.server.is_set());
  EXPECT_FALSE(defaults.homer.server.is_set());
  EXPECT_TRUE(defaults.influx.url.empty());
}

}  // namespace
}  // namespace ferry::test::telemetry_options_test
