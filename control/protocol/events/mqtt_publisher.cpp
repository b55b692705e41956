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
#include <filesystem>
#include <future>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <mosquitto.h>
#include <openssl/x509.h>
#include <unistd.h>

namespace ferry::events {

namespace {

using namespace std::chrono_literals;

constexpr unsigned kLongestPause = 60;
constexpr Duration kTimeToLeave = 1s;
constexpr Duration kTimeToStop = 2s;
/// Without a connection libmosquitto may be in a pause between two attempts, which nothing ends.
constexpr Duration kTimeToStopAlone = 200ms;
/// How long a broker may be away until the log says so.
constexpr Duration kTimeToConnect = 5s;

std::string text_of_error(int error) {
  return error == MOSQ_ERR_ERRNO ? std::strerror(errno) : mosquitto_strerror(error);
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

/// The authorities that this host trusts: a folder or a file; both empty if it has none.
std::pair<std::string, std::string> authorities_of_host() {
  std::string folder = X509_get_default_cert_dir();
  std::string file = X509_get_default_cert_file();
  if (!is_folder(folder)) folder.clear();
  if (access(file.c_str(), R_OK) != 0) file.clear();
  return {std::move(file), std::move(folder)};
}

bool is_this_host(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
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
  if (settings.has_tls()) {
    std::pair authorities{settings.ca_file, settings.ca_path};
    // Any option of TLS means TLS: otherwise the password would go out in clear.
    if (settings.ca_file.empty() && settings.ca_path.empty()) authorities = authorities_of_host();
    if (authorities.first.empty() && authorities.second.empty())
      return "mqtt-cafile: this host has no authorities of its own, so one must be named";
    check(mosquitto_tls_set(client, or_null(authorities.first), or_null(authorities.second),
                            or_null(settings.certificate), or_null(settings.key), nullptr),
          "mqtt-cafile, mqtt-capath, mqtt-certfile, mqtt-keyfile");
  }
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

std::string warning_about(const MqttSettings& settings) {
  if (settings.host.empty() || settings.password.empty() || settings.has_tls() || is_this_host(settings.host))
    return {};
  return "mqtt-pass goes to the broker in clear: mqtt-cafile or mqtt-capath make the connection TLS";
}

MqttPublisher::MqttPublisher(MqttSettings settings) : settings_(std::move(settings)) {
  mosquitto_lib_init();
  client_ = mosquitto_new(or_null(settings_.id), true, this);
  if (std::string fault = take_settings(client_, settings_); !fault.empty()) {
    mosquitto_destroy(client_);
    mosquitto_lib_cleanup();
    throw std::runtime_error(fault);
  }
  if (const std::string warning = warning_about(settings_); !warning.empty()) log::warn("{}", warning);
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
    publisher.short_lives_ = 0;
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
  // The library must stay while a client is there.
  if (retire(is_connected_ ? kTimeToStop : kTimeToStopAlone) && !has_left_client_) mosquitto_lib_cleanup();
}

bool MqttPublisher::retire(Duration most) {
  if (client_ == nullptr) return true;
  // libmosquitto holds a lock while it calls back, so nothing calls back afterwards.
  mosquitto_connect_callback_set(client_, nullptr);
  mosquitto_disconnect_callback_set(client_, nullptr);
  mosquitto_publish_callback_set(client_, nullptr);
  // Both threads may wait for a name, or for an address that does not answer. They must not hold up the
  // caller, so the client then ends later, or with the process.
  const auto over = std::make_shared<std::promise<void>>();
  auto ended = over->get_future();
  std::thread([client = std::exchange(client_, nullptr), over, begin = std::move(begin_)]() mutable {
    begin.join();
    mosquitto_disconnect(client);
    mosquitto_loop_stop(client, false);
    mosquitto_destroy(client);
    over->set_value();
  }).detach();
  return ended.wait_for(most) == std::future_status::ready;
}

void MqttPublisher::start_over() {
  log::warn("MQTT broker {}:{} ended {} connections in a row after it got messages: {} of them are dropped",
            settings_.host, settings_.port_in_force(), short_lives_.load(), under_way_.load());
  has_left_client_ |= !retire(Duration{0});
  note_dropped(static_cast<std::uint64_t>(std::max(under_way_.exchange(0), 0)));
  is_connected_ = false;
  short_lives_ = 0;
  client_ = mosquitto_new(or_null(settings_.id), true, this);
  if (const std::string fault = take_settings(client_, settings_); !fault.empty()) {
    // Without its settings it might speak in clear.
    log::error("MQTT broker {}: {}; it gets no events until a restart", settings_.host, fault);
    mosquitto_destroy(std::exchange(client_, nullptr));
    return;
  }
  connect();
}

void MqttPublisher::on_connect(int code) {
  const log::Scope scope(log::Subsystem::kControl);
  is_connected_ = code == 0;
  if (code != 0) {
    note_failure(mosquitto_connack_string(code));
    return;
  }
  if (!was_told_ || is_failure_told_)
    log::info("MQTT broker {}:{} takes events at {}", settings_.host, settings_.port_in_force(),
              log::quote(settings_.topic));
  was_told_ = true;
  connected_at_ = steady_now();
  is_failing_ = false;
  is_failure_told_ = false;
}

void MqttPublisher::on_disconnect(int code) {
  const log::Scope scope(log::Subsystem::kControl);
  const bool was_connected = is_connected_.exchange(false);
  if (code == 0) return;
  if (was_connected && under_way_ > 0 && steady_now() - connected_at_ < kShortLife) ++short_lives_;
  note_failure(fmt::format("the connection ended ({})", mosquitto_strerror(code)));
}

void MqttPublisher::note_failure(std::string_view why) {
  if (is_failing_.exchange(true)) return;
  failures_.note();
  if (failures_.due(steady_now()) == 0) return;
  is_failure_told_ = true;
  log::warn("MQTT broker {}:{}: {}; events wait", settings_.host, settings_.port_in_force(), why);
}

void MqttPublisher::on_event(const Event& event) {
  add({fmt::format("{}/events/{}", settings_.topic, to_string(event.type)), event.text});
}

void MqttPublisher::report(std::string document) { add({settings_.topic, std::move(document), true}); }

void MqttPublisher::note_dropped(std::uint64_t messages) {
  counts_.dropped += messages;
  drops_.note(messages);
}

void MqttPublisher::pop() {
  reports_waiting_ -= waiting_.front().is_report ? 1 : 0;
  waiting_octets_ -= waiting_.front().octets();
  waiting_.pop_front();
}

void MqttPublisher::add(Message message) {
  if (message.payload.size() > settings_.largest) {
    note_dropped(1);
  } else {
    const std::size_t octets = message.octets();
    const bool is_report = message.is_report;
    waiting_.push_back(std::move(message));
    waiting_octets_ += octets;
    reports_waiting_ += is_report ? 1 : 0;
    for (; waiting_.size() > kMostWaiting || waiting_octets_ > kMostOctets; note_dropped(1)) pop();
  }
  go_on();
}

void MqttPublisher::tell_of_absence(Instant now) {
  if (is_connected_) {
    away_since_ = {};
  } else if (away_since_ == Instant{}) {
    away_since_ = now;
  } else if (now - away_since_ >= kTimeToConnect && !is_failing_.exchange(true)) {
    is_failure_told_ = true;
    log::warn("MQTT broker {}:{}: no connection; events wait", settings_.host, settings_.port_in_force());
  }
}

void MqttPublisher::go_on() {
  if (short_lives_ >= kMostShortLives) start_over();
  while (client_ != nullptr && is_connected_ && !waiting_.empty() && under_way_ < kMostUnderWay) {
    const Message& next = waiting_.front();
    if (settings_.qos != 0) ++under_way_;
    const int error =
        mosquitto_publish(client_, nullptr, next.topic.c_str(), static_cast<int>(next.payload.size()),
                          next.payload.data(), settings_.qos, false);
    if (error != MOSQ_ERR_SUCCESS) {
      if (settings_.qos != 0) --under_way_;
      // The broker says that it takes no messages of this size (MQTT 5), or the message cannot be written.
      if (error != MOSQ_ERR_OVERSIZE_PACKET && error != MOSQ_ERR_PAYLOAD_SIZE) break;
      note_dropped(1);
    }
    pop();
  }
  const Instant now = steady_now();
  tell_of_absence(now);
  if (const std::uint64_t dropped = drops_.due(now); dropped != 0)
    log::warn(
        "MQTT broker {}: {} messages were dropped: more than {} wait, they are larger than {} octets, or the "
        "broker ended the connection when it got them",
        settings_.host, dropped, kMostWaiting, settings_.largest);
}

}  // namespace ferry::events
