// SPDX-License-Identifier: Apache-2.0
// Hands streams of a transport to the kernel, and takes their counts back.
#pragma once

#include "relay/core/forward/account.hpp"
#include "relay/core/forward/event_queue.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/forward/presence.hpp"
#include "relay/core/forward/streams.hpp"
#include "relay/core/latch/latch.hpp"
#include "relay/core/offload/flow_offload.hpp"

#include <optional>
#include <utility>

namespace ferry {

/// Describes the stream `ssrc` for the kernel, as far as its transport knows it, together with its state.
/// `local`, `sinks` and `sampling` of the flow are left to the caller. `latch` is that of the RTP component.
/// Nothing if user space has to see the packets.
[[nodiscard]] std::optional<std::pair<OffloadFlow, OffloadState>> hand_over(
    const TransportPlan& plan, const Latch& latch, const Streams& streams, const Account& account, Ssrc ssrc);

/// The parts of a transport that take over what the kernel counted. `latch` is that of the RTP component.
struct Absorber {
  Latch& latch;
  Streams& streams;
  Account& account;
  Presence& presence;
  EventQueue& events;
};
/// Takes over what the kernel counted. `state` is the present reading. `seen` is the reading before it: the
/// kernel counts drops since the installation, and only their growth is added. Returns what happened to the
/// stream since it was handed over or absorbed last.
OffloadedTraffic absorb(Absorber into, const OffloadState& state, const OffloadState& seen);

/// Counts what the kernel sent to the media `to`, as `Transport::on_sent` does for packets.
void on_sent_by_kernel(Streams& streams, Account& account, const OffloadedTraffic& what, MediaId to);
/// The address that media goes to until the plan or the latch changes; unset if every packet has to be
/// decided. `latch` is that of the RTP component.
[[nodiscard]] Endpoint lasting_hop(const TransportPlan& plan, const Latch& latch,
                                   const Presence& presence) noexcept;

}  // namespace ferry
