// SPDX-License-Identifier: Apache-2.0
// BUNDLE in an offer or answer (RFC 9143): which sections of the message are a BUNDLE group of each party,
// and which section carries the transport that they share. To carry it means to decide about it.
//
// 1. `read_groups` reads the sender's groups with its SDP. From then on each bundled section reads as if it
//    stood alone, with the transport of its group.
// 2. `choose_transports` finds the receiver's groups. An offer has a group for the receiver if a word asks
//    for it, or if the receiver agreed on one before. An answer has the groups of the receiver's own offer,
//    without the sections that the other side refuses.
// 3. `share` puts the sections of each group on one transport. A media whose terms are in force moves only
//    with an answer, because an offer may fail (LAT-15).
// 4. The commit moves the medias (`place_medias`). An answer then notes what was agreed (`settle_bundle`).
//
// Trap: the word `offer` gives each section of the group ports of its own until the answer takes the group.
// Such a section is in a group (`is_grouped`) and carries its own transport all the same (`carries`).

#include "control/call/session_config.hpp"
#include "control/command/offer_answer.hpp"
#include "control/command/shared_transport.hpp"
#include "control/negotiate/bundle.hpp"
#include "control/session/call_register.hpp"
#include "control/session/proposals.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace ferry {

namespace {

/// The most former names of sections that are remembered for a party, and the longest of them in octets. The
/// relay's own names are numbers, and a party that likes longer ones has to keep them apart itself.
constexpr std::size_t kMostFormerMids = 64;
constexpr std::size_t kLongestFormerMid = 32;

/// The bundled sections of each group.
std::vector<std::vector<std::size_t>> sections_of(const std::vector<BundleGroup>& groups) {
  std::vector<std::vector<std::size_t>> sections;
  for (const BundleGroup& group : groups) sections.push_back(group.sections);
  return sections;
}

}  // namespace

bool OfferAnswer::takes_groups() const {
  if (wished_passing() != Passing::kNo) return false;
  if (is_answer_) {
    // A new branch answers the offer that the other branches got.
    if (receiver_ == nullptr) return false;
    const Leg* offered = sender_ != nullptr ? sender_ : call_.partner_of(*receiver_);
    return offered != nullptr && offered->bundle() != nullptr && offered->bundle()->offered_to_peer;
  }
  // A group that was agreed on cannot be dissolved by words.
  if (sender_ != nullptr && sender_->has_bundle()) return true;
  if (has(request_.bundle, Bundle::kAccept)) return true;
  if (has(request_.bundle, Bundle::kReject)) return false;
  const LegBundle* known = sender_ != nullptr ? sender_->bundle() : nullptr;
  const bool is_usual = services_.config.accepts_bundle;
  return known != nullptr ? known->is_accepted.value_or(is_usual) : is_usual;
}

void OfferAnswer::read_groups() {
  if (!takes_groups()) return;
  const auto groups = bundle_groups(session_, [&](std::size_t at) { return is_hidden(session_.media[at]); });
  share_transport(session_, groups);
  sender_groups_ = sections_of(groups);
}

LegBundle::Wish OfferAnswer::bundle_wish() const {
  using Wish = LegBundle::Wish;
  if (has(request_.bundle, Bundle::kRequire) || has(request_.bundle, Bundle::kStrict)) return Wish::kRequire;
  const LegBundle* known = receiver_ != nullptr ? receiver_->bundle() : nullptr;
  const Wish kept = known != nullptr && !is_another_negotiation() ? known->wish : Wish::kNone;
  return has(request_.bundle, Bundle::kOffer) && kept == Wish::kNone ? Wish::kOffer : kept;
}

bool OfferAnswer::shares_toward_receiver() const {
  return bundle_wish() == LegBundle::Wish::kRequire || (receiver_ != nullptr && receiver_->has_bundle());
}

std::string_view OfferAnswer::protocol_to_offer(const Match& match) const {
  const sdp::Protocol wanted = sdp::parse_protocol(request_.transport_protocol);
  const sdp::MediaSection& shown = *match.shown;
  if (shown.is_rtp() && wanted.kind == sdp::ProtocolClass::kRtp) return wanted.text;
  const bool is_new = match.receiver == nullptr || match.receiver->protocol.empty();
  if (is_new) return protocol_of_new(shown);
  const std::string_view receivers = match.receiver->protocol;
  const std::string_view senders =
      match.sender != nullptr ? std::string_view(match.sender->protocol) : std::string_view();
  // Around a fax that the relay converts, the section of one side alone becomes another one.
  const bool is_same_kind = sdp::parse_protocol(receivers).kind == shown.protocol.kind;
  const bool was_converted = sdp::parse_protocol(senders).kind == sdp::ProtocolClass::kUdptl;
  const bool goes_on = senders == match.section->protocol.text || match.is_converted() || was_converted;
  return goes_on && is_same_kind ? receivers : shown.protocol.text;
}

