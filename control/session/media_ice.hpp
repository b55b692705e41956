// ICE of one media: what was offered, what was taken, and the checks that follow (RFC 8839, media-security
// section 6).
#pragma once

#include "control/sdp/ice.hpp"
#include "control/session/request.hpp"
#include "relay/core/forward/transport.hpp"
#include "relay/core/ice/ice_agent.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ferry {

/// Between this relay and one party, for one section.
struct MediaIce {
  IceCredentials own;
  /// In the party's last SDP, and by fragments since.
  sdp::IceDescription theirs;
  bool offered_by_peer = false;
  bool offered_to_peer = false;
  /// We say that we trickle: our candidates are complete all the same.
  bool trickles = false;
  /// Agreed, until the next answer.
  bool in_use = false;
  /// We nominate. Stays from offer to offer until ICE begins anew (RFC 8445 §6.1.1).
  bool controlling = false;
  /// The party answered an offer with ICE without it; flag `reset` and an offer of its own with ICE forget
  /// it.
  bool was_declined = false;
  /// Of the above; null after a change.
  std::shared_ptr<const IcePlan> plan;
};

/// Readies `ice` for an offer to the party.
void offer_ice(MediaIce& ice, bool trickles);
/// The party's offer, or that it has none. Other credentials than before are a restart (RFC 8445 §9).
void note_ice_offer(MediaIce& ice, sdp::IceDescription theirs, bool is_refused);
/// The party's answer to our offer.
void take_ice_answer(MediaIce& ice, sdp::IceDescription theirs);
/// Our answer to the party's offer.
void answer_ice(MediaIce& ice);
void forget_ice(MediaIce& ice);
/// Candidates that came later. False if they are of other credentials.
bool add_ice_candidates(MediaIce& ice, const sdp::IceDescription& fragment);

/// Value of `a=remote-candidates` (RFC 8839 §5.2) for an offer to the party: the peer's addresses of the
/// selected pairs. Empty unless we are the controlling agent and every component has its pair (RFC 8839
/// §4.4.2).
std::string remote_candidates(const MediaIce& ice, const TransportSnapshot::Ice& pairs, bool has_rtcp);

/// What the worker is told; null if there is no ICE now. `locals`: families of the ports, in their order.
/// `peers`: where the party may be.
std::shared_ptr<const IcePlan> ice_plan(MediaIce& ice, bool answered, bool has_rtcp,
                                        const std::vector<AddressFamily>& locals,
                                        const std::shared_ptr<const PeerPolicy>& peers);

}  // namespace ferry
