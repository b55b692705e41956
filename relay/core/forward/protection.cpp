// SPDX-License-Identifier: Apache-2.0
// Keys change while packets are on their way. `follow` compares the plan with the keys in use: the same key
// keeps its counters and replay lists. A former one is good for 2 s more; a new one is tried first (SRT-6). A
// key that comes back finds its counters in `SrtpContexts`, so that it does not use an index twice (SRT-9).

#include "relay/core/forward/protection.hpp"

#include "relay/base/prefetch.hpp"

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr Duration kKeyDrain = 2s;  // SRT-6: how long a former key is good
// With more keys than this, former ones are dropped once their time is over.
constexpr std::size_t kKeptKeys = 8;
// Between two searches for a roll-over counter, so that a forger cannot make us work.
constexpr Duration kRollOverInterval = 1s;

/// SSRC of the sender of an RTP or RTCP packet; 0 if the packet is too short.
Ssrc ssrc_of(Bytes packet, bool is_rtcp) noexcept {
  const std::size_t at = is_rtcp ? 4 : 8;
  return Ssrc{packet.size() < at + 4 ? 0 : read_u32(packet, at)};
}

}  // namespace

void Protection::follow(const SrtpPlan& plan, Instant now) {
  // Control's object outlives this transport; without one the transport makes its own.
  if (plan.contexts)
    contexts_ = plan.contexts;
  else if (!contexts_)
    contexts_ = std::make_shared<SrtpContexts>();
  while (incoming_.size() > kKeptKeys) {
    const auto oldest = std::ranges::find_if(incoming_.rbegin(), incoming_.rend(),
                                             [&](const Incoming& each) { return !each.is_good(now); });
    if (oldest == incoming_.rend()) break;
    incoming_.erase(std::next(oldest).base());
  }
  // SRT-6: a key that is still in the plan stays as it is; another one runs out.
  for (Incoming& each : incoming_) {
    if (std::ranges::find(plan.receive, each.under->key) != plan.receive.end())
      each.until = {};
    else if (each.until == Instant{})
      each.until = now + kKeyDrain;
  }
  for (const SrtpMasterKey& key : plan.receive) {
    if (receives_with(key)) continue;
    if (auto under = contexts_->receiving(key, *plan.backend, plan.window)) {
      // The newest key is tried first, as it is the likeliest.
      incoming_.insert(incoming_.begin(), {std::move(under), {}, ++last_number_});
    }
  }
  newest_ = incoming_.empty() ? nullptr : incoming_.front().under.get();
  // Comparing key and salt only: the peer may name the same key with another suite or MKI.
  is_reflected_ = plan.send && std::ranges::any_of(incoming_, [&](const Incoming& each) {
                    return each.under->key.key == plan.send->key && each.under->key.salt == plan.send->salt;
                  });
  if (plan.send) names_ = contexts_->names(plan.party);
  // Another key or another receiver gets another context, so that neither uses an index of the other.
  if (!plan.send)
    sending_ = nullptr;
  else if (!sending_ || sending_->key != *plan.send || sending_->party != plan.party)
    sending_ = contexts_->sending(*plan.send, plan.party, *plan.backend, plan.window);
}

void Protection::widen(std::size_t window) noexcept {
  for (const Incoming& each : incoming_) each.under->context.widen(window);
  if (sending_) sending_->context.widen(window);
}

bool Protection::prepare(const ReceivedPacket& packet, SrtpWork& work, SrtpOpened& opened) const noexcept {
  // Only the likeliest key is tried in a batch; whatever fails there is opened one by one with all of them.
  for (const Incoming& each : incoming_) {
    if (each.until != Instant{} || !each.under->context.prepare_rtp(packet.datagram, work)) continue;
    opened.origin = {work.index, each.number};
    return true;
  }
  return false;
}

bool Protection::is_authentic_replay(const ReceivedPacket& packet, SrtpOrigin origin) const noexcept {
  const bool is_rtcp = packet.kind == DatagramClass::kRtcp;
  // The number names the key that refused the packet; only that one can tell.
  return std::ranges::any_of(incoming_, [&](const Incoming& each) {
    if (each.number != origin.key || !each.is_good(packet.at)) return false;
    return is_rtcp ? each.under->context.is_authentic_rtcp(packet.datagram)
                   : each.under->context.is_authentic_rtp(packet.datagram);
  });
}

bool Protection::is_newest(Bytes datagram) const noexcept {
  if (datagram.size() < kRtpFixedHeaderSize) return false;
  const Ssrc ssrc{read_u32(datagram, 8)};
  const SeqNo sequence{read_u16(datagram, 2)};
  return std::ranges::all_of(incoming_, [&](const Incoming& each) {
    const auto newest = each.under->context.newest_index(ssrc);
    // A stream that a key does not know may have any index there.
    return !newest || estimate_index(*newest, sequence) > static_cast<std::int64_t>(*newest);
  });
}

