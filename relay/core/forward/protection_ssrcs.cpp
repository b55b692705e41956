// SPDX-License-Identifier: Apache-2.0
// The SSRCs of packets on their way to a party that has keys of its own.
//
// SRTP numbers each packet with an index that must never be used twice, and a receiver estimates it from the
// sequence number (RFC 3711 §3.3.1). So a stream toward such a party can only go forward. But plain senders
// step back or leap, for example when a media server switches to another source, and so do senders that are
// keyed anew.
//
// As long as the receiver can follow, packets leave under the source's SSRC. Once two packets in sequence
// have confirmed that the source began elsewhere (SSR-4), a receiver that could not follow gets the
// stream under a new SSRC. All other receivers get it unchanged. A single packet changes nothing.
// RTCP is translated in both directions to match.

#include "relay/core/forward/protection.hpp"
#include "relay/core/rtcp/rtcp_ssrcs.hpp"

namespace ferry {

namespace {

constexpr unsigned kConfirmed = 2;  // SSR-4: packets in sequence that confirm a new beginning
/// A replayed recording also has packets in sequence. So many are no burst of copies any more, even with time
/// stamps that were sent before: they are a prompt that is played again with its old numbers.
constexpr unsigned kNoCopies = 15;

}  // namespace

DropReason Protection::translate_rtp(MediaId media, StreamNews news, MutableBytes packet) noexcept {
  using Standing = SrtpSender::Standing;
  SsrcTranslation* known = names_.get();
  if (known == nullptr || !sending_) return DropReason::kNone;
  const SrtpSender& sender = sending_->context;
  const Ssrc theirs{read_u32(packet, 8)};
  const SeqNo sequence{read_u16(packet, 2)};
  Ssrc ours = known->use(media.value, theirs);
  const Standing standing = sender.standing(ours, sequence, read_u32(packet, 4));
  bool cannot_follow = false;
  // The standing of the source's number among the indices that were sent to this receiver.
  switch (standing) {
    case Standing::kNew:
      break;
    // The index is still free, so a new SSRC is needed only if the source has restarted. The single packet
    // before may have been a stray. Below the highest index a restarted stream would soon meet used ones.
    case Standing::kSecond:
    case Standing::kLate:
      cannot_follow = news.restarts;
      break;
    // Its index was used already, so it could not be sent as it is.
    case Standing::kCopy:
    case Standing::kBehind: {
      const unsigned count = known->count_unsendable(media.value, theirs, sequence);
      // A payload type that was not negotiated founds nothing (DMX-4), so it confirms nothing either.
      const bool confirms = count >= (standing == Standing::kCopy ? kNoCopies : kConfirmed);
      cannot_follow = news.restarts || (confirms && news.is_negotiated);
      break;
    }
    // The indices of this SSRC are lost (SRT-7a), so none may be chosen under it.
    case Standing::kForgotten:
      cannot_follow = true;
      break;
  }
  // A packet that follows ends a row of packets that did not.
  if (standing != Standing::kBehind && standing != Standing::kCopy) known->follows(media.value, theirs);
  if (cannot_follow) {
    if (const auto fresh = sender.unused_ssrc()) {
      ours = *fresh;
      if (!known->rename(media.value, theirs, ours)) return DropReason::kNoMemory;
    }
  }
  if (ours != theirs) write_u32(packet, 8, ours.value);
  return DropReason::kNone;
}

DropReason translate_rtcp(const SsrcTranslation* to_receiver, const SsrcTranslation* of_source,
                          std::span<const SourcePlan> sources, bool is_fixed, MutableBytes packet) noexcept {
  const bool has_own = to_receiver != nullptr && !to_receiver->empty();
  const bool has_heard = of_source != nullptr && !of_source->empty();
  if (!has_own && !has_heard) return DropReason::kNone;
  DropReason result = DropReason::kNone;
  // SSRCs of the sender's own streams become those that the receiver knows. SSRCs that the sender hears go
  // back to what their source calls them.
  for_each_ssrc(packet, [&](MutableBytes place, SsrcRole role) {
    const Ssrc before{read_u32(place, 0)};
    Ssrc after = before;
    // The stream belongs to one media of its sender, and only under that media it may have another SSRC.
    for (std::size_t i = 0; role == SsrcRole::kOwn && has_own && after == before && i < sources.size(); ++i)
      after = to_receiver->to_receiver(sources[i].media.value, before);
    if (role == SsrcRole::kHeard && has_heard) after = of_source->to_source(before);
    if (after == before) return;
    if (is_fixed)
      result = DropReason::kSharedKey;
    else
      write_u32(place, 0, after.value);
  });
  return result;
}

}  // namespace ferry
