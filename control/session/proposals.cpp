#include "control/session/proposals.hpp"

#include "control/session/classic.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

namespace {

bool is_party(const Proposal& proposal, const Leg& leg) {
  return proposal.offerer == &leg || proposal.answerer == &leg;
}

std::unique_ptr<AgreedTerms> agreed_terms(const Media& media) {
  auto agreed = std::make_unique<AgreedTerms>();
  static_cast<MediaTerms&>(*agreed) = media;
  agreed->received_from = media.leg->received_from;
  if (media.ice) agreed->ice = std::make_unique<MediaIce>(*media.ice);
  return agreed;
}

void go_back(Media& media) {
  const std::unique_ptr<AgreedTerms> agreed = std::exchange(media.agreed, nullptr);
  if (!agreed) return;
  static_cast<MediaTerms&>(media) = std::move(*agreed);
  media.leg->received_from = agreed->received_from;
  media.ice = std::move(agreed->ice);
  media.active = media.sending;
  // An algorithm that learns anew at each signal must not do so because of this (LAT-4a).
  for (PortSet& ports : media.ports) ports.learned_signal = media.call->signals;
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
  for (Leg* leg : {&offerer, &answerer}) {
    for (const auto& media : leg->medias) {
      if (media->is_exchanged) media->agreed = agreed_terms(*media);
    }
  }
  // A new party may ring for long; its branch is deleted if it refuses.
  const Instant until = has_agreed(answerer) ? now + kPatience : Instant::max();
  call_.proposals.push_back({&offerer, &answerer, until, offerer.last_sdp, offerer.section_order});
}

void Proposals::settle(Leg& offerer, Leg& answerer) {
  std::erase_if(call_.proposals, [&](const Proposal& proposal) {
    if (!is_party(proposal, offerer) && !is_party(proposal, answerer)) return false;
    // A proposal between one of them and a third party ends; the third party gets its agreed terms back.
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
  offerer.made_extras().lapsed =
      std::make_unique<LapsedOffer>(LapsedOffer{std::exchange(offerer.last_sdp, proposal.former_sdp),
                                                std::exchange(offerer.section_order, proposal.former_order)});
}

void Proposals::restore(Leg& leg, const Needed& is_needed) {
  for (const auto& media : leg.medias) {
    go_back(*media);
    // A party of the classic protocol has one port.
    if (call_.classic() != nullptr && media->ports.size() > 1)
      ClassicSessions(manager_).keep_ports(call_, *media, media->active);
  }
  // New sections stand last: the numbers of the others stay.
  while (!leg.medias.empty() && leg.medias.back()->is_proposed &&
         !(is_needed && is_needed(*leg.medias.back())))
    remove_last_media(leg);
}

void Proposals::accept(Leg& leg) {
  if (leg.extras) leg.extras->lapsed.reset();
  for (const auto& media : leg.medias) {
    media->agreed.reset();
    media->is_proposed = false;
  }
}

void Proposals::remove_last_media(Leg& leg) {
  Media& media = *leg.medias.back();
  for (const auto& other : call_.legs) {
    for (const auto& each : other->medias)
      std::erase_if(each->subscriptions, [&](const Subscription& s) { return s.source == &media; });
  }
  manager_.close_media(call_, media);
  leg.medias.pop_back();
}

}  // namespace ferry