bool Protection::is_our_own(const ReceivedPacket& packet) const noexcept {
  return is_reflected_ && sending_ &&
         sending_->context.knows(ssrc_of(packet.datagram, packet.kind == DatagramClass::kRtcp));
}

std::optional<RollOverMismatch> Protection::find_roll_over(Bytes datagram, Instant now) noexcept {
  if (roll_over_tried_ != Instant{} && now - roll_over_tried_ < kRollOverInterval) return std::nullopt;
  roll_over_tried_ = now;
  for (const Incoming& each : incoming_) {
    if (const auto other = each.under->context.find_roll_over(datagram))
      return RollOverMismatch{other->expected, other->used, Ssrc{read_u32(datagram, 8)}, now};
  }
  return std::nullopt;
}

Protection::Sealed Protection::seal(bool is_rtcp, MutableBytes space, std::size_t& size,
                                    std::optional<std::uint64_t> index, SrtpWork* later) noexcept {
  SrtpSender& sender = sending_->context;
  // With one key in both directions, an SSRC that the peer sends must not be sent by us (SRT-1).
  if (is_reflected_ && std::ranges::any_of(incoming_, [&](const Incoming& each) {
        return each.under->key.key == sending_->key.key &&
               each.under->context.knows(ssrc_of(space.first(size), is_rtcp));
      }))
    return {DropReason::kSharedKey};
  SrtpResult result{};
  if (is_rtcp) {
    result = index ? sender.seal_rtcp_as(space, size, static_cast<std::uint32_t>(*index))
                   : sender.seal_rtcp(space, size);
  } else if (later != nullptr) {
    result = sender.prepare_rtp(space, size, index, *later);
    // The packet grows when it is sealed; its final size is known now.
    if (result == SrtpResult::kOk) size += later->cipher->rtp_overhead();
  } else {
    result = index ? sender.seal_rtp_as(space, size, *index) : sender.seal_rtp(space, size);
  }
  Sealed sealed;
  sealed.is_nearly_used_up = sender.is_nearly_used_up();
  switch (result) {
    case SrtpResult::kOk:
      return sealed;
    case SrtpResult::kReplayed:
      sealed.reason = DropReason::kReplayed;
      // A packet that is refused was not encrypted: its header is there.
      sealed.is_copy = !is_rtcp && sender.standing(Ssrc{read_u32(space, 8)}, SeqNo{read_u16(space, 2)},
                                                   read_u32(space, 4)) == SrtpSender::Standing::kCopy;
      return sealed;
    case SrtpResult::kForgotten:
      sealed.reason = DropReason::kSsrcForgotten;
      return sealed;
    case SrtpResult::kKeyExhausted:
      sealed.reason = DropReason::kKeyExhausted;
      return sealed;
    case SrtpResult::kNoMemory:
      sealed.reason = DropReason::kNoMemory;
      return sealed;
    case SrtpResult::kMalformed:
    case SrtpResult::kNotAuthentic:
    case SrtpResult::kNoKey:
    case SrtpResult::kNoRoom:
      break;
  }
  sealed.reason = DropReason::kTooLong;
  return sealed;
}

bool Protection::sends_under_key_of(const Protection& source, std::uint32_t number) const noexcept {
  const auto under = std::ranges::find(source.incoming_, number, &Incoming::number);
  return under != source.incoming_.end() && sending_ && under->under->key == sending_->key;
}

void Protection::skip(Duration pause) noexcept {
  for (Incoming& each : incoming_) {
    if (each.until != Instant{}) each.until += pause;
  }
}

TransportSnapshot::Srtp Protection::save(const SrtpPlan& plan) const {
  TransportSnapshot::Srtp s;
  for (const SrtpMasterKey& key : plan.receive) {
    const auto found =
        std::ranges::find_if(incoming_, [&](const Incoming& each) { return each.under->key == key; });
    s.received.push_back(found == incoming_.end() ? SrtpReceiver::State{} : found->under->context.state());
  }
  if (sending_) s.sent = sending_->context.state();
  return s;
}

void Protection::prefetch_incoming_lists() const noexcept {
  prefetch_octets(incoming_.data(), sizeof(Incoming));
  prefetch_octets(newest_, sizeof(SrtpReceiving));
}

void Protection::prefetch_sending_lists() const noexcept {
  prefetch_octets(sending_.get(), sizeof(SrtpSending));
}

}  // namespace ferry
