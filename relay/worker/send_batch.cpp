// SPDX-License-Identifier: Apache-2.0
// How a packet gets onto the wire: taps see it, statistics count it, SRTP seals it, and the engine sends it
// with the others of the batch.
//
// Order: RTCP is counted before it is encrypted, because the count reads its contents; RTP after, because
// SRTP may refuse a packet that was sent already, and its header stays readable.
#include "relay/worker/send_batch.hpp"

#include "relay/base/ensure.hpp"

#include <algorithm>

namespace ferry {

void SendBatch::add(TransportEntry& out, const Transport::NextHop& hop, DatagramClass kind, MediaId to,
                    PacketBuffer packet, const Transport* source, Instant now) noexcept {
  const bool is_rtcp = kind == DatagramClass::kRtcp;
  const PortHandle port = out.port({hop.via, hop.local});
  if (!port.is_open()) {
    context_.drop_leaving(out, DropReason::kNoDestination, now);
    return;
  }
  if (!out.taps.empty()) {
    const TapPacket seen{.transport = out.id,
                         .media = to,
                         .is_rtcp = is_rtcp,
                         .port = hop.via,
                         .from = {},
                         .to = hop.to,
                         .datagram = packet.data(),
                         .size = packet.data().size(),
                         .received_at = now,
                         .worker = context_.number};
    for (PacketTap* tap : out.taps) {
      if (tap->wants_egress()) tap->on_packet(seen);
    }
  }
  packet->remote = hop.to;
  packet->via = port;
  // RTCP is rare: a connected socket of its own would cost more than it saves (ADR 0002).
  packet->to_locked_peer = hop.locked && hop.via == Component::kRtp;
  const std::size_t plain = packet.data().size();
  // RTCP is counted by its contents, which must be read before they are encrypted. RTP is counted by its
  // header, which stays readable, and only after `protect`, which may refuse a packet that was sent already.
  if (is_rtcp) out.state.on_sent(hop.via, kind, packet.data(), to, now);
  if (out.state.plan().is_protected()) {
    std::size_t size = plain;
    // A batching back end seals the packet in `flush`; its final size is known now.
    SrtpWork* later = !is_rtcp && is_batched(out.state.plan()) ? &work_[work_count_] : nullptr;
    const DropReason reason = out.state.protect(is_rtcp, packet.data_and_tailroom(), size, source,
                                                {packet->srtp_index, packet->srtp_key}, later);
    if (reason != DropReason::kNone) {
      context_.drop_leaving(out, reason, now);
      return;
    }
    if (later != nullptr) ++work_count_;
    packet->length = static_cast<std::uint32_t>(size);
  }
  if (!is_rtcp) out.state.on_sent(hop.via, kind, packet.data().first(plain), to, now);
  InterfaceTotals::Direction& egress = context_.interface_of(out).egress;
  bump(egress.packets);
  bump(egress.bytes, packet.data().size());
  leaving_[count_] = {&out, hop.via};
  packets_[count_++] = std::move(packet);
  if (count_ == kMost) flush();
}

void SendBatch::flush() noexcept {
  seal();
  if (count_ == 0) return;
  std::array<SendError, kMost> errors{};
  std::array<Endpoint, kMost> to;
  for (std::size_t i = 0; i < count_; ++i) to[i] = packets_[i]->remote;
  context_.io->send({packets_.data(), count_}, {errors.data(), count_});
  for (std::size_t i = 0; i < count_; ++i) {
    if (errors[i] == SendError::kNone) continue;
    bump(context_.totals.send_errors[static_cast<std::size_t>(errors[i])]);
    const Instant now = context_.io->now();
    leaving_[i].entry->state.account().on_send_failed(leaving_[i].via, {errors[i], to[i], {}, 1, now, now},
                                                      true);
    context_.drop_leaving(*leaving_[i].entry, DropReason::kSendFailed, now);
    bump(context_.interface_of(*leaving_[i].entry).egress.errors);
  }
  count_ = 0;
}

void SendBatch::seal() noexcept {
  if (work_count_ == 0) return;
  batching_->seal_rtp({work_.data(), work_count_});
  for (std::size_t n = 0; n < work_count_; ++n) {
    // Cannot happen: `protect` has checked the room. If it did, zeros leave instead of plain media.
    if (!FERRY_ENSURE(work_[n].done)) std::ranges::fill(work_[n].space.first(work_[n].size), std::byte{0});
  }
  work_count_ = 0;
}

}  // namespace ferry
