// SPDX-License-Identifier: Apache-2.0
#include "relay/worker/report_sender.hpp"

#include "relay/base/memory.hpp"
#include "relay/base/random.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// Longest compound, in octets: with the tag of SRTCP it still fits into one frame of Ethernet.
constexpr std::size_t kLongestReport = 1400;

}  // namespace

void ReportSender::await(TransportEntry& entry, Instant now) noexcept {
  ReportKeeper* keeper = entry.state.streams().report_keeper();
  if (keeper == nullptr) return;
  if (keeper->due() == Instant{}) keeper->schedule_first(now, random_u64());
  deadlines_.set(entry, DeadlineKind::kReport, std::max(keeper->due(), now + std::chrono::milliseconds(1)),
                 now);
}

void ReportSender::drive(TransportEntry& entry, Instant now) noexcept {
  ReportKeeper* keeper = entry.state.streams().report_keeper();
  // The plan has changed since.
  if (keeper == nullptr) return;
  if (keeper->due() <= now) {
    send(entry, now);
    keeper->schedule_next(now, random_u64());
  }
  await(entry, now);
}

void ReportSender::send(TransportEntry& entry, Instant now) noexcept {
  const TransportPlan& plan = entry.state.plan();
  if (plan.srtp && plan.srtp->send_is_relayed) return;
  if (!entry.state.is_heard_near(Component::kRtcp)) return;
  // What the kernel has forwarded counts, too. If memory runs out, its counts are of the last reading.
  (void)had_memory([&] { offloader_.refresh(entry); });
  const auto hop = entry.state.next_hop(Component::kRtcp, now);
  if (hop.reason != DropReason::kNone) return;
  PacketBuffer packet = context_.io->allocate();
  if (!packet) {
    context_.drop_leaving(entry, DropReason::kNoBuffer, now);
    return;
  }
  const MutableBytes space = packet.space();
  const std::size_t size = entry.state.streams().write_report(
      space.first(std::min(space.size(), kLongestReport)), {now, context_.wall_at(now)});
  if (size == 0) return;
  packet.set_data_size(size);
  bump(context_.totals.own_reports);
  sends_.add(entry, hop, DatagramClass::kRtcp, plan.sources.front().media, std::move(packet), nullptr, now);
}

}  // namespace ferry
