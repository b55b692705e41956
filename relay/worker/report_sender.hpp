// SPDX-License-Identifier: Apache-2.0
// Sends the RTCP reports of the relay's own (RFC 3550 §6, `TransportPlan::own_reports`).
#pragma once

#include "relay/worker/context.hpp"
#include "relay/worker/deadlines.hpp"
#include "relay/worker/offloader.hpp"
#include "relay/worker/send_batch.hpp"

namespace ferry {

/// Sends each peer that the plan wants it for a compound about every `ReportKeeper::kInterval`. One worker
/// owns it.
///
/// A peer gets reports only at an address that it was heard at: nobody is reported to because an SDP names
/// him (RTC-6). Nothing leaves under a key that belongs to another party (SRT-9).
class ReportSender {
 public:
  ReportSender(WorkerContext& context, Deadlines& deadlines, SendBatch& sends, Offloader& offloader)
      : context_(context), deadlines_(deadlines), sends_(sends), offloader_(offloader) {}

  /// Queues the next report to the party of `entry`, if its plan has reports.
  void await(TransportEntry& entry, Instant now) noexcept;
  /// Sends the report that is due, and queues the next one.
  void drive(TransportEntry& entry, Instant now) noexcept;

 private:
  void send(TransportEntry& entry, Instant now) noexcept;

  WorkerContext& context_;
  Deadlines& deadlines_;
  SendBatch& sends_;
  Offloader& offloader_;
};

}  // namespace ferry
