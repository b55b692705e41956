// What a transport does about a pause in which nobody ran: a stopped process, a paused virtual machine
// (C-13).
//
// The worker tells it how long the pause was. Every time that a silence is counted from moves by as much, so
// a pause is nobody's silence. Datagrams that waited meanwhile are taken in as ever, but nobody wants to hear
// sound of the past: a packet's time stamp says how much later than its stream it came, and what is older
// than 200 ms is counted and dropped.

#include "relay/core/forward/transport.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr Duration kOldest = 200ms;

template <class Streams>
auto stream_of(Streams& streams, Ssrc ssrc) noexcept {
  return std::ranges::find_if(streams, [&](const StreamStats& s) { return s.counters().ssrc == ssrc; });
}

}  // namespace

bool Transport::is_stale(const SourceState& state, const RtpView& rtp, const PayloadEntry* payload,
                         Instant now) noexcept {
  // A key press is no sound: it is worth being heard late.
  if (payload != nullptr && payload->is_event) return false;
  const auto stream = stream_of(state.ingress, rtp.ssrc);
  if (stream == state.ingress.end()) return true;
  const auto late = stream->lateness(rtp, payload != nullptr ? payload->clock_rate_hz : 0, now);
  // Whose age is unknown is as old as the pause.
  return !late || *late >= kOldest || *late <= -kOldest;
}

Verdict Transport::drop_stale(Component component, SourceState& state, const RtpView& rtp, std::size_t size,
                              Instant now) noexcept {
  const auto stream = stream_of(state.ingress, rtp.ssrc);
  if (stream != state.ingress.end()) {
    if (!is_protected() && stream->check(rtp.sequence) != StreamStats::Check::kOk)
      return drop(component, DropReason::kSequenceJump);
    const std::uint64_t lost = stream->counters().lost();
    stream->count(rtp, size, 0, now);
    publish(stream->counters(), 1, lost);
  }
  last_packet_[index(component)] = now;
  hear();
  activity_->last_rtp_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  activity_->last_packet_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  return drop(component, DropReason::kStaleAfterPause);
}

void Transport::skip(Duration pause, Instant now) noexcept {
  awake_since_ = now;
  mark_times_.skip(pause);
  for (Latch& latch : latch_) latch.skip(pause);
  if (proposal_) {
    for (Latch& latch : proposal_->latch) latch.skip(pause);
  }
  for (SourceState& state : states_) {
    if (state.presses) state.presses->skip(pause);
    for (SentStream& stream : state.egress) stream.skip(pause);
  }
  for (const auto& protection : protection_) {
    if (!protection) continue;
    for (auto& each : protection->incoming) {
      if (each.until != Instant{}) each.until += pause;
    }
  }
  if (dtls_) {
    for (DtlsChannel& channel : dtls_->channels) channel.skip(pause);
  }
  if (ice_) ice_->skip(pause);
  if (reachability_) {
    for (Reachability& each : *reachability_) each.skip(pause);
  }
}

}  // namespace ferry
