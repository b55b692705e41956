// Handles a pause in which this process did not run: it was stopped, or its virtual machine was paused
// (C-13).
//
// The worker says how long the pause was. Every time from which a silence is counted moves by as much, so
// nobody is blamed for the pause. Datagrams that waited meanwhile are accepted, but nobody wants to hear old
// sound. The RTP time stamp says how much later than its stream a packet came; one that is 200 ms late is
// counted and dropped.

#include "relay/core/forward/transport.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

// The oldest sound that a listener is given.
constexpr Duration kOldest = 200ms;

template <class Streams>
auto stream_of(Streams& streams, Ssrc ssrc) noexcept {
  return std::ranges::find_if(streams, [&](const StreamStats& s) { return s.counters().ssrc == ssrc; });
}

}  // namespace

bool Transport::is_stale(const SourceState& state, const RtpView& rtp, const PayloadEntry* payload,
                         Instant now) noexcept {
  // A DTMF press is no sound: it is better late than never.
  if (payload != nullptr && payload->is_event) return false;
  const auto stream = stream_of(state.ingress, rtp.ssrc);
  if (stream == state.ingress.end()) return true;
  const auto late = stream->lateness(rtp, payload != nullptr ? payload->clock_rate_hz : 0, now);
  // A packet of unknown age counts as old as the pause. A time stamp far ahead is as good as unknown.
  return !late || *late >= kOldest || *late <= -kOldest;
}

Verdict Transport::drop_stale(Component component, SourceState& state, const RtpView& rtp, std::size_t size,
                              Instant now) noexcept {
  const auto stream = stream_of(state.ingress, rtp.ssrc);
  if (stream != state.ingress.end()) {
    if (!is_protected() && stream->check(rtp.sequence) != StreamStats::Check::kOk)
      return drop(component, DropReason::kSequenceJump);
    const std::uint64_t lost = stream->counters().lost();
    const std::uint32_t duplicates = stream->counters().duplicates;
    stream->count(rtp, size, 0, now);
    publish(stream->counters(), 1, lost);
    // Without a copy nobody misses anything.
    if (stream->counters().duplicates != duplicates)
      drops_.add_trait(DropSide::kArriving, DropReason::kStaleAfterPause, DropTrait::kCopy);
  }
  // The sender is alive, although nobody hears this packet.
  last_packet_[index(component)] = now;
  hear();
  activity_->last_rtp_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  activity_->last_packet_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  return drop(component, DropReason::kStaleAfterPause);
}

// Only times from which a silence or a time-out is counted move. Packet statistics keep theirs: they say
// when something really happened.
void Transport::skip(Duration pause, Instant now) noexcept {
  awake_since_ = now;
  marks_.skip(pause);
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
