// SPDX-License-Identifier: Apache-2.0
// Messages wait in `waiting_`, which only the control thread touches. `go_on` hands them to libmosquitto
// while the broker is there and few of them are under way. libmosquitto's own thread connects, sends, and
// calls `on_connect`, `on_disconnect` and the callback of a publication. These change only atomics, and may
// log.
//
// The end must not wait for a broker that does not answer. A detached thread stops libmosquitto, and if that
// takes too long, the client stays until the process ends.
#include "control/protocol/events/mqtt_publisher.hpp"

#include "control/log/log.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <mosquitto.h>

namespace ferry::events {

namespace {

using namespace std::chrono_literals;

constexpr unsigned kLongestPause = 60;
constexpr Duration kTellDropsAgain = 10s;
constexpr Duration kTimeToLeave = 1s;
constexpr Duration kTimeToStop = 2s;
/// Without a connection libmosquitto may be in a pause between two attempts, which nothing ends.
constexpr Duration kTimeToStopAlone = 200ms;
/// How long a broker may be away until the log says so.
constexpr Duration kTimeToConnect = 5s;

Instant now_of_mqtt() { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }

std::string text_of_error(int error) {
  return error == MOSQ_ERR_ERRNO ? std::strerror(errno) : mosquitto_strerror(error);
}

const char* or_null(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

/// Gives the settings to a new client. Returns a sentence if they cannot work, else an empty text.
std::string take_settings(mosquitto* client, const MqttSettings& settings) {
  std::string fault;
  const auto check = [&](int error, std::string_view option) {
    if (error != MOSQ_ERR_SUCCESS && fault.empty())
      fault = fmt::format("{}: {}", option, text_of_error(error));
  };
  if (client == nullptr) return fmt::format("mqtt-id: {}", text_of_error(MOSQ_ERR_ERRNO));
  if (!settings.user.empty())
    check(mosquitto_username_pw_set(client, settings.user.c_str(), or_null(settings.password)), "mqtt-user");
  if (settings.certificate.empty() != settings.key.empty())
    return "mqtt-certfile and mqtt-keyfile belong together";
  if (settings.has_tls())
    check(mosquitto_tls_set(client, or_null(settings.ca_file), or_null(settings.ca_path),
                            or_null(settings.certificate), or_null(settings.key), nullptr),
          "mqtt-cafile, mqtt-capath, mqtt-certfile, mqtt-keyfile");
  if (!settings.alpn.empty())
    check(mosquitto_string_option(client, MOSQ_OPT_TLS_ALPN, settings.alpn.c_str()), "mqtt-tls-alpn");
  return fault;
}

}  // namespace

std::string fault_of(const MqttSettings& settings) {
  if (settings.host.empty()) return {};
  mosquitto_lib_init();
  mosquitto* client = mosquitto_new(or_null(settings.id), true, nullptr);
  std::string fault = take_settings(client, settings);
  mosquitto_destroy(client);
  mosquitto_lib_cleanup();
  return fault;
}

MqttPublisher::MqttPublisher(MqttSettings settings) : settings_(std::move(settings)) {
  mosquitto_lib_init();
  client_ = mosquitto_new(or_null(settings_.id), true, this);
  if (std::string fault = take_settings(client_, settings_); !fault.empty()) {
    mosquitto_destroy(client_);
    mosquitto_lib_cleanup();
    throw std::runtime_error(fault);
  }
  connect();
}

void MqttPublisher::connect() {
  mosquitto_reconnect_delay_set(client_, 1, kLongestPause, true);
  mosquitto_connect_callback_set(
      client_, [](mosquitto*, void* self, int code) { static_cast<MqttPublisher*>(self)->on_connect(code); });
  mosquitto_disconnect_callback_set(client_, [](mosquitto*, void* self, int code) {
    static_cast<MqttPublisher*>(self)->on_disconnect(code);
  });
  mosquitto_publish_callback_set(client_, [](mosquitto*, void* self, int) {
    auto& publisher = *static_cast<MqttPublisher*>(self);
    ++publisher.counts_.published;
    if (publisher.settings_.qos != 0) --publisher.under_way_;
  });
  // The first look-up of the name waits for DNS. If it fails, the thread of libmosquitto tries again.
  begin_ = std::thread([client = client_, settings = settings_] {
    mosquitto_connect_async(client, settings.host.c_str(), settings.port_in_force(),
                            static_cast<int>(settings.keep_alive.count()));
    mosquitto_loop_start(client);
  });
}

MqttPublisher::~MqttPublisher() {
  go_on();
  const auto until = std::chrono::steady_clock::now() + kTimeToLeave;
  while (is_connected_ && under_way_ > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(5ms);
    go_on();
  }
  mosquitto_connect_callback_set(client_, nullptr);
  mosquitto_disconnect_callback_set(client_, nullptr);
  mosquitto_publish_callback_set(client_, nullptr);
  // Both threads may wait for a name, for an address that does not answer, or for the next attempt. They must
  // not hold up the end, so the client is then left to the end of the process.
  const Duration patience = is_connected_ ? kTimeToStop : kTimeToStopAlone;
  const auto over = std::make_shared<std::promise<void>>();
  std::thread([client = client_, over, begin = std::move(begin_)]() mutable {
    begin.join();
    mosquitto_disconnect(client);
    mosquitto_loop_stop(client, false);
    over->set_value();
  }).detach();
  if (over->get_future().wait_for(patience) != std::future_status::ready) return;
  mosquitto_destroy(client_);
  mosquitto_lib_cleanup();
}

void MqttPublisher::on_connect(int code) {
  const log::Scope scope(log::Subsystem::kControl);
  is_connected_ = code == 0;
  if (code == 0) {
    log::info("MQTT broker {}:{} takes events at {}", settings_.host, settings_.port_in_force(),
              log::quote(settings_.topic));
    is_failing_ = false;
  } else if (!is_failing_.exchange(true)) {
    log::warn("MQTT broker {}:{}: {}; events wait", settings_.host, settings_.port_in_force(),
              mosquitto_connack_string(code));
  }
}

void MqttPublisher::on_disconnect(int code) {
  const log::Scope scope(log::Subsystem::kControl);
  is_connected_ = false;
  if (code != 0 && !is_failing_.exchange(true))
    log::warn("MQTT broker {}:{}: the connection ended ({}); events wait", settings_.host,
              settings_.port_in_force(), mosquitto_strerror(code));
}

void MqttPublisher::on_event(const Event& event) {
  add({fmt::format("{}/events/{}", settings_.topic, to_string(event.type)), event.text});
}

void MqttPublisher::report(std::string document) {
  ++reports_waiting_;
  add({settings_.topic, std::move(document), true});
}

void MqttPublisher::add(Message message) {
  waiting_.push_back(std::move(message));
  if (waiting_.size() > kMostWaiting) {
    reports_waiting_ -= waiting_.front().is_report ? 1 : 0;
    waiting_.pop_front();
    ++counts_.dropped;
    ++drops_untold_;
  }
  go_on();
}

void MqttPublisher::tell_of_absence(Instant now) {
  if (is_connected_) {
    away_since_ = {};
  } else if (away_since_ == Instant{}) {
    away_since_ = now;
  } else if (now - away_since_ >= kTimeToConnect && !is_failing_.exchange(true)) {
    const log::Scope scope(log::Subsystem::kControl);
    log::warn("MQTT broker {}:{}: no connection; events wait", settings_.host, settings_.port_in_force());
  }
}

void MqttPublisher::go_on() {
  while (is_connected_ && !waiting_.empty() && under_way_ < kMostUnderWay) {
    const Message& next = waiting_.front();
    if (settings_.qos != 0) ++under_way_;
    const int error =
        mosquitto_publish(client_, nullptr, next.topic.c_str(), static_cast<int>(next.payload.size()),
                          next.payload.data(), settings_.qos, false);
    if (error != MOSQ_ERR_SUCCESS) {
      if (settings_.qos != 0) --under_way_;
      break;
    }
    reports_waiting_ -= next.is_report ? 1 : 0;
    waiting_.pop_front();
  }
  const Instant now = now_of_mqtt();
  tell_of_absence(now);
  if (drops_untold_ == 0 || now < tell_drops_) return;
  log::warn("MQTT broker {}: {} messages were dropped, because more than {} wait", settings_.host,
            std::exchange(drops_untold_, 0), kMostWaiting);
  tell_drops_ = now + kTellDropsAgain;
}

}  // namespace ferry::events
