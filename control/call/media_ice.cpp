// SPDX-License-Identifier: Apache-2.0
// The ICE of one party in control: its credentials and ours, what was offered and agreed on, and the plan for
// the worker. `note_` and `take_` functions change it by an SDP. `ice_plan` makes the plan of an agent of
// ours, `overheard_plan` that of parties that do ICE with each other. A plan is kept until something in it
// changes, because workers take another object for another plan.
#include "control/call/media_ice.hpp"

#include "relay/base/random.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace ferry {

namespace {

// ICE-3: letters and digits. The password has 154 bits of chance; the ufrag has 35, behind a part that is
// never twice the same in this process before 14 million others were given (ONE-1).
constexpr std::size_t kUniquePart = 4;
constexpr std::size_t kUfragChance = 6;
constexpr std::size_t kPassword = 26;
// ICE-4
constexpr std::size_t kMaxCandidates = 20;

const std::vector<sdp::IceCandidateLine> kNoLines;

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A text that this process gives once in 62^4 times. The steps hide how many were given.
std::string unique_letters() {
  // Without a common divisor with 62^4, so that every number comes before the first one comes again.
  constexpr std::uint32_t kStep = 8'675'309;
  constexpr std::uint32_t kAll = 62 * 62 * 62 * 62;
  static std::uint32_t next = random_below(kAll);
  next = (next + kStep) % kAll;
  std::string text;
  for (std::uint32_t rest = next; text.size() < kUniquePart; rest /= 62) text.push_back(kLetters[rest % 62]);
  return text;
}

std::string random_letters(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    text.push_back(kLetters[random_below(static_cast<std::uint32_t>(kLetters.size()))]);
  return text;
}

/// Gives us new credentials, which restarts ICE (RFC 8445 §9).
void renew(MediaIce& ice) {
  ice.own = {unique_letters() + random_letters(kUfragChance), random_letters(kPassword)};
  ice.plan.reset();
}

/// Takes over the party's description, which has credentials. True if it restarts ICE: the credentials differ
/// from those before.
bool follow(MediaIce& ice, sdp::IceDescription theirs) {
  const bool restarts =
      ice.theirs.is_there() && (ice.theirs.ufrag != theirs.ufrag || ice.theirs.password != theirs.password);
  if (restarts) {
    renew(ice);
  } else if (ice.theirs.is_there()) {
    // Without a restart the candidates that were trickled stay.
    for (const auto& each : ice.theirs.candidates) {
      const bool known = std::ranges::find(theirs.candidates, each) != theirs.candidates.end();
      if (!known && theirs.candidates.size() < kMaxCandidates) theirs.candidates.push_back(each);
    }
  }
  if (ice.theirs != theirs) ice.plan.reset();
  ice.theirs = std::move(theirs);
  return restarts;
}

void set_role(MediaIce& ice, bool controlling) {
  if (ice.controlling != controlling) ice.plan.reset();
  ice.controlling = controlling;
}

}  // namespace

void offer_ice(MediaIce& ice, const IceTerms& terms) {
  const bool is_lite = terms.is_lite && !ice.theirs.is_lite;
  if (ice.own.ufrag.empty() || is_lite != ice.is_lite) renew(ice);
  ice.is_lite = is_lite;
  ice.offered_to_peer = true;
  ice.trickles = terms.trickles || (ice.in_use && ice.trickles);
}

void note_ice_offer(MediaIce& ice, sdp::IceDescription theirs, const IceTerms& terms) {
  ice.offered_by_peer = theirs.is_there() && !terms.is_refused;
  if (!ice.offered_by_peer) return;
  ice.was_declined = false;
  if (!ice.in_use) ice.is_lite = terms.is_lite && !theirs.is_lite;
  if (follow(ice, std::move(theirs)) || !ice.in_use) set_role(ice, ice.theirs.is_lite);
}

void take_ice_answer(MediaIce& ice, sdp::IceDescription theirs) {
  if (!theirs.is_there()) {
    forget_ice(ice);
    ice.was_declined = true;
    return;
  }
  // Credentials that change in an answer restart what was there before.
  const IceCredentials shown = ice.own;
  // RFC 8445 §6.1.1: of two lite agents the offerer controls. They would never check a pair, so the relay is
  // a full agent then.
  ice.is_lite = ice.is_lite && !theirs.is_lite;
  if (follow(ice, std::move(theirs)) || !ice.in_use) set_role(ice, true);
  if (ice.is_lite) set_role(ice, false);
  ice.own = shown;  // it was shown already
  if (!ice.in_use) ice.plan.reset();
  ice.in_use = true;
}

void answer_ice(MediaIce& ice) {
  if (ice.own.ufrag.empty()) renew(ice);
  if (!ice.in_use) {
    ice.plan.reset();
    ice.controlling = ice.theirs.is_lite;
  }
  ice.trickles = ice.theirs.trickles;
  ice.in_use = true;
}

