// An offer that waits for its answer (LAT-15), as a transport sees it. The agreed latch goes on deciding
// where media is sent. A second latch learns the proposed source; what it accepts is forwarded as well. At
// the answer it takes the first one's place, so that nothing has to be learned again; without an answer it
// goes.

#include "relay/core/classify.hpp"
#include "relay/core/forward/transport.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMaxStreams = 8;  // SSR-1
// The same SSRC from the party's other source: a stream that moved goes on a little ahead of where it was and
// is silent at the former place; else the former place must be silent for longer.
constexpr Duration kMovedAfter = 60ms;
constexpr Duration kAbandonedAfter = 500ms;  // as LAT-8c
constexpr int kMaxAhead = 200;               // as LAT-8c

}  // namespace

bool Transport::collides(const SourceState& state, const RtpView& rtp, bool is_proposed,
                         Instant now) noexcept {
  if (is_protected()) return false;  // SRTP's replay list judges
  auto& streams = proposal_->streams;
  const auto claim = std::ranges::find(streams, rtp.ssrc);
  if ((claim != streams.end()) == is_proposed) return false;
  const auto known = std::ranges::find_if(
      state.ingress, [&](const StreamStats& s) { return s.counters().ssrc == rtp.ssrc; });
  if (known != state.ingress.end()) {
    const SsrcCounters& stream = known->counters();
    const Duration silence = silence_since(stream.last_packet, now);
    const int ahead = distance(rtp.sequence, SeqNo{static_cast<std::uint16_t>(stream.highest_extended)});
    const bool has_moved = ahead >= 1 && ahead <= kMaxAhead && silence >= kMovedAfter;
    if (!has_moved && silence < kAbandonedAfter) return true;
  }
  if (claim != streams.end()) {
    streams.erase(claim);
    return false;
  }
  if (streams.size() == kMaxStreams) streams.erase(streams.begin());
  streams.push_back(rtp.ssrc);
  return false;
}

bool Transport::is_rtp_beside_udptl(Component component, Bytes datagram) const noexcept {
  if (!plan_->takes_rtp) return false;
  if (component == Component::kRtcp) return true;
  // UDPTL has no mark of its own: RTP is what has a type that was offered.
  switch (classify(datagram)) {
    case DatagramClass::kRtp:
      return parse_rtp(datagram) && std::ranges::any_of(plan_->sources, [&](const SourcePlan& source) {
               return source.payload_of(datagram) != nullptr;
             });
    case DatagramClass::kRtcp:
      return plan_->rtcp_mux && validate_rtcp(datagram, plan_->reduced_size_rtcp);
    default:
      return false;
  }
}

void Transport::follow_proposal(const TransportPlan* old, Instant now) {
  if (!plan_->proposed) {
    proposal_.reset();
    return;
  }
  if (proposal_ && old != nullptr && old->proposed && *old->proposed == *plan_->proposed) return;
  proposal_ = std::make_unique<Proposal>();
  proposal_->streams.reserve(kMaxStreams);  // packets add to it
  proposal_->latch[0].restart(plan_->proposed->rtp, now);
  proposal_->latch[1].restart(plan_->proposed->rtcp, now);
}

}  // namespace ferry
