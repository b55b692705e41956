// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/event_outputs.hpp"

#include "control/log/log.hpp"
#include "control/log/printable_json.hpp"
#include "control/protocol/events/journal_folder.hpp"
#include "relay/base/memory.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace ferry {

namespace {

/// Proxies close connections on which nothing comes for half a minute or so.
constexpr Duration kSignOfLife = std::chrono::seconds(15);
/// The most calls that one report has.
constexpr int kMostReported = 1000;

WallTime wall_now() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

/// The time in microseconds: above all numbers of an earlier process that published less than a million
/// events a second. If the clock was set back meanwhile, it is above those that still wait.
std::uint64_t first_number(const std::string& state_directory) {
  const auto now = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(wall_now().time_since_epoch()).count());
  return state_directory.empty() ? now : std::max(now, events::highest_number(state_directory) + 1);
}

Event repeat(event_base* base, Duration every, event_callback_fn callback, void* self) {
  Event timer(event_new(base, -1, EV_PERSIST, callback, self));
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(every).count();
  const timeval time{static_cast<time_t>(us / 1'000'000), static_cast<suseconds_t>(us % 1'000'000)};
  if (!timer || event_add(timer.get(), &time) != 0) throw std::bad_alloc();
  return timer;
}

}  // namespace

EventOutputs::EventOutputs(const Config& config, event_base* base)
    : stream_(first_number(config.recorder.state_directory)),
      calls_(stream_, wall_now,
             config.events.shows_digits ? events::DigitDisplay::kShown : events::DigitDisplay::kHidden),
      pages_(stream_, wall_now),
      has_outputs_(!config.listen_http.empty() || !config.listen_https.empty() ||
                   !config.events.webhook.urls.empty() || !config.events.mqtt.host.empty()),
      scope_(config.events.mqtt.scope),
      report_interval_(config.events.mqtt.report_interval),
      base_(base) {
  const events::WebhookSettings& webhook = config.events.webhook;
  // URLs that differ in their query alone need journals of their own.
  std::vector<std::string> receivers;
  for (const std::string& url : webhook.urls) {
    std::string receiver = events::receiver_of(url);
    const std::string first = receiver;
    for (int n = 2; std::ranges::find(receivers, receiver) != receivers.end(); ++n)
      receiver = fmt::format("{}#{}", first, n);
    receivers.push_back(std::move(receiver));
  }
  if (!config.recorder.state_directory.empty())
    events::tidy_journals(config.recorder.state_directory, receivers, wall_now());
  if (!has_outputs_) return;
  for (std::size_t n = 0; n < webhook.urls.size(); ++n) {
    webhooks_.emplace_back(events::WebhookConfig{.url = webhook.urls[n],
                                                 .number = static_cast<unsigned>(n + 1),
                                                 .receiver = receivers[n],
                                                 .secret = webhook.secret,
                                                 .filter = {.calls = {}, .types = webhook.types},
                                                 .limit = webhook.limit,
                                                 .state_directory = config.recorder.state_directory});
    stream_.subscribe(webhooks_.back());
    log::info("events are posted to {}", webhooks_.back().name());
  }
  if (!config.events.mqtt.host.empty()) {
    broker_ = std::make_unique<events::MqttPublisher>(config.events.mqtt);
    stream_.subscribe(*broker_);
  }
  look_ = repeat(
      base, events::CallEvents::kLookInterval,
      [](evutil_socket_t, short, void* self) { static_cast<EventOutputs*>(self)->look(); }, this);
  sign_of_life_ = repeat(
      base, kSignOfLife,
      [](evutil_socket_t, short, void* self) { static_cast<EventOutputs*>(self)->send_signs_of_life(); },
      this);
}

EventOutputs::~EventOutputs() {
  for (const events::Webhook& each : webhooks_) stream_.unsubscribe(each);
  if (broker_) stream_.unsubscribe(*broker_);
}

void EventOutputs::look() {
  calls_.look();
  // Without memory what waits is handed on later (C-12).
  if (broker_ && !had_memory([this] { broker_->go_on(); })) stream_.note_lack_of_memory();
}

void EventOutputs::follow(SessionManager& manager) {
  if (has_outputs_) manager.add(calls_);
}

void EventOutputs::begin_reports(Ask ask) {
  if (!broker_ || report_interval_ == Duration{0}) return;
  ask_ = std::move(ask);
  report_ = repeat(
      base_, report_interval_,
      [](evutil_socket_t, short, void* self) { static_cast<EventOutputs*>(self)->report_if_it_can(); }, this);
}

void EventOutputs::send_signs_of_life() {
  if (!had_memory([this] { pages_.send_signs_of_life(); })) stream_.note_lack_of_memory();
}

void EventOutputs::report_if_it_can() {
  if (!had_memory([this] { report(); })) stream_.note_lack_of_memory();
}

void EventOutputs::report() {
  if (!broker_->wants_reports()) return;
  using events::ReportScope;
  nlohmann::json document = {{"type", "report"}, {"time", events::iso_time(wall_now())}};
  if (scope_ != ReportScope::kGlobal) {
    nlohmann::json calls = ask_({{"command", "list"}, {"limit", kMostReported}})["calls"];
    if (scope_ == ReportScope::kCall) {
      for (nlohmann::json& each : calls) {
        document["call"] = std::move(each);
        broker_->report(to_ascii(document));
      }
      return;
    }
    document["statistics"] = ask_({{"command", "stats"}});
    // As many as fit into a message.
    std::size_t octets = to_ascii(document).size() + std::string_view(R"(,"calls":[])").size();
    std::size_t count = 0;
    while (count < calls.size() && (octets += to_ascii(calls[count]).size() + 1) <= broker_->largest())
      ++count;
    calls.erase(calls.begin() + static_cast<std::ptrdiff_t>(count), calls.end());
    document["calls"] = std::move(calls);
  } else {
    document["statistics"] = ask_({{"command", "stats"}});
  }
  broker_->report(to_ascii(std::move(document)));
}

nlohmann::json EventOutputs::figures() const {
  nlohmann::json published = nlohmann::json::object();
  for (const events::EventRow& row : events::kEventRows) {
    const auto count = stream_.counts().published[static_cast<std::size_t>(row.type)];
    if (count != 0) published[std::string(row.name)] = count;
  }
  nlohmann::json webhooks = nlohmann::json::array();
  for (const events::Webhook& each : webhooks_) {
    const events::WebhookCounts& counts = each.counts();
    webhooks.push_back({{"url", each.name()},
                        {"delivered", counts.delivered.load()},
                        {"failed", counts.failed.load()},
                        {"dropped", counts.dropped.load()},
                        {"waiting", counts.waiting.load()}});
  }
  nlohmann::json all = {{"published", std::move(published)},
                        {"lost", stream_.counts().lost},
                        {"without_memory", stream_.counts().without_memory},
                        {"clients", pages_.clients()},
                        {"webhooks", std::move(webhooks)}};
  if (broker_)
    all["mqtt"] = {{"connected", broker_->is_connected()},
                   {"published", broker_->counts().published.load()},
                   {"dropped", broker_->counts().dropped},
                   {"waiting", broker_->waiting()}};
  return all;
}

}  // namespace ferry