void forget_ice(MediaIce& ice) {
  if (ice.in_use) ice = MediaIce{};
  ice.in_use = false;
  ice.plan.reset();
}

void overhear_ice(MediaIce& ice, sdp::IceDescription theirs) {
  // No agent of ours is in it, whatever was agreed before.
  forget_ice(ice);
  ice.offered_by_peer = ice.offered_to_peer = false;
  if (theirs.is_there()) {
    follow(ice, std::move(theirs));
  } else {
    ice.theirs = {};
  }
}

bool add_ice_candidates(MediaIce& ice, const sdp::IceDescription& fragment) {
  if (ice.theirs.ufrag != fragment.ufrag || ice.theirs.password != fragment.password) return false;
  for (const auto& each : fragment.candidates) {
    const bool known = std::ranges::find(ice.theirs.candidates, each) != ice.theirs.candidates.end();
    if (known || ice.theirs.candidates.size() >= kMaxCandidates) continue;
    ice.theirs.candidates.push_back(each);
    ice.plan.reset();
  }
  return true;
}

std::string remote_candidates(const MediaIce& ice, const TransportSnapshot::Ice& pairs, bool has_rtcp) {
  if (!ice.in_use || !ice.controlling || pairs.state != IceAgent::State::kConnected) return {};
  std::string text;
  for (std::size_t i = 0; i < (has_rtcp ? 2u : 1u); ++i) {
    const auto& selected = pairs.selected[i];
    if (!selected) return {};
    text += fmt::format("{}{} {} {}", text.empty() ? "" : " ", i + 1, selected->peer.address.to_string(),
                        selected->peer.port.value);
  }
  return text;
}

std::shared_ptr<const IcePlan> ice_plan(MediaIce& ice, bool answered, bool has_rtcp,
                                        const std::vector<AddressFamily>& locals,
                                        const std::shared_ptr<const PeerPolicy>& peers,
                                        const std::function<bool(const Endpoint&)>& is_left_out) {
  const bool is_pending = !answered && ice.offered_to_peer;
  if (!ice.in_use && !is_pending) return nullptr;
  std::vector<IceCandidate> candidates;
  for (const sdp::IceCandidateLine& each : ice.in_use ? ice.theirs.candidates : kNoLines) {
    if (is_left_out && is_left_out(each.at)) continue;
    candidates.push_back({each.component == 1 ? Component::kRtp : Component::kRtcp, each.at, each.priority});
  }
  if (ice.plan && ice.plan->has_rtcp == has_rtcp && ice.plan->locals == locals && ice.plan->peers == peers &&
      ice.plan->candidates == candidates)
    return ice.plan;
  auto plan = std::make_shared<IcePlan>();
  plan->own = ice.own;
  if (ice.in_use) {
    plan->peer = {ice.theirs.ufrag, ice.theirs.password};
    plan->peer_is_lite = ice.theirs.is_lite;
  }
  plan->candidates = std::move(candidates);
  plan->is_lite = ice.is_lite;
  plan->controlling = ice.in_use ? ice.controlling : !ice.is_lite;  // toward who answers
  plan->locals = locals;
  plan->has_rtcp = has_rtcp;
  plan->peers = peers;
  ice.plan = plan;
  return plan;
}

std::shared_ptr<const OverheardPlan> overheard_plan(MediaIce& party, const MediaIce* other,
                                                    const std::array<Endpoint, 2>& named,
                                                    const std::vector<AddressFamily>& locals,
                                                    const std::shared_ptr<const PeerPolicy>& peers) {
  OverheardPlan plan;
  plan.party = {party.theirs.ufrag, party.theirs.password};
  if (other != nullptr) plan.other = {other->theirs.ufrag, other->theirs.password};
  for (const sdp::IceCandidateLine& each : party.theirs.candidates)
    plan.candidates.push_back(
        {each.component == 1 ? Component::kRtp : Component::kRtcp, each.at, each.priority});
  std::stable_sort(plan.candidates.begin(), plan.candidates.end(),
                   [](const IceCandidate& a, const IceCandidate& b) { return a.priority > b.priority; });
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    const Endpoint& at = named[static_cast<std::size_t>(component)];
    const bool is_known = std::ranges::any_of(plan.candidates, [&](const IceCandidate& each) {
      return each.component == component && each.at == at;
    });
    if (at.is_set() && !is_known) plan.candidates.push_back({component, at, 0});
  }
  plan.locals = locals;
  plan.peers = peers;
  if (!party.overheard || *party.overheard != plan)
    party.overheard = std::make_shared<const OverheardPlan>(std::move(plan));
  return party.overheard;
}

}  // namespace ferry
