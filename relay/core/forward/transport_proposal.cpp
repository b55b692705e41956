// SPDX-License-Identifier: Apache-2.0
// An offer that waits for its answer, as a transport sees it (LAT-15).
//
// The agreed latch goes on deciding where media is sent. A second latch learns the proposed source, and what
// it accepts is forwarded as well. At the answer it takes the place of the first one (`settle`), so that
// nothing has to be learned again. Without an answer it is discarded.
//
// The trap is one SSRC from both sources: forwarding both would tear the stream. `collides` lets the source
// keep it that sends now, and gives it to the other one only after the former place fell silent (SSR-3).

#include "relay/core/forward/transport.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMaxStreams = 8;  // SSR-1
// A stream that really moved goes on a little ahead of where it was, while the former place falls silent.
// Anything else must wait until the former place has been silent for longer.
constexpr Duration kMovedAfter = 60ms;
constexpr Duration kAbandonedAfter = 500ms;  // as LAT-8c
constexpr int kMaxAhead = 200;               // as LAT-8c

}  // namespace

bool Transport::collides(std::size_t source, const RtpView& rtp, bool is_proposed, Instant now) noexcept {
  if (plan_->is_protected()) return false;  // the replay list of SRTP decides
  auto& streams = proposal_->streams;
  const auto claim = std::ranges::find(streams, rtp.ssrc);
  // The SSRC belongs to the source that sent this packet.
  if ((claim != streams.end()) == is_proposed) return false;
  if (const StreamStats* known = streams_.find(source, rtp.ssrc)) {
    const SsrcCounters& stream = known->counters();
    const Duration silence = presence_.silence_since(stream.last_packet, now);
    const int ahead = distance(rtp.sequence, SeqNo{static_cast<std::uint16_t>(stream.highest_extended)});
    const bool has_moved = ahead >= 1 && ahead <= kMaxAhead && silence >= kMovedAfter;
    if (!has_moved && silence < kAbandonedAfter) return true;
  }
  // The SSRC changes hands.
  if (claim != streams.end()) {
    streams.erase(claim);
    return false;
  }
  if (streams.size() == kMaxStreams) streams.erase(streams.begin());
  streams.push_back(rtp.ssrc);
  return false;
}

bool Transport::is_rtp_beside_udptl(const ReceivedPacket& packet) const noexcept {
  if (!plan_->takes_rtp) return false;
  if (packet.component() == Component::kRtcp) return true;
  // UDPTL has no mark of its own, so only a payload type that was offered makes a datagram RTP.
  switch (packet.kind) {
    case DatagramClass::kRtp:
      return parse_rtp(packet.datagram) && std::ranges::any_of(plan_->sources, [&](const SourcePlan& source) {
               return source.payload_of(packet.datagram) != nullptr;
             });
    case DatagramClass::kRtcp:
      return plan_->rtcp_mux && validate_rtcp(packet.datagram, plan_->reduced_size_rtcp);
    default:
      return false;
  }
}

void Transport::follow_proposal(const TransportPlan* old, Instant now) {
  if (!plan_->proposed) {
    proposal_.reset();
    return;
  }
  // An offer that is repeated unchanged keeps what was learned.
  if (proposal_ && old != nullptr && old->proposed && *old->proposed == *plan_->proposed) return;
  proposal_ = std::make_unique<Proposal>();
  proposal_->streams.reserve(kMaxStreams);  // so that packets need no allocation to add to it
  proposal_->latch[0].restart(plan_->proposed->rtp, now);
  proposal_->latch[1].restart(plan_->proposed->rtcp, now);
}

}  // namespace ferry
