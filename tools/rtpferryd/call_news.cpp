// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/call_news.hpp"

#include "control/log/log.hpp"
#include "control/log/masked_addresses.hpp"
#include "control/rtpproxy/session.hpp"
#include "tools/rtpferryd/records.hpp"

namespace ferry {

namespace {

constexpr unsigned kEventsPerSecond = 50;
constexpr unsigned kAlarmsPerSecond = 50;

}  // namespace

SessionManager::Listener CallNews::listener() {
  SessionManager::Listener listener;
  listener.on_end = [this](const Call& call, EndReason reason) {
    if (reason == EndReason::kRegular) return;
    if (reason != EndReason::kForced) {
      notifier_.on_time_out(call);
      const RtpproxySession* session = call.rtpproxy();
      if (session != nullptr && !session->notify_target.empty())
        rtpproxy_notifier_.send(session->notify_target, session->notify_tag + "\n");
    }
    const log::Scope scope(log::Subsystem::kCalls, plain_id(call), call.debug);
    log::info("call {} ended: {}{}", log::quote(call.id), to_string(reason), silence_of(call));
  };
  listener.on_report = [this](const CallReport& report) {
    metrics_.observe(report);
    constexpr int kInfo = 6;
    if (!writes_cdr_ || log::level_of(log::Subsystem::kCalls) < kInfo) return;
    const log::Scope scope(log::Subsystem::kCalls, report.call_id);
    log::record("cdr", call_record(report));
  };
  listener.on_health = [this](const Call& call, const HealthNews& news) { tell_health(call, news); };
  listener.on_dtmf = [this](const Call& call, const Leg& leg, const DtmfEvent& event) {
    notifier_.on_dtmf(call, leg, event, clock_().wall);
    if (const std::string line = rtpproxy::dtmf_line(call, leg, event); !line.empty())
      rtpproxy_notifier_.send(call.rtpproxy()->notify_target, line);
  };
  listener.wants_decisions = [](const Call& call) {
    const log::Scope scope(log::Subsystem::kCalls, plain_id(call), call.debug);
    return log::is_wanted(spdlog::level::debug);
  };
  listener.on_decision = [](const Call& call, const std::string& sentence) {
    const log::Scope scope(log::Subsystem::kCalls, plain_id(call), call.debug);
    log::debug("{}", log::quote_sentence(sentence));
  };
  listener.on_unrecorded = [](const Call& call) {
    const log::Scope scope(log::Subsystem::kRecorder, plain_id(call), call.debug);
    log::error("call {}: not recorded, there is no recording-dir", log::quote(call.id));
  };
  listener.memory_is_short = [this] { return memory_.is_short(); };
  listener.on_event = [this](const Call& call, const Leg& leg, TransportEvent event) {
    // LIM-4 bounds events of one stream, but a spray over all ports must not fill the log either.
    if (!call.debug && ++events_logged_ > kEventsPerSecond) return;
    const log::Scope scope(log::Subsystem::kMedia, plain_id(call), call.debug);
    const auto level =
        event == TransportEvent::kLocked && !call.debug ? spdlog::level::debug : spdlog::level::info;
    spdlog::log(level, "call {} tag {}: {}", log::quote(call.id), log::quote(leg.tag), describe(event));
  };
  return listener;
}

void CallNews::tell_health(const Call& call, const HealthNews& news) {
  if (!call.debug && ++alarms_logged_ > kAlarmsPerSecond) return;
  const log::Scope scope(log::Subsystem::kCalls, plain_id(call), call.debug);
  if (news.is_bad)
    log::warn("call {} became bad ({}): {}", log::quote(call.id), to_string(news.cause),
              log::quote_sentence(log::mask_addresses(news.sentence)));
  else
    log::info("call {} recovered; it was bad for {:.0f} s ({})", log::quote(call.id),
              std::chrono::duration<double>(news.lasted).count(), to_string(news.cause));
}

void CallNews::begin_second() {
  if (alarms_logged_ > kAlarmsPerSecond)
    log::warn("{} more calls became bad or recovered", alarms_logged_ - kAlarmsPerSecond);
  events_logged_ = alarms_logged_ = 0;
}

void CallNews::tell_events_left_out() const {
  if (events_logged_ > kEventsPerSecond)
    log::info("{} more events of media streams", events_logged_ - kEventsPerSecond);
}

}  // namespace ferry
