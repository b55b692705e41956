// SPDX-License-Identifier: Apache-2.0
// Handles a pause in which this process did not run: it was stopped, or its virtual machine was paused
// (C-13).
//
// The worker says how long the pause was. Every time from which a silence is counted moves by as much, so
// nobody is blamed for the pause. Datagrams that waited meanwhile are accepted, but nobody wants to hear old
// sound. The RTP time stamp says how much later than its stream a packet came; one that is 200 ms late is
// counted and dropped.

#include "relay/core/forward/transport.hpp"

namespace ferry {

Verdict Transport::drop_stale(const ReceivedPacket& packet, std::size_t source) noexcept {
  const RtpView& rtp = *packet.rtp;
  if (StreamStats* stream = streams_.find(source, rtp.ssrc)) {
    if (!plan_->is_protected() && stream->check(rtp.sequence) != StreamStats::Check::kOk)
      return drop(packet.component(), DropReason::kSequenceJump);
    const std::uint64_t lost = stream->counters().lost();
    const std::uint32_t duplicates = stream->counters().duplicates;
    stream->count(rtp, packet.datagram.size(), 0, packet.at);
    account_.publish(stream->counters(), 1, lost);
    // Without a copy nobody misses anything.
    if (stream->counters().duplicates != duplicates)
      account_.add_trait(DropSide::kArriving, DropReason::kStaleAfterPause, DropTrait::kCopy);
  }
  // The sender is alive, although nobody hears this packet.
  account_.note_unheard(packet.component(), packet.at);
  presence_.hear();
  return drop(packet.component(), DropReason::kStaleAfterPause);
}

// Only times from which a silence or a time-out is counted move. Packet statistics keep theirs: they say
// when something really happened.
void Transport::skip(Duration pause, Instant now) noexcept {
  account_.skip(pause);
  presence_.skip(pause, now);
  streams_.skip(pause);
  for (Latch& latch : latch_) latch.skip(pause);
  if (proposal_) {
    for (Latch& latch : proposal_->latch) latch.skip(pause);
  }
  for (const auto& protection : protection_) {
    if (protection) protection->skip(pause);
  }
  handshakes_.skip(pause);
}

}  // namespace ferry
