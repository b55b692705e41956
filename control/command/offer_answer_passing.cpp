// SPDX-License-Identifier: Apache-2.0
// Sections whose parties do ICE and agree on keys with each other (`ICE=optional`, `ICE=force-relay`,
// ICE-11).
//
// Addresses, credentials, keys, groups and attributes of the parties go through. The relay adds candidates of
// its own ports to the SDP of each, so that the other one may send there. The worker passes on what comes, by
// the credentials that are noted here (relay/core/ice/overheard_ice.hpp).
//
// Trap: a section of a BUNDLE group whose port is 0 passes as well (`a=bundle-only`), and lives on the port
// of another section. The relay has no ports for it.

#include "control/call/media_ice.hpp"
#include "control/call/media_rules.hpp"
#include "control/command/offer_answer.hpp"
#include "control/sdp/ice.hpp"
#include "control/session/ports_desk.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace ferry {

namespace {

bool is_bundle_only(const sdp::MediaSection& section) {
  return section.port == 0 && section.find("bundle-only") != nullptr;
}

/// True if the parties can speak of such a section without the relay.
bool may_pass(const sdp::MediaSection& section) {
  if (section.is_data_channel()) return section.said_port != 0 || is_bundle_only(section);
  return section.is_rtp() && (section.port != 0 || is_bundle_only(section));
}

Passing passing_in(const Leg* leg) {
  if (leg == nullptr) return Passing::kNo;
  const auto found =
      std::ranges::find_if(leg->medias, [](const auto& media) { return media->passing != Passing::kNo; });
  return found == leg->medias.end() ? Passing::kNo : (*found)->passing;
}

Passing passing_by(IceWishes::Offer wish) {
  if (wish == IceWishes::Offer::kBeside) return Passing::kBeside;
  return wish == IceWishes::Offer::kRelayed ? Passing::kRelayed : Passing::kNo;
}

/// What a section may send (LIM-1).
RateLimit rate_of(const sdp::MediaSection& section) {
  constexpr std::uint32_t kDataChannelPackets = 5000;
  return section.is_data_channel() ? RateLimit{kDataChannelPackets, 0} : rate_limit(section, section.codecs);
}

/// What all sections of a message may send together. The sections of a BUNDLE group have one port; four
/// sections of video are the most that it is meant for.
RateLimit rate_of_group(const sdp::Session& session) {
  constexpr std::uint32_t kMostPackets = 20'000;
  RateLimit sum;
  bool is_limited = true;
  for (const sdp::MediaSection& section : session.media) {
    if (!may_pass(section)) continue;
    const RateLimit limit = rate_of(section);
    sum.packets_per_second += limit.packets_per_second;
    sum.bytes_per_second += limit.bytes_per_second;
    is_limited = is_limited && limit.bytes_per_second != 0;
  }
  if (!is_limited) sum.bytes_per_second = 0;
  sum.packets_per_second = std::min(sum.packets_per_second, kMostPackets);
  return sum;
}

}  // namespace

bool OfferAnswer::has_negotiated(const Leg& leg) {
  return std::ranges::any_of(leg.medias,
                             [](const auto& media) { return media->answered && media->via->remote_known; });
}

Passing OfferAnswer::wished_passing() const {
  // The answer of a new branch is to an offer that passed.
  if (is_answer_) return passing_in(receiver_);
  Passing wish = passing_by(request_.ice.offer);
  if (request_.ice.offer == IceWishes::Offer::kAsOffered && !request_.has_flag(Flag::kReset)) {
    if (receiver_ != nullptr) wish = passing_by(receiver_->kept().ice);
    for (const Leg* leg : {sender_, receiver_}) {
      if (const Passing known = passing_in(leg); known != Passing::kNo) wish = known;
    }
  }
  if (wish == Passing::kNo || request_.ice.is_refused) return Passing::kNo;
  // A party that has agreed on something else with the relay stays with that.
  for (const Leg* leg : {sender_, receiver_}) {
    if (leg != nullptr && has_negotiated(*leg) && passing_in(leg) == Passing::kNo) return Passing::kNo;
  }
  const bool has_ice = std::ranges::any_of(session_.media, [](const sdp::MediaSection& section) {
    return may_pass(section) && sdp::read_ice(section).is_there();
  });
  return has_ice ? wish : Passing::kNo;
}

Passing OfferAnswer::passing_of(const Match& match) const {
  if (match.hidden || !may_pass(*match.section)) return Passing::kNo;
  if (is_answer_) return match.receiver != nullptr ? match.receiver->passing : Passing::kNo;
  return sdp::read_ice(*match.section).is_there() ? wished_passing() : Passing::kNo;
}

void OfferAnswer::keep_data_channels() {
  if (wished_passing() == Passing::kNo) return;
  for (sdp::MediaSection& section : session_.media) {
    const bool may_be_there = is_answer_ || sdp::read_ice(section).is_there();
    if (section.is_data_channel() && may_be_there) section.port = section.said_port;
  }
}

sdp::IceDescription OfferAnswer::passing_ice(const sdp::MediaSection& section) const {
  const bool is_stripped = is_answer_ && request_.ice.offer == IceWishes::Offer::kNever;
  return is_stripped ? sdp::IceDescription{} : sdp::read_ice(section);
}

void OfferAnswer::commit_passing(const Match& match) {
  overhear_ice(match.sender->via->ensure_ice(), passing_ice(*match.section));
}

void OfferAnswer::note_passing_words() {
  if (std::ranges::all_of(matches_, [](const Match& match) { return match.passing == Passing::kNo; })) return;
  const auto note = [&](bool is_said, std::string_view word) {
    const std::string text = fmt::format("{} (media from end to end)", word);
    if (is_said && std::ranges::find(call_.not_in_force, text) == call_.not_in_force.end())
      call_.not_in_force.push_back(text);
  };
  note(!request_.transport_protocol.empty(), "transport-protocol");
  note(request_.ptime.has_value() || request_.ptime_reverse.has_value(), "ptime");
  note(request_.record == RecordCall::kYes, "record-call");
  note(request_.has_flag(Flag::kBlockDtmf), "block-DTMF");
  note(!request_.codecs.transcode.empty() || !request_.codecs.strip.empty() || !request_.codecs.mask.empty(),
       "codec");
}

void OfferAnswer::show_passing(sdp::SectionEdit& edit, Media& media, const Match& match) {
  const sdp::MediaSection& section = *match.section;
  edit.passes_through = true;
  edit.bundle_only = is_bundle_only(section);
  edit.leaves_out_relayed = match.passing == Passing::kRelayed;
  const bool may_be_grouped = std::ranges::any_of(
      session_.attributes, [](const sdp::Attribute& each) { return each.name == "group"; });
  media.rate = may_be_grouped ? rate_of_group(session_) : rate_of(section);
  const sdp::IceDescription ice = passing_ice(section);
  edit.leaves_out_ice = !ice.is_there();
  const LocalPorts* ports = media.via->active_ports();
  if (section.port == 0 || ports == nullptr || !ice.is_there()) return;
  PortsDesk::Beside beside;
  beside.is_relayed = match.passing == Passing::kRelayed;
  // An offer may be answered without rtcp-mux.
  beside.has_rtcp = section.is_rtp() && !(is_answer_ && section.rtcp_mux);
  for (const sdp::IceCandidateLine& each : ice.candidates)
    beside.below = std::min(beside.below, each.priority);
  edit.ice.candidates = services_.ports.candidates_beside(*ports, beside, request_.media_address);
}

}  // namespace ferry
