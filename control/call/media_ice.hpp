// SPDX-License-Identifier: Apache-2.0
// ICE of one transport: what was offered, what was taken, and the checks that follow (RFC 8839; rules ICE-1
// to ICE-9). Control thread only.
#pragma once

#include "control/request/request.hpp"
#include "control/sdp/ice.hpp"
#include "relay/core/forward/transport.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "relay/core/ice/overheard_ice.hpp"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ferry {

/// ICE between this relay and one party, on one transport.
struct MediaIce {
  /// Our `ice-ufrag` and `ice-pwd`. Empty before the first SDP with ICE.
  IceCredentials own;
  /// The ICE lines of the party's last SDP, with the candidates of fragments since.
  sdp::IceDescription theirs;
  /// True if the party's last offer had ICE, and the request did not refuse it.
  bool offered_by_peer = false;
  /// True if the party was offered ICE.
  bool offered_to_peer = false;
  /// True if our SDP says that we trickle (RFC 8840). Our candidates are complete all the same.
  bool trickles = false;
  /// True if ICE was agreed by an answer. In force until the next one.
  bool in_use = false;
  /// True if we are the controlling agent, which nominates. It stays from offer to offer until ICE restarts
  /// (RFC 8445 §6.1.1).
  bool controlling = false;
  /// True if we are a lite agent toward the party (RFC 8445 §2.5): we answer its checks and send none. Never
  /// toward a party that is one itself. An offer that changes it shows other credentials, which restarts ICE.
  bool is_lite = false;
  /// True if the party answered an offer with ICE without it. Flag `reset`, or an offer of its own with ICE,
  /// clears it.
  bool was_declined = false;
  /// Cache of the plan that was made from the members above. Reset when one of them changes; `ice_plan` makes
  /// it again.
  std::shared_ptr<const IcePlan> plan;
  /// The plan that `overheard_plan` made last. Null if it made none.
  std::shared_ptr<const OverheardPlan> overheard;
};

/// What the client's request asks for about ICE with one party.
struct IceTerms {
  /// True if the relay's offer says that it trickles (RFC 8840). The relay's answers say what the party says.
  bool trickles = false;
  /// True if the relay is to be a lite agent. A party that is lite itself gets a full agent all the same.
  bool is_lite = false;
  /// True if the relay must not take the party's ICE.
  bool is_refused = false;
};

/// Readies `ice` for an offer to the party. Another kind of agent than before restarts ICE (RFC 8839
/// §4.4.1.1.1).
void offer_ice(MediaIce& ice, const IceTerms& terms);
/// Takes the lines of the party's offer, which may have none. Other credentials than before are a restart
/// (RFC 8445 §9): ours change too. The kind of our agent stays while ICE is in use.
void note_ice_offer(MediaIce& ice, sdp::IceDescription theirs, const IceTerms& terms);
/// Takes the party's answer to our offer. An answer without ICE ends it.
void take_ice_answer(MediaIce& ice, sdp::IceDescription theirs);
/// Agrees to the party's offer, in our answer to it.
void answer_ice(MediaIce& ice);
/// Ends ICE with the party.
void forget_ice(MediaIce& ice);
/// Takes the lines of the party's offer or answer to another party, with which it does ICE itself: the relay
/// is no agent. The lines may be empty.
void overhear_ice(MediaIce& ice, sdp::IceDescription theirs);
/// Adds candidates of a fragment (RFC 8840). False if the fragment has other credentials; nothing changes
/// then.
bool add_ice_candidates(MediaIce& ice, const sdp::IceDescription& fragment);

/// Value of `a=remote-candidates` (RFC 8839 §5.2) for an offer to the party: the peer's addresses of the
/// selected pairs. Empty unless we are the controlling agent and every component has its pair (RFC 8839
/// §4.4.2). `has_rtcp`: RTCP has a component of its own.
std::string remote_candidates(const MediaIce& ice, const TransportSnapshot::Ice& pairs, bool has_rtcp);

/// The ICE that the worker is told; null if there is none now. `answered`: the offer has its answer.
/// `has_rtcp`: RTCP has a component of its own. `locals`: IP versions of the ports, in their order. `peers`:
/// where the party may be (LAT-11a). `is_left_out`: true for candidates that are not checked; null = all are.
std::shared_ptr<const IcePlan> ice_plan(MediaIce& ice, bool answered, bool has_rtcp,
                                        const std::vector<AddressFamily>& locals,
                                        const std::shared_ptr<const PeerPolicy>& peers,
                                        const std::function<bool(const Endpoint&)>& is_left_out = {});

/// What the worker is told of the ICE of two parties with each other, for the transport of `party`. `other`
/// is what is known of the far side; null = nothing yet. `named`: where the party's `c=` and m-line say that
/// it is, by component; unset = nowhere that may be sent to. `locals` and `peers` as above.
std::shared_ptr<const OverheardPlan> overheard_plan(MediaIce& party, const MediaIce* other,
                                                    const std::array<Endpoint, 2>& named,
                                                    const std::vector<AddressFamily>& locals,
                                                    const std::shared_ptr<const PeerPolicy>& peers);

}  // namespace ferry
