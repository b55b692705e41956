// The SSRCs of packets on their way to a party that has keys of its own.
//
// Whoever encrypts owns the index: it only rises, and a receiver estimates it from sequence numbers (RFC 3711
// §3.3.1). Plain senders step back or leap when a media server joins two sources, and so do senders that are
// keyed anew. The packets of a source that goes on leave as they came. Once two packets in sequence have
// confirmed that it began elsewhere (SSR-4), and its receiver could not follow, this receiver knows the
// stream by another SSRC; all others get it unchanged. A single packet changes nothing, and a stream that a
// single packet founded gives way to two in sequence.

#include "relay/core/classify.hpp"
#include "relay/core/forward/transport.hpp"
#include "relay/core/rtcp/rtcp_ssrcs.hpp"
#include "relay/core/rtp/rtp.hpp"

namespace ferry {

namespace {

constexpr unsigned kConfirmed = 2;  // packets in sequence (SSR-4)
/// So many packets in sequence are not a burst of copies, even with time stamps that were sent before: they
/// are a prompt that is played again with its old numbers.
constexpr unsigned kNoCopies = 15;

}  // namespace

DropReason Transport::translate_ssrcs(const Transport& source, MediaId media, const Verdict& verdict,
                                      MutableBytes packet) noexcept {
  using Standing = SrtpSender::Standing;
  if (plan_->kind != TransportKind::kRtp) return DropReason::kNone;
  if (verdict.is_rtcp) return translate_rtcp(source, media, packet);
  SsrcTranslation* known = names();
  // A key that belongs to a sender has that sender's SSRCs only.
  if (!is_protected() || known == nullptr || !protection_[0]->sending ||
      packet.size() < kRtpFixedHeaderSize || classify(packet) != DatagramClass::kRtp ||
      plan_->srtp->send_is_relayed)
    return DropReason::kNone;
  const SrtpSender& sender = protection_[0]->sending->context;
  const Ssrc theirs{read_u32(packet, 8)};
  const SeqNo sequence{read_u16(packet, 2)};
  Ssrc ours = known->use(media.value, theirs);
  const Standing standing = sender.standing(ours, sequence, read_u32(packet, 4));
  bool cannot_follow = false;
  switch (standing) {
    case Standing::kNew:
      break;
    case Standing::kSecond:
    case Standing::kLate:
      cannot_follow = verdict.restarts;
      break;
    case Standing::kCopy:
    case Standing::kBehind: {
      const unsigned count = known->count_unsendable(media.value, theirs, sequence);
      // A payload type that was not negotiated founds nothing (DMX-4).
      const bool confirms = count >= (standing == Standing::kCopy ? kNoCopies : kConfirmed);
      cannot_follow = verdict.restarts || (confirms && verdict.is_negotiated);
      break;
    }
    case Standing::kForgotten:
      cannot_follow = true;
      break;
  }
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

DropReason Transport::translate_rtcp(const Transport& source, MediaId media, MutableBytes packet) noexcept {
  const SsrcTranslation* to_party = names();
  const SsrcTranslation* of_source = source.names();
  const bool has_own = to_party != nullptr && !to_party->empty();
  const bool has_heard = of_source != nullptr && !of_source->empty();
  if (!has_own && !has_heard) return DropReason::kNone;
  // Under the key of its sender a packet leaves as it came.
  const bool is_fixed = relays_key_of(source);
  DropReason result = DropReason::kNone;
  for_each_ssrc(packet, [&](MutableBytes place, SsrcRole role) {
    const Ssrc before{read_u32(place, 0)};
    Ssrc after = before;
    if (role == SsrcRole::kOwn && has_own) after = to_party->to_receiver(media.value, before);
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
