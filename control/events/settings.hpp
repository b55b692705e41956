// SPDX-License-Identifier: Apache-2.0
// Where events go, from the configuration.
#pragma once

#include "control/events/event_filter.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ferry::events {

/// Receivers that get each event by HTTP.
struct WebhookSettings {
  /// http:// or https:// URLs; empty = there is no receiver.
  std::vector<std::string> urls;
  /// Signs the bodies; empty = they are not signed.
  std::string secret;
  /// Types that are sent; none = all.
  std::bitset<kEventTypes> types;
  /// The most events that wait for one receiver; 64 MiB of them at most.
  std::size_t limit = 100'000;
};

/// What reports are about: the relay; the relay and its calls in one; each call.
enum class ReportScope : std::uint8_t { kGlobal, kSummary, kCall };

/// An MQTT broker that gets events and reports.
struct MqttSettings {
  /// Name or address; empty = there is no broker.
  std::string host;
  /// 0 = 1883, or 8883 with TLS.
  std::uint16_t port = 0;
  /// Name of this client; empty = the broker makes one.
  std::string id;
  std::string user;
  std::string password;
  /// File or folder with the authorities that the broker's certificate must come from (PEM). Both empty:
  /// those of the host. TLS is spoken if any option of TLS is set.
  std::string ca_file;
  std::string ca_path;
  /// Certificate and key of this client (PEM); empty = none.
  std::string certificate;
  std::string key;
  /// Name of the protocol in ALPN; empty = none.
  std::string alpn;
  /// Reports go to this topic, and events to topics below it.
  std::string topic = "rtpferry";
  /// Quality of service: 0 at most once, 1 at least once, 2 exactly once.
  int qos = 1;
  std::chrono::seconds keep_alive{30};
  /// Time between two reports; zero = none.
  std::chrono::milliseconds report_interval{5000};
  ReportScope scope = ReportScope::kGlobal;
  /// The largest message, in octets. Brokers end the connection if one is too large for them.
  std::size_t largest = 65'536;

  [[nodiscard]] bool has_tls() const {
    return !ca_file.empty() || !ca_path.empty() || !certificate.empty() || !key.empty() || !alpn.empty();
  }
  [[nodiscard]] std::uint16_t port_in_force() const {
    return port != 0 ? port : static_cast<std::uint16_t>(has_tls() ? 8883 : 1883);
  }
};

/// All of them.
struct EventSettings {
  /// Events of `dtmf` say which key was pressed.
  bool shows_digits = false;
  WebhookSettings webhook;
  MqttSettings mqtt;
};

}  // namespace ferry::events
