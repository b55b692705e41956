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
        "mqtt-publish-scope=media counts as call: a call's report has its medias in sum");
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
  {"event-webhook", 0, OptionKind::kList, add_webhook, "URL", "gets each event of a call by POST, at least once: it is tried again until the answer is 2xx, also after a restart (state-dir)", [](Config& c) { c.events.webhook.urls.clear(); }},
  {"event-webhook-secret", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.webhook.secret = v; return string(); }, "TEXT", "signs its events by HMAC-SHA256 (X-Rtpferry-Signature); better in the file than on the command line"},
  {"event-webhook-types", 0, OptionKind::kList, add_webhook_types, "TYPE", "types of events that it gets, as call-end (default all)", [](Config& c) { c.events.webhook.types.reset(); }},
  {"event-webhook-limit", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number<std::size_t>(v, c.events.webhook.limit, 100, 10'000'000); }, "N", "events that may wait for it; above that, or above 64 MiB, the oldest is dropped (default 100000)"},
  {"mqtt-host", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.host = v; return string(); }, "HOST", "MQTT broker that gets events (TOPIC/events/TYPE) and reports (TOPIC)"},
  {"mqtt-port", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number<std::uint16_t>(v, c.events.mqtt.port, 1, 65535); }, "PORT", "its port (default 1883, with TLS 8883)"},
  {"mqtt-id", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.id = v; return string(); }, "NAME", "name of this client (default: the broker makes one)"},
  {"mqtt-user", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.user = v; return string(); }, "NAME", "user at the broker"},
  {"mqtt-pass", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.password = v; return string(); }, "TEXT", "its password; better in the file than on the command line"},
  {"mqtt-keepalive", 0, OptionKind::kValue, read_keep_alive, "S", "the broker hears something at least so often (default 30)"},
  {"mqtt-cafile", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.ca_file = v; return string(); }, "FILE", "authorities of the broker's certificate (PEM); this and each option of TLS below make the connection TLS (default then: those of the host)"},
  {"mqtt-capath", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.ca_path = v; return string(); }, "DIR", "the same as a folder of hashed files (openssl rehash)"},
  {"mqtt-certfile", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.certificate = v; return string(); }, "FILE", "certificate of this client (PEM)"},
  {"mqtt-keyfile", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.key = v; return string(); }, "FILE", "its private key (PEM)"},
  {"mqtt-tls-alpn", 0, OptionKind::kValue, [](Config& c, string_view v) { c.events.mqtt.alpn = v; return string(); }, "NAME", "protocol in ALPN, for brokers behind a port of HTTPS"},
  {"mqtt-publish-topic", 0, OptionKind::kValue, read_topic, "TOPIC", "where reports are published, with events below it (default rtpferry)"},
  {"mqtt-publish-qos", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number(v, c.events.mqtt.qos, 0, 2); }, "0-2", "quality of service: 0 at most once, 1 at least once (default), 2 exactly once"},
  {"mqtt-publish-size", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number<std::size_t>(v, c.events.mqtt.largest, 1'024, 64'000'000); }, "OCTETS", "largest message; larger events are dropped, and reports have fewer calls (default 65536)"},
  {"mqtt-publish-interval", 0, OptionKind::kValue, read_interval, "MS", "time between reports (default 5000, 0 = no reports)"},
  {"mqtt-publish-scope", 0, OptionKind::kValue, read_scope, "SCOPE", "what reports are about: global (default) has the statistics, summary the list of calls too, call is one report for each call"},
};
// clang-format on

}  // namespace

std::span<const OptionRow> event_option_rows() { return kEventRows; }

}  // namespace ferry
