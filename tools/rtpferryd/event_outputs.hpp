// SPDX-License-Identifier: Apache-2.0
// Events of calls, and the ways in which they leave the daemon.
#pragma once

#include "control/config/config.hpp"
#include "control/events/call_events.hpp"
#include "control/events/event_stream.hpp"
#include "control/protocol/event_loop.hpp"
#include "control/protocol/events/event_pages.hpp"
#include "control/protocol/events/mqtt_publisher.hpp"
#include "control/protocol/events/webhook.hpp"
#include "control/protocol/http/http_server.hpp"

#include <functional>
#include <list>
#include <memory>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// Makes events of what happens to calls, and sends them to whoever the configuration names. Control thread
/// only.
class EventOutputs {
 public:
  /// Carries out a command of the operator that only reads.
  using Ask = std::function<nlohmann::json(const nlohmann::json& request)>;

  /// `base` must outlive this object. Throws std::runtime_error with a sentence if an output cannot work.
  EventOutputs(const Config& config, event_base* base);
  ~EventOutputs();
  EventOutputs(const EventOutputs&) = delete;
  EventOutputs& operator=(const EventOutputs&) = delete;

  /// Begins to follow calls, if anybody may be told of them. The manager must not outlive this object. Called
  /// once.
  void follow(SessionManager& manager);
  /// Serves events to clients of an HTTP listener.
  void serve(http::HttpServer& server) { server.set_live_pages(pages_); }
  /// Begins to publish reports, if there is a broker that is to get them. `ask` makes them.
  void begin_reports(Ask ask);
  /// Publishes the end of the calls that go on: the daemon stops. What workers know of those that have ended
  /// should have been told before.
  void stop() { calls_.stop(); }
  /// How many events there were, and what became of them, for `stats`.
  [[nodiscard]] nlohmann::json figures() const;

 private:
  void look();
  void report();
  void report_if_it_can();
  void send_signs_of_life();

  events::EventStream stream_;
  events::CallEvents calls_;
  events::EventPages pages_;
  std::list<events::Webhook> webhooks_;
  /// Null if there is no broker.
  std::unique_ptr<events::MqttPublisher> broker_;
  bool has_outputs_;
  Ask ask_;
  events::ReportScope scope_ = events::ReportScope::kGlobal;
  Duration report_interval_{0};
  event_base* base_;
  Event look_;
  Event sign_of_life_;
  Event report_;
};

}  // namespace ferry
