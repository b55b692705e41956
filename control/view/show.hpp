// SPDX-License-Identifier: Apache-2.0
// What operators see of calls: one call in full, and a line for each.
#pragma once

#include "control/rtpproxy/sessions.hpp"
#include "control/session/health_watch.hpp"
#include "control/session/services.hpp"

#include <optional>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// What is known of a call without asking its worker. Borrows the call.
struct CallSummary {
  const Call* call = nullptr;
  /// How old the call is, in s.
  double age_s = 0;
  /// How old its newest packet is, in s. Unset if none has come.
  std::optional<double> last_packet_age_s;
  /// Medias, and packets of all of them: received, lost, dropped.
  std::size_t medias = 0;
  std::uint64_t packets = 0;
  std::uint64_t lost = 0;
  std::uint64_t refused = 0;
  /// Of the worst direction, in per cent.
  double loss_percent = 0;
  /// Of the worst stream, in ms.
  double jitter_ms = 0;
  /// Streams that the kernel forwards.
  std::size_t kernel_streams = 0;
  /// The result of the last glance. Borrowed until a call begins or ends.
  const CallHealth* health = nullptr;
};

/// Calls by who forwards their media now. Calls without media count as user space's.
struct KernelShare {
  std::size_t user = 0;
  std::size_t kernel = 0;
  std::size_t mixed = 0;
};

/// Reads calls and changes nothing. Borrows everything. Control thread only.
class CallLists {
 public:
  CallLists(const Services& services, const RtpproxySessions& rtpproxy, const HealthWatch& watch)
      : services_(services), rtpproxy_(rtpproxy), watch_(watch) {}

  /// A call in full, with latch states and drops. Null if there is none. Waits for the worker.
  [[nodiscard]] nlohmann::json show(std::string_view call_id, const Clock& clock) const;
  /// A line of `list` for each call, in no order. Cheap: it waits for no worker.
  [[nodiscard]] std::vector<CallSummary> summaries(const Clock& clock) const;
  [[nodiscard]] KernelShare kernel_share() const;

 private:
  const Services& services_;
  const RtpproxySessions& rtpproxy_;
  const HealthWatch& watch_;
};

}  // namespace ferry