std::string_view OfferAnswer::protocol_of_new(const sdp::MediaSection& section) const {
  if (!section.is_rtp() || receiver_ == nullptr) return section.protocol.text;
  for (const auto& media : receiver_->medias) {
    if (media->via->is_bundle && !media->protocol.empty()) return media->protocol;
  }
  return section.protocol.text;
}

std::vector<OfferAnswer::Group> OfferAnswer::groups_to_offer() const {
  if (wished_passing() != Passing::kNo) return {};
  const bool is_agreed = receiver_ != nullptr && receiver_->has_bundle();
  if (!is_agreed && bundle_wish() == LegBundle::Wish::kNone) return {};
  Group all;
  for (std::size_t i = 0; i < matches_.size(); ++i) {
    const Match& match = matches_[i];
    const bool is_member =
        match.section->is_rtp() && match.section->port != 0 && !match.hidden && !match.is_converted();
    // A section that lives outside the agreed group stays there.
    const bool stays_out = is_agreed && match.receiver != nullptr && !match.receiver->via->is_bundle &&
                           !may_move(*match.receiver);
    if (is_member && !stays_out) all.push_back(i);
  }
  // A group has its sections in the order in which the receiver is shown them.
  std::ranges::stable_sort(all, {}, [&](std::size_t at) {
    const Match& match = matches_[at];
    return match.receiver != nullptr ? match.receiver->index : match.new_receiver_index;
  });
  // Several agreed groups stay apart; whatever is new joins the first.
  std::vector<std::pair<const MediaTransport*, Group>> groups;
  for (const std::size_t at : all) {
    const Media* media = matches_[at].receiver;
    const MediaTransport* via = media != nullptr && media->via->is_bundle ? media->via : nullptr;
    auto found = std::ranges::find_if(groups, [&](const auto& group) {
      return via == nullptr || group.first == nullptr || group.first == via;
    });
    if (found == groups.end()) found = groups.insert(groups.end(), {via, {}});
    if (found->first == nullptr) found->first = via;
    found->second.push_back(at);
  }
  std::vector<Group> sections;
  for (auto& [via, group] : groups) {
    // One transport has one profile (BND-10).
    const std::string_view profile = protocol_to_offer(matches_[group.front()]);
    std::erase_if(group, [&](std::size_t at) { return protocol_to_offer(matches_[at]) != profile; });
    sections.push_back(std::move(group));
  }
  return sections;
}

std::vector<OfferAnswer::Group> OfferAnswer::groups_to_answer() {
  const LegBundle* known = receiver_ != nullptr ? receiver_->bundle() : nullptr;
  if (known == nullptr || !known->offered_by_peer) return {};
  const auto match_of = [&](std::size_t own) {
    return std::ranges::find_if(matches_, [&](const Match& match) {
      return match.receiver != nullptr && own_place(*match.receiver) == own;
    });
  };
  const auto is_refused = [&](std::size_t own) {
    const auto match = match_of(own);
    return match == matches_.end() || match->section->port == 0 || !match->section->is_rtp() ||
           match->is_converted();
  };
  const auto is_in_use = [&](std::size_t own) {
    const auto match = match_of(own);
    return match != matches_.end() && match->receiver->via->is_bundle;
  };
  const auto offered = bundle_groups(receiver_own_);
  std::vector<std::size_t> at_tagged;
  for (const BundleGroup& group : offered) {
    // A transport in use stays, whoever was tagged for it (BND-6). One that no section names which is taken,
    // but that of a tagged section alone, is all that there is (BND-3).
    const bool is_named = std::ranges::any_of(group.sections, [&](std::size_t own) {
      return receiver_own_.media[own].port != 0 && !is_refused(own);
    });
    if (is_named && std::ranges::none_of(group.sections, is_in_use)) continue;
    share_transport(receiver_own_, {group});
    at_tagged.insert(at_tagged.end(), group.sections.begin(), group.sections.end());
  }
  const auto taken = bundle_groups(receiver_own_, is_refused);
  share_transport(receiver_own_, taken);
  std::vector<Group> groups;
  for (const BundleGroup& group : taken) {
    Group& sections = groups.emplace_back();
    for (const std::size_t own : group.sections)
      sections.push_back(static_cast<std::size_t>(match_of(own) - matches_.begin()));
    const auto before = std::ranges::find_if(offered, [&](const BundleGroup& each) {
      return std::ranges::find(each.sections, group.sections.front()) != each.sections.end();
    });
    if (before == offered.end() || before->sections.front() == group.sections.front()) continue;
    const auto tagged = match_of(before->sections.front());
    matches_[sections.front()].is_reread =
        std::ranges::find(at_tagged, group.sections.front()) == at_tagged.end();
    const bool stays = std::ranges::any_of(before->sections, is_in_use);
    if (stays && tagged != matches_.end() && tagged->section->port == 0) tagged->kept_in = groups.size() - 1;
  }
  return groups;
}

