// SPDX-License-Identifier: Apache-2.0
// Reports what happens to calls: to the log, to clients that asked for it, to metrics, and in records of
// calls.
#pragma once

#include "control/manager/manager.hpp"
#include "control/protocol/ng/notifier.hpp"
#include "control/protocol/pages/metrics.hpp"
#include "control/protocol/rtpproxy/notifier.hpp"
#include "tools/rtpferryd/host.hpp"

#include <functional>

namespace ferry {

/// Implements the events of the session manager. Control thread only.
class CallNews {
 public:
  /// Where events go.
  struct Receivers {
    ng::Notifier& notifier;
    rtpproxy::Notifier& rtpproxy_notifier;
    metrics::Metrics& metrics;
    MemoryWatch& memory;
  };
  /// The receivers must outlive this object. They may be constructed after it, but before anything happens to
  /// a call. `writes_cdr`: a call that is over gets a record in the log.
  CallNews(const Receivers& receivers, bool writes_cdr, std::function<Clock()> clock)
      : notifier_(receivers.notifier),
        rtpproxy_notifier_(receivers.rtpproxy_notifier),
        metrics_(receivers.metrics),
        memory_(receivers.memory),
        clock_(std::move(clock)),
        writes_cdr_(writes_cdr) {}
  CallNews(const CallNews&) = delete;
  CallNews& operator=(const CallNews&) = delete;

  /// Returns the functions that the manager calls. The manager must not outlive this object.
  [[nodiscard]] SessionManager::Listener listener();
  /// Sets whether a call that is over gets a record in the log.
  void set_writes_cdr(bool writes_cdr) { writes_cdr_ = writes_cdr; }
  /// Logs how many alarms the last second left out, and lets lines of both kinds be logged again. Call it
  /// once a second.
  void begin_second();
  /// Logs how many events were left out since `begin_second`.
  void tell_events_left_out() const;

 private:
  /// Logs that a call became bad or recovered. If many calls share an outage, only the first ones of a second
  /// get lines: the counters have them all.
  void tell_health(const Call& call, const HealthNews& news);

  ng::Notifier& notifier_;
  rtpproxy::Notifier& rtpproxy_notifier_;
  metrics::Metrics& metrics_;
  MemoryWatch& memory_;
  std::function<Clock()> clock_;
  bool writes_cdr_;
  /// Events and alarms of this second, those that were left out included.
  unsigned events_logged_ = 0;
  unsigned alarms_logged_ = 0;
};

}  // namespace ferry
