// SPDX-License-Identifier: Apache-2.0
// Options about events: webhooks, and an MQTT broker. Options of the broker have rtpengine's names.

#include "control/config/config.hpp"
#include "control/config/option_row.hpp"
#include "control/config/readers.hpp"

#include <algorithm>

namespace ferry {

namespace {

using std::string;
using std::string_view;

string add_webhook(Config& config, string_view text) {
  const auto scheme = text.find("://");
  const bool is_url = (text.starts_with("http://") || text.starts_with("https://")) &&
                      text.size() > scheme + 3 && text[scheme + 3] != '/';
  const bool is_clean = std::ranges::none_of(text, [](char c) { return c <= ' ' || c == 0x7f; });
  // A URL may have a password.
  if (!is_url || !is_clean)
    return "this is no http:// or https:// URL (it is not shown, as it may have a password)";
  config.events.webhook.urls.emplace_back(text);
  return {};
}

string add_webhook_types(Config& config, string_view text) {
  events::EventFilter filter;
  const auto added = events::add_types(filter, text);
  if (!added) return added.error();
  config.events.webhook.types |= filter.types;
  return {};
}

/// A topic to publish at has no wildcards (MQTT 3.1.1, "Topic wildcards").
string read_topic(Config& config, string_view text) {
  if (text.empty() || text.size() > 1000 || text.find_first_of(string_view("#+\0", 3)) != string_view::npos)
    return fmt::format("'{}' is no topic to publish at (it has no # and no +)", text);
  config.events.mqtt.topic = text;
  return {};
}

string read_scope(Config& config, string_view text) {
  using events::ReportScope;
  static constexpr std::array kScopes = {std::pair{string_view("global"), ReportScope::kGlobal},
                                         std::pair{string_view("summary"), ReportScope::kSummary},
                                         std::pair{string_view("call"), ReportScope::kCall}};
  if (text == "media") {
    config.notices.emplace_back(
        "mqtt-publish-scope=media is taken as call: the report of a call has the sums of its medias");
    text = "call";
  }
  return read_word(text, config.events.mqtt.scope, kScopes);
}

string read_interval(Config& config, string_view text) {
  std::uint32_t ms = 0;
  string wrong = read_number(text, ms, 0u, 86'400'000u);
  // The relay looks at the time every 100 ms.
  if (ms > 0 && ms < 100) ms = 100;
  if (wrong.empty()) config.events.mqtt.report_interval = std::chrono::milliseconds(ms);
  return wrong;
}

string read_keep_alive(Config& config, string_view text) {
  std::uint16_t seconds = 0;
  string wrong = read_number<std::uint16_t>(text, seconds, 0, 65535);
  // libmosquitto takes no less.
  if (wrong.empty())
    config.events.mqtt.keep_alive = std::chrono::seconds(std::max<std::uint16_t>(seconds, 5));
  return wrong;
}

// clang-format off
constexpr OptionRow kEventRows[] = {
  {"event-digits", 0, OptionKind::kSwitch, [](Config& c, string_view v) { return set_switch(c.events.shows_digits, v); }, "", "events of dtmf say which key was pressed, but never while a recording of the call is paused or digits are guarded (default no)"},
  {"event-webhook", 0, OptionKind::kList, add_webhook, "URL", "server that gets each event of a call by POST, at least once: the relay tries again until the answer is 2xx, also after a restart (state-dir)", [](Config& c) { c.events.webhook.urls.clear(); }},
  {"event-webhook-secret", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.webhook.secret = v; return string(); }, "TEXT", "key that signs the events of webhooks by HMAC-SHA256 (X-Rtpferry-Signature); better in the file than on the command line"},
  {"event-webhook-types", 0, OptionKind::kList, add_webhook_types, "TYPE", "types of events that webhooks get, such as call-end (default all)", [](Config& c) { c.events.webhook.types.reset(); }},
  {"event-webhook-limit", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number<std::size_t>(v, c.events.webhook.limit, 100, 10'000'000); }, "N", "events that may wait for a webhook; above that, or above 64 MiB, the relay drops the oldest (default 100000)"},
  {"mqtt-host", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.host = v; return string(); }, "HOST", "MQTT broker that gets events (TOPIC/events/TYPE) and reports (TOPIC)"},
  {"mqtt-port", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number<std::uint16_t>(v, c.events.mqtt.port, 1, 65535); }, "PORT", "port of the MQTT broker (default 1883, with TLS 8883)"},
  {"mqtt-id", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.id = v; return string(); }, "NAME", "name of this relay at the MQTT broker (default: the broker makes one)"},
  {"mqtt-user", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.user = v; return string(); }, "NAME", "user at the MQTT broker"},
  {"mqtt-pass", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.password = v; return string(); }, "TEXT", "password of mqtt-user; better in the file than on the command line"},
  {"mqtt-keepalive", 0, OptionKind::kValue, read_keep_alive, "S", "longest time in which the MQTT broker hears nothing (default 30, at least 5)"},
  {"mqtt-cafile", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.ca_file = v; return string(); }, "FILE", "authorities of the MQTT broker's certificate (PEM); this and each other file or name of TLS make the connection TLS (default then: the host's authorities)"},
  {"mqtt-capath", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.ca_path = v; return string(); }, "DIR", "folder of such authorities as hashed files (openssl rehash); the connection is TLS then"},
  {"mqtt-certfile", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.certificate = v; return string(); }, "FILE", "certificate of this relay for the MQTT broker (PEM)"},
  {"mqtt-keyfile", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.key = v; return string(); }, "FILE", "private key of mqtt-certfile (PEM)"},
  {"mqtt-tls-alpn", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.alpn = v; return string(); }, "NAME", "protocol in ALPN, for MQTT brokers behind a port of HTTPS"},
  {"mqtt-publish-topic", 0, OptionKind::kValue, read_topic, "TOPIC", "topic of reports; events are published below it (default rtpferry)"},
  {"mqtt-publish-qos", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number(v, c.events.mqtt.qos, 0, 2); }, "0-2", "quality of service of MQTT: 0 at most once, 1 at least once (default), 2 exactly once"},
  {"mqtt-publish-size", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number<std::size_t>(v, c.events.mqtt.largest, 1'024, 64'000'000); }, "OCTETS", "largest MQTT message; the relay drops larger events, and leaves calls out of larger reports (default 65536)"},
  {"mqtt-publish-interval", 0, OptionKind::kValue, read_interval, "MS", "time between two reports over MQTT (default 5000, 0 = no reports)"},
  {"mqtt-publish-scope", 0, OptionKind::kValue, read_scope, "SCOPE", "contents of reports over MQTT: global (default) is the statistics, summary adds the list of calls, call is a report for each call without statistics"},
};
// clang-format on

}  // namespace

std::span<const OptionRow> event_option_rows() { return kEventRows; }

}  // namespace ferry