bool OfferAnswer::may_move(const Media& media) const {
  return is_settling_ || !media.is_exchanged || media.in_force().rejected;
}

void OfferAnswer::choose_transports() {
  for (std::size_t i = 0; i < matches_.size(); ++i) {
    for (const bool receiver_side : {false, true}) {
      const Media* media = matches_[i].media(receiver_side);
      matches_[i].transport(receiver_side) = {i, media != nullptr ? media->via : nullptr};
    }
  }
  share(false, sender_groups_);
  receiver_groups_ = is_answer_ ? groups_to_answer() : groups_to_offer();
  share(true, is_answer_ || shares_toward_receiver() ? receiver_groups_ : std::vector<Group>{});
  for (std::size_t i = 0; i < matches_.size(); ++i) {
    if (!matches_[i].kept_in) continue;
    Group& group = receiver_groups_[*matches_[i].kept_in];
    group.insert(group.begin(), i);
  }
}

void OfferAnswer::share(bool receiver_side, const std::vector<Group>& groups) {
  std::vector<bool> is_grouped(matches_.size(), false);
  for (const Group& group : groups) {
    // The transport that the party knows as that of the group stays, whichever section is tagged now (BND-7).
    MediaTransport* target = matches_[group.front()].transport(receiver_side).via;
    for (const std::size_t at : group) {
      MediaTransport* via = matches_[at].transport(receiver_side).via;
      if (via == nullptr || (!via->is_bundle && !via->is_shared())) continue;
      target = via;
      break;
    }
    std::optional<std::size_t> carrier;
    for (const std::size_t at : group) {
      const Media* media = matches_[at].media(receiver_side);
      if (media != nullptr && media->via != target && !may_move(*media)) continue;
      if (!carrier) carrier = at;
      matches_[at].transport(receiver_side) = {*carrier, target};
      is_grouped[at] = true;
    }
  }
  for (std::size_t i = 0; i < matches_.size(); ++i) {
    if (!is_grouped[i]) leave_shared(i, receiver_side, is_grouped);
  }
}

bool OfferAnswer::must_leave(const Match& match, const Match* carrier, bool receiver_side) const {
  if (!match.section->is_rtp() || match.is_converted()) return true;
  if (carrier == nullptr) return false;
  if (!receiver_side) return match.section->protocol.text != carrier->section->protocol.text;
  return !is_answer_ && protocol_to_offer(match) != protocol_to_offer(*carrier);
}

void OfferAnswer::leave_shared(std::size_t at, bool receiver_side, const std::vector<bool>& is_grouped) {
  Match& match = matches_[at];
  const Media* media = match.media(receiver_side);
  if (media == nullptr || !media->via->is_shared()) return;
  const auto carrier = std::ranges::find_if(matches_, [&](const Match& other) {
    const auto place = static_cast<std::size_t>(&other - matches_.data());
    const bool is_alive = other.section->port != 0 && !other.hidden;
    return place != at && is_alive && (is_grouped[place] || place < at) &&
           other.transport(receiver_side).via == media->via;
  });
  const bool is_alive = match.section->port != 0 && !match.hidden;
  if (is_alive && must_leave(match, carrier == matches_.end() ? nullptr : &*carrier, receiver_side)) {
    // Keys and demultiplexing are those of RTP with one profile, so the section leaves at once, although its
    // offer may fail. An answerer has no other port to be told of.
    if (receiver_side || !is_answer_) {
      match.transport(receiver_side) = {at, nullptr};
      return;
    }
    session_.media[at].port = 0;
  }
  if (carrier == matches_.end()) return;
  const auto stay = [&] {
    match.transport(receiver_side).carrier = static_cast<std::size_t>(carrier - matches_.begin());
  };
  if (match.section->port == 0 || match.hidden) return stay();
  // The receiver learns a new port from this message, and the sender of an offer from the answer to it. The
  // sender of an answer learns nothing more: it was offered one port and did not take the group.
  const bool is_told = receiver_side || !is_answer_;
  if (is_told && may_move(*media)) {
    match.transport(receiver_side) = {at, nullptr};
    match.is_reread = match.is_reread || (is_answer_ && receiver_side);
    return;
  }
  stay();
  if (is_told || remote_of(*match.section) == remote_of(*carrier->section)) return;
  // A party without BUNDLE has to reject all but the first section of such an offer. If it does not, the
  // relay cannot serve its two places from one port, and rejects the section itself.
  session_.media[at].port = 0;
}

