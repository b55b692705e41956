// SPDX-License-Identifier: Apache-2.0
// How an offer waits. `begin` copies the terms of both parties into `agreed`, and the offer then changes the
// newest terms. An answer (`settle`) drops the copies. An offer that ends otherwise (`withdraw`) copies them
// back, removes the medias that it added, and keeps its SDP as lapsed: an answer that comes late still
// belongs to it.
#include "control/session/proposals.hpp"

#include "control/session/ports_desk.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

namespace {

bool is_party(const Proposal& proposal, const Leg& leg) {
  return proposal.offerer == &leg || proposal.answerer == &leg;
}

std::unique_ptr<AgreedTransportTerms> agreed_terms(const MediaTransport& transport) {
  auto agreed = std::make_unique<AgreedTransportTerms>();
  static_cast<TransportTerms&>(*agreed) = transport;
  agreed->received_from = transport.leg->received_from;
  if (transport.ice) agreed->ice = std::make_unique<MediaIce>(*transport.ice);
  return agreed;
}

/// Copies what is in force now, so that an offer may change the newest terms.
void keep_agreed(Leg& leg) {
  for (const auto& media : leg.medias) {
    if (!media->is_exchanged) continue;
    media->agreed = std::make_unique<MediaTerms>(*media);
    media->via->agreed = agreed_terms(*media->via);
  }
}

/// Puts the agreed terms back, if there are any.
void go_back(MediaTransport& transport) {
  const std::unique_ptr<AgreedTransportTerms> agreed = std::exchange(transport.agreed, nullptr);
  if (!agreed) return;
  static_cast<TransportTerms&>(transport) = *agreed;
  transport.leg->received_from = agreed->received_from;
  transport.ice = std::move(agreed->ice);
  transport.active = transport.sending;
  // An algorithm that learns anew at each signal must not do so because an offer ended (LAT-4a).
  for (LocalPorts& ports : transport.ports) ports.learned_signal = transport.call().signals;
}

void go_back(Media& media) {
  if (const std::unique_ptr<MediaTerms> agreed = std::exchange(media.agreed, nullptr))
    static_cast<MediaTerms&>(media) = std::move(*agreed);
  go_back(*media.via);
}

}  // namespace

bool Proposals::has_agreed(const Leg& leg) {
  return std::ranges::any_of(leg.medias, [](const auto& media) { return media->is_exchanged; });
}

void Proposals::begin(Leg& offerer, Leg& answerer, const Needed& is_needed, Instant now) {
  std::erase_if(call_.proposals, [&](const Proposal& earlier) {
    if (!is_party(earlier, offerer) && !is_party(earlier, answerer)) return false;
    withdraw(earlier, is_needed);
    return true;
  });
  if (offerer.extras) offerer.extras->lapsed.reset();
  if (!has_agreed(offerer) && !has_agreed(answerer)) return;
  for (Leg* leg : {&offerer, &answerer}) keep_agreed(*leg);
  // A party that is new may ring for long. If it refuses, the proxy deletes its branch, so no time-out is
  // needed.
  const Instant until = has_agreed(answerer) ? now + kOfferPatience : Instant::max();
  call_.proposals.push_back({&offerer, &answerer, until, offerer.last_sdp, offerer.section_order});
}

void Proposals::settle(Leg& offerer, Leg& answerer) {
  std::erase_if(call_.proposals, [&](const Proposal& proposal) {
    if (!is_party(proposal, offerer) && !is_party(proposal, answerer)) return false;
    // A proposal with a third party ends, and the third party gets its agreed terms back.
    for (Leg* leg : {proposal.offerer, proposal.answerer}) {
      if (leg != &offerer && leg != &answerer) restore(*leg, {});
    }
    return true;
  });
  accept(offerer);
  accept(answerer);
}

bool Proposals::drop(const Leg& leg) {
  return std::erase_if(call_.proposals, [&](const Proposal& proposal) {
           if (!is_party(proposal, leg)) return false;
           withdraw(proposal, {});
           return true;
         }) != 0;
}

bool Proposals::expire(Instant now) {
  return std::erase_if(call_.proposals, [&](const Proposal& proposal) {
           if (now < proposal.until) return false;
           withdraw(proposal, {});
           return true;
         }) != 0;
}

void Proposals::skip(Call& call, Duration pause) {
  for (Proposal& proposal : call.proposals) {
    if (proposal.until != Instant::max()) proposal.until += pause;
  }
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      if (media->awaited_since != Instant{}) media->awaited_since += pause;
    }
  }
}

const Proposal* Proposals::offered_by(const Leg& leg) {
  const auto found = std::ranges::find(leg.call->proposals, &leg, &Proposal::offerer);
  return found == leg.call->proposals.end() ? nullptr : &*found;
}

Instant Proposals::next_end(const Call& call) {
  Instant next = Instant::max();
  for (const Proposal& proposal : call.proposals) next = std::min(next, proposal.until);
  return next;
}

void Proposals::withdraw(const Proposal& proposal, const Needed& is_needed) {
  restore(*proposal.offerer, is_needed);
  restore(*proposal.answerer, is_needed);
  Leg& offerer = *proposal.offerer;
  offerer.ensure_extras().lapsed =
      std::make_unique<LapsedOffer>(LapsedOffer{std::exchange(offerer.last_sdp, proposal.former_sdp),
                                                std::exchange(offerer.section_order, proposal.former_order)});
}

void Proposals::restore(Leg& leg, const Needed& is_needed) {
  for (const auto& media : leg.medias) {
    go_back(*media);
    // A party of the rtpproxy protocol has one port only.
    if (call_.policy() != nullptr && media->via->ports.size() > 1)
      services_.ports.keep_only(call_, *media->via, media->via->active);
  }
  // New sections stand last, so the numbers of the others stay.
  while (!leg.medias.empty() && leg.medias.back()->is_proposed &&
         !(is_needed && is_needed(*leg.medias.back())))
    remove_last_media(leg);
}

void Proposals::accept(Leg& leg) {
  if (leg.extras) leg.extras->lapsed.reset();
  for (const auto& media : leg.medias) {
    media->agreed.reset();
    media->via->agreed.reset();
    media->is_proposed = false;
  }
}

void Proposals::remove_last_media(Leg& leg) {
  Media& media = *leg.medias.back();
  for (const auto& other : call_.legs) {
    for (const auto& each : other->medias)
      std::erase_if(each->subscriptions, [&](const Subscription& s) { return s.source == &media; });
  }
  if (!media.via->is_shared()) services_.ports.close_all(call_, *media.via);
  leg.medias.pop_back();
  std::erase_if(leg.transports, [](const MediaTransport& transport) { return transport.medias().empty(); });
}

}  // namespace ferry
