#include "control/protocol/events/mqtt_publisher.hpp"

#include "control/log/log.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
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

std::string text_of_error(int error) {
  return error == MOSQ_ERR_ERRNO ? std::strerror(errno) : mosquitto_strerror(error);
}

const char* or_null(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

}  // namespace

MqttPublisher::MqttPublisher(MqttSettings settings) : settings_(std::move(settings)) {
  mosquitto_lib_init();
  client_ = mosquitto_new(or_null(settings_.id), true, this);
  if (client_ == nullptr) throw std::runtime_error(fmt::format("mqtt-id: {}", text_of_error(MOSQ_ERR_ERRNO)));
  try {
    configure();
  } catch (...) {
    mosquitto_destroy(client_);
    mosquitto_lib_cleanup();
    throw;
  }
}

void MqttPublisher::configure() {
  const auto check = [](int error, std::string_view option) {
    if (error != MOSQ_ERR_SUCCESS)
      throw std::runtime_error(fmt::format("{}: {}", option, text_of_error(error)));
  };
  if (!settings_.user.empty())
    check(mosquitto_username_pw_set(client_, settings_.user.c_str(), or_null(settings_.password)),
          "mqtt-user");
  if (settings_.has_tls())
    check(mosquitto_tls_set(client_, or_null(settings_.ca_file), or_null(settings_.ca_path),
                            or_null(settings_.certificate), or_null(settings_.key), nullptr),
          "mqtt-cafile, mqtt-capath, mqtt-certfile, mqtt-keyfile");
  if (!settings_.alpn.empty())
    check(mosquitto_string_option(client_, MOSQ_OPT_TLS_ALPN, settings_.alpn.c_str()), "mqtt-tls-alpn");
  mosquitto_reconnect_delay_set(client_, 1, kLongestPause, true);
  mosquitto_connect_callback_set(client_, [](mosquitto*, void* self, int code) {
    static_cast<MqttPublisher*>(self)->on_connect(code);
  });
  mosquitto_disconnect_callback_set(client_, [](mosquitto*, void* self, int code) {
    static_cast<MqttPublisher*>(self)->on_disconnect(code);
  });
  mosquitto_publish_callback_set(client_, [](mosquitto*, void* self, int) {
    auto& publisher = *static_cast<MqttPublisher*>(self);
    ++publisher.counts_.published;
    if (publisher.settings_.qos != 0) --publisher.under_way_;
  });
  // The first look-up of the name waits for DNS. If it fails, the thread of libmosquitto tries again.
  begin_ = std::thread([this] {
    mosquitto_connect_async(client_, settings_.host.c_str(), settings_.port_in_force(),
                            static_cast<int>(settings_.keep_alive.count()));
    mosquitto_loop_start(client_);
  });
}

MqttPublisher::~MqttPublisher() {
  go_on();
  const auto until = std::chrono::steady_clock::now() + kTimeToLeave;
  while (is_connected_ && under_way_ > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(5ms);
    go_on();
  }
  begin_.join();
  // A thread that waits for a name or an address that does not answer would hold up the end.
  const bool is_connected = is_connected_;
  mosquitto_disconnect(client_);
  mosquitto_loop_stop(client_, !is_connected);
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
  } else if (!std::exchange(is_failing_, true)) {
    log::warn("MQTT broker {}:{}: {}; events wait", settings_.host, settings_.port_in_force(),
              mosquitto_connack_string(code));
  }
}

void MqttPublisher::on_disconnect(int code) {
  const log::Scope scope(log::Subsystem::kControl);
  is_connected_ = false;
  if (code != 0 && !std::exchange(is_failing_, true))
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
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
  if (drops_untold_ == 0 || now < tell_drops_) return;
  log::warn("MQTT broker {}: {} messages were dropped, because more than {} wait", settings_.host,
            std::exchange(drops_untold_, 0), kMostWaiting);
  tell_drops_ = now + kTellDropsAgain;
}

}  // namespace ferry::events