bool OfferAnswer::is_grouped(const Match& match, bool receiver_side) const {
  const auto at = static_cast<std::size_t>(&match - matches_.data());
  return std::ranges::any_of(receiver_side ? receiver_groups_ : sender_groups_,
                             [&](const Group& group) { return std::ranges::find(group, at) != group.end(); });
}

void OfferAnswer::keep_bundle() {
  if (is_answer_) return;
  const bool is_lost = sender_groups_.empty() && may_need_group(session_);
  if (!sender_groups_.empty() || is_lost || sender_->bundle() != nullptr) {
    sender_->ensure_bundle().offered_by_peer = !sender_groups_.empty();
    sender_->ensure_bundle().refused_to_peer = is_lost;
  }
  if (has(request_.bundle, Bundle::kAccept) || has(request_.bundle, Bundle::kReject))
    sender_->ensure_bundle().is_accepted = has(request_.bundle, Bundle::kAccept);
  if (receiver_groups_.empty() && receiver_->bundle() == nullptr) return;
  // The word `strict` counts for one offer.
  const bool is_strict_alone = has(request_.bundle, Bundle::kStrict) &&
                               !has(request_.bundle, Bundle::kOffer) &&
                               !has(request_.bundle, Bundle::kRequire);
  if (!is_strict_alone) receiver_->ensure_bundle().wish = bundle_wish();
  receiver_->ensure_bundle().offered_to_peer = !receiver_groups_.empty();
}

void OfferAnswer::place_medias(bool receiver_side) {
  Leg& leg = receiver_side ? *receiver_ : *sender_;
  const bool is_proposed = !is_settling_ && Proposals::has_agreed(leg);
  for (Match& match : matches_) {
    Media*& media = match.media(receiver_side);
    if (media != nullptr || (receiver_side && match.hidden)) continue;
    const unsigned index = receiver_side ? match.new_receiver_index : match.new_sender_index;
    media = &services_.calls.add_media(leg, index, match.as_seen(receiver_side).type);
    media->is_proposed = is_proposed;
    if (receiver_side) media->via->ice_controlling = !is_answer_;
  }
  for (Match& match : matches_) {
    const Media* media = match.media(receiver_side);
    if (media == nullptr || !carries(match, receiver_side)) continue;
    MediaTransport*& via = match.transport(receiver_side).via;
    // A media that leaves a shared transport gets one of its own.
    if (via == nullptr && media->via->is_shared()) {
      via = &leg.add_transport();
      via->ice_controlling = media->via->ice_controlling;
    }
    if (via == nullptr) via = media->via;
    carry_by(services_, *match.media(receiver_side), *via);
  }
  for (Match& match : matches_) {
    if (match.media(receiver_side) == nullptr || carries(match, receiver_side)) continue;
    const std::size_t carrier = match.transport(receiver_side).carrier;
    MediaTransport* via = matches_[carrier].transport(receiver_side).via;
    match.transport(receiver_side).via = via;
    carry_by(services_, *match.media(receiver_side), *via);
  }
}

void OfferAnswer::reread_offer(const Match& match) {
  const sdp::MediaSection* own = own_section(*match.receiver);
  if (own == nullptr) return;
  MediaTransport& transport = *match.receiver->via;
  const IpAddress address = own->connection.value_or(IpAddress::unspecified(AddressFamily::kIpv4));
  read_transport(transport, *own, {address, UdpPort{own->port}});
  Side(transport, input_).take_offer(*own, match.receiver->answered && match.receiver->encrypted);
}

void OfferAnswer::settle_bundle() {
  for (const Match& match : matches_) {
    if (match.hidden || match.section->port == 0) continue;
    for (const bool receiver_side : {false, true}) {
      MediaTransport& via = *match.media(receiver_side)->via;
      via.is_bundle = is_grouped(match, receiver_side) || (via.is_bundle && via.is_shared());
    }
  }
}

void OfferAnswer::note_former_mid(const Media& media, std::string_view mid) {
  if (media.mid.empty() || media.mid == mid || media.mid.size() > kLongestFormerMid) return;
  auto& former = media.leg->ensure_bundle().former_mids;
  if (std::ranges::find(former, media.mid) != former.end()) return;
  if (former.size() == kMostFormerMids) former.erase(former.begin());
  former.push_back(media.mid);
}

std::vector<std::string> OfferAnswer::groups_shown(const std::vector<std::string>& mids) const {
  std::vector<std::string> groups;
  for (const Group& group : receiver_groups_) {
    std::string names;
    for (const std::size_t at : group) {
      if (!mids[at].empty()) names.append(names.empty() ? "" : " ").append(mids[at]);
    }
    if (!names.empty()) groups.push_back(std::move(names));
  }
  return groups;
}

}  // namespace ferry
