// SPDX-License-Identifier: Apache-2.0
// Options about events.
#include "control/config/config.hpp"

#include <gtest/gtest.h>

namespace ferry::event_options_test {
namespace {

/// The configuration of one option, or the sentence about its value.
Result<Config, std::string> load(std::string_view name, std::string_view value) {
  Config config;
  const OptionRow* row = find_option(name);
  if (row == nullptr) return fail(std::string("unknown"));
  if (auto wrong = apply_option(config, *row, value); !wrong.empty()) return fail(std::move(wrong));
  return config;
}

TEST(EventOptions, WebhooksAreAListOfUrls) {
  const auto config = load("event-webhook", "http://a.example/x?y=1; https://[::1]:8443");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->events.webhook.urls,
            (std::vector<std::string>{"http://a.example/x?y=1", "https://[::1]:8443"}));
  for (const char* bad :
       {"a.example", "ftp://a", "http://", "http:///x", "http://a b", "https//a", "ftp://me:secret@a"}) {
    const auto wrong = load("event-webhook", bad);
    ASSERT_FALSE(wrong) << bad;
    EXPECT_NE(wrong.error().find("is no http:// or https:// URL"), std::string::npos) << wrong.error();
    EXPECT_EQ(wrong.error().find("secret"), std::string::npos) << wrong.error();
  }
}

TEST(EventOptions, TypesAndLimitOfWebhooks) {
  const auto config = load("event-webhook-types", "call-start; call-end,dtmf");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->events.webhook.types.count(), 3u);
  EXPECT_NE(load("event-webhook-types", "call").error().find("is no type of event"), std::string::npos);
  EXPECT_EQ(load("event-webhook-limit", "500")->events.webhook.limit, 500u);
  EXPECT_FALSE(load("event-webhook-limit", "1"));
}

TEST(EventOptions, TheBrokersPortFollowsFromTls) {
  events::MqttSettings mqtt = load("mqtt-host", "broker.example")->events.mqtt;
  EXPECT_EQ(mqtt.port_in_force(), 1883);
  mqtt = load("mqtt-cafile", "/etc/ssl/ca.pem")->events.mqtt;
  EXPECT_TRUE(mqtt.has_tls());
  EXPECT_EQ(mqtt.port_in_force(), 8883);
  EXPECT_TRUE(load("mqtt-tls-alpn", "mqtt")->events.mqtt.has_tls());
  EXPECT_EQ(load("mqtt-port", "18830")->events.mqtt.port_in_force(), 18830);
}

TEST(EventOptions, WhatCannotBePublishedIsASentence) {
  EXPECT_EQ(load("mqtt-publish-topic", "a/b")->events.mqtt.topic, "a/b");
  for (const char* bad : {"", "a/#", "+/b"}) EXPECT_FALSE(load("mqtt-publish-topic", bad)) << bad;
  EXPECT_EQ(load("mqtt-publish-qos", "2")->events.mqtt.qos, 2);
  EXPECT_FALSE(load("mqtt-publish-qos", "3"));
  EXPECT_EQ(load("mqtt-publish-interval", "0")->events.mqtt.report_interval.count(), 0);
  EXPECT_EQ(load("mqtt-publish-interval", "50")->events.mqtt.report_interval.count(), 100);
  EXPECT_FALSE(load("mqtt-publish-interval", "x"));
  EXPECT_EQ(load("mqtt-keepalive", "1")->events.mqtt.keep_alive.count(), 5);
}

TEST(EventOptions, DigitsAreToldOnlyOnRequestAndMessagesHaveASize) {
  EXPECT_FALSE(Config().events.shows_digits);
  EXPECT_TRUE(load("event-digits", "yes")->events.shows_digits);
  EXPECT_EQ(Config().events.mqtt.largest, 65'536u);
  EXPECT_EQ(load("mqtt-publish-size", "2000")->events.mqtt.largest, 2000u);
  EXPECT_FALSE(load("mqtt-publish-size", "10"));
}

TEST(EventOptions, ReportsOfMediaCountAsReportsOfCalls) {
  EXPECT_EQ(load("mqtt-publish-scope", "summary")->events.mqtt.scope, events::ReportScope::kSummary);
  const auto config = load("mqtt-publish-scope", "media");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->events.mqtt.scope, events::ReportScope::kCall);
  EXPECT_EQ(config->notices.size(), 1u);
  EXPECT_FALSE(load("mqtt-publish-scope", "all"));
}

}  // namespace
}  // namespace ferry::event_options_test
