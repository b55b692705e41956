// SPDX-License-Identifier: Apache-2.0
// `on_packet` finds the transport (`PortTable`). `take_in` gives handshakes to ICE and DTLS and takes SRTP
// off in place. `judge` asks the transport for a verdict. `forward` walks the sinks, and `send_to` changes
// the packet for one of them and adds it to the batch that leaves.
//
// Traps:
// - A packet is decrypted in place. After that it cannot be kept for the answer any more (LAT-14).
// - Each refusal is counted once, and each sink refuses for itself.
// - A flow must be back in user space before a packet of it is judged. Otherwise kernel and user space would
//   both count for the stream.
// - The last sink takes the buffer itself, so nothing may look at `arrived.datagram` behind it.
#include "relay/worker/forwarder.hpp"

#include "relay/base/ensure.hpp"
#include "relay/base/memory.hpp"
#include "relay/core/output/changes.hpp"
#include "relay/core/rtcp/rtcp_passing.hpp"
#include "relay/worker/fetch_ahead.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// Octets of a packet that are copied aside, so that taps and the flight recorder can be told the verdict
/// after the packet itself has left.
constexpr std::size_t kWitnessed = 64;
/// Longest accepted datagram of a handshake or connectivity check, in octets. DTLS keeps its records below
/// the path MTU (RFC 9147 §4.4), so a longer one is not genuine; and it may have to be copied and wait.
constexpr std::size_t kMaxHandshake = 2048;

void count_quality(QualityTotals& totals, const Streams::Report& report) noexcept {
  totals.mos.add(static_cast<double>(report.sample.mos_times_10) / 10.0);
  totals.jitter.add(static_cast<double>(report.sample.jitter_ms));
  totals.round_trip.add(static_cast<double>(report.sample.round_trip_us));
  totals.round_trip_leg.add(static_cast<double>(report.sample.round_trip_leg_us));
  totals.loss.add(static_cast<double>(report.sample.loss_percent));
  totals.jitter_measured.add(static_cast<double>(report.jitter_measured.count()) / 1e6);
}

}  // namespace

void Forwarder::take_batch(std::span<PacketBuffer> received, Instant now) noexcept {
  const bool is_batching = parts_.sends.batching() != nullptr;
  // A batching back end opens all packets before the first one is judged; `on_packet` then finds them open.
  if (is_batching) open_ahead(received, now);
  for (std::size_t i = 0; i < received.size(); ++i) {
    if (is_batching) {
      on_packet(std::move(received[i]), *arrived_[i], opened_[i].origin.key != 0 ? &opened_[i] : nullptr);
    } else {
      fetch_ahead(context_.table, received.subspan(i));
      ReceivedPacket arrived = taken_in(received[i], now);
      on_packet(std::move(received[i]), arrived, nullptr);
    }
  }
  parts_.sends.flush();
}

void Forwarder::open_ahead(std::span<const PacketBuffer> received, Instant now) noexcept {
  std::size_t works = 0;
  // A packet is opened ahead only if that is certain to be its way. It takes a known transport of this back
  // end, a complete datagram, and an index that follows from what was received so far. At a shared port
  // nothing is certain: a packet earlier in the batch may bind the endpoint. No transport has the slot of
  // such a cookie.
  for (std::size_t i = 0; i < received.size(); ++i) {
    fetch_ahead(context_.table, received.subspan(i));
    opened_[i] = {};
    const PacketBuffer& packet = received[i];
    const ReceivedPacket& arrived = arrived_[i].emplace(taken_in(packet, now));
    const TransportEntry* entry = context_.table.at(slot_of(packet->cookie));
    if (entry == nullptr || packet->truncated || !parts_.sends.is_batched(entry->state.plan())) continue;
    // A packet that has to wait for the answer waits encrypted, as it came (LAT-14).
    if (entry->early[static_cast<std::size_t>(arrived.component())]) continue;
    SrtpOpened opened;
    if (!entry->state.prepare_unprotect(arrived, work_[works], opened)) continue;
    work_of_[works++] = i;
    opened_[i] = opened;
  }
  parts_.sends.batching()->open_rtp({work_.data(), works});
  for (std::size_t n = 0; n < works; ++n) {
    SrtpOpened& opened = opened_[work_of_[n]];
    if (work_[n].done)
      opened.size = work_[n].size;
    else
      // The index or the key was guessed wrong, or the packet is forged: `take_in` opens it by itself.
      opened = {};
  }
}

ReceivedPacket Forwarder::taken_in(const PacketBuffer& packet, Instant now) const noexcept {
  packet->srtp_key = 0;
  return context_.received(packet, now);
}

void Forwarder::on_packet(PacketBuffer packet, ReceivedPacket& arrived, const SrtpOpened* opened) noexcept {
  const std::uint64_t cookie = packet->cookie;
  const PortTable::Found found = context_.ports.find(cookie, arrived.from, arrived.datagram, arrived.at);
  if (found.worker && pass_on(*found.worker, packet, found.is_bound)) [[unlikely]]
    return;
  if (found.entry == nullptr) [[unlikely]] {
    take_stranger(std::move(packet), arrived);
    return;
  }
  TransportEntry& entry = *found.entry;
  if (is_shared(cookie)) {
    // Now that its transport is known, the packet is one of an own port for all that follows.
    arrived.port = found.port;
    packet->cookie = make_cookie(entry.id, found.port);
    if (arrived.kind == DatagramClass::kStun && !packet->truncated) {
      take_check(entry, cookie, std::move(packet), arrived);
      return;
    }
  }
  if (packet->truncated) {
    context_.drop_arriving(entry, DropReason::kTooLong);
    return;
  }
  // While early packets of this source go out, a newer one joins the end of the line (LAT-14).
  if (entry.early[static_cast<std::size_t>(arrived.component())] &&
      parts_.early.waits_in_line(entry, arrived))
    return;
  take_in(entry, std::move(packet), arrived, opened);
}

bool Forwarder::pass_on(WorkerNumber to, const PacketBuffer& packet, bool is_known) noexcept {
  if (!context_.exchange || !context_.exchange->reaches(to)) return false;
  if (packet->truncated || packet.data().size() > Exchange::kLongest) {
    count_drops(context_.totals, DropReason::kTooLong);
  } else if (!context_.exchange->pass_on(to, shared_port_of(packet->cookie), packet->remote, is_known,
                                         packet.data())) {
    count_drops(context_.totals, DropReason::kNoBuffer);
  }
  return true;
}

void Forwarder::take_check(TransportEntry& entry, std::uint64_t cookie, PacketBuffer packet,
                           ReceivedPacket& arrived) noexcept {
  const TransportId id = entry.id;
  const Endpoint from = arrived.from;
  // The classes of answers have the bit C1 (RFC 8489 §5).
  const bool is_answer = (read_u8(arrived.datagram, 0) & 1) != 0;
  // Only what the agent has found authentic may bind an endpoint (ONE-2).
  if (take_in(entry, std::move(packet), arrived, nullptr) != Taken::kCheck) return;
  context_.ports.bind(cookie, id, from, is_answer ? BindingProof::kAnswer : BindingProof::kCheck, arrived.at);
  release_hellos(shared_port_of(cookie), from, arrived.at);
}

void Forwarder::take_stranger(PacketBuffer packet, const ReceivedPacket& arrived) noexcept {
  // An own port cannot be without a transport: `take` detaches its ports before it leaves the table.
  if (!FERRY_ENSURE(is_shared(packet->cookie))) return;
  // DTL-3: a first flight may overtake the check that says whose it is. Another worker that passes something
  // on has held it already.
  const bool may_wait =
      arrived.kind == DatagramClass::kDtls && !packet->truncated && !passed_on_by(packet->cookie);
  if (may_wait && hellos_.hold(packet, arrived.at)) {
    count_dropped_hellos();
    return;
  }
  count_drops(context_.totals,
              arrived.kind == DatagramClass::kStun ? DropReason::kStunRefused : DropReason::kForeignSource);
}

void Forwarder::release_hellos(SharedPortId port, const Endpoint& remote, Instant now) noexcept {
  if (hellos_.size() == 0 || !context_.ports.is_bound(port, remote)) return;
  // Whatever becomes of them, each is taken once.
  for (std::size_t n = 0; n < EarlyHellos::kPlaces; ++n) {
    PacketBuffer packet = hellos_.take(port, remote, now);
    if (!packet) break;
    ReceivedPacket arrived = taken_in(packet, now);
    on_packet(std::move(packet), arrived, nullptr);
  }
  count_dropped_hellos();
}

void Forwarder::forget_old_hellos(Instant now) noexcept {
  hellos_.forget_old(now);
  count_dropped_hellos();
}

void Forwarder::count_dropped_hellos() noexcept {
  const std::size_t dropped = hellos_.take_dropped();
  if (dropped > 0) count_drops(context_.totals, DropReason::kForeignSource, dropped);
}

Forwarder::Taken Forwarder::take_in(TransportEntry& entry, PacketBuffer packet, ReceivedPacket& arrived,
                                    const SrtpOpened* opened) noexcept {
  const Component component = arrived.component();
  // STUN and DTLS, told apart by the first octet (RFC 7983), are never inside SRTP and never reach a sink.
  if (entry.state.plan().has_handshake(arrived.kind)) {
    if (arrived.datagram.size() > kMaxHandshake) {
      context_.drop_arriving(entry, DropReason::kTooLong);
      return Taken::kElse;
    }
    const DropReason reason = parts_.turns.on_handshake(entry, arrived);
    const bool is_check = arrived.kind == DatagramClass::kStun && reason == DropReason::kNone;
    return is_check ? Taken::kCheck : Taken::kElse;
  }
  if (entry.state.plan().is_protected()) {
    const DropReason reason = entry.state.unprotect(arrived, *context_.own, opened);
    // The key comes with the answer. Nothing was counted and the datagram is unchanged.
    if (reason == DropReason::kEarlyMedia) {
      parts_.early.keep(entry, arrived);
      return Taken::kElse;
    }
    if (reason != DropReason::kNone) {
      context_.count_refused(entry, arrived, false, reason);
      context_.pass_events(entry, arrived.at);
      return Taken::kElse;
    }
    packet->length = static_cast<std::uint32_t>(arrived.datagram.size());
    packet->srtp_key = arrived.origin.key;
    packet->srtp_index = arrived.origin.index;
  }
  Offloader& offloader = parts_.offloader;
  if (arrived.kind == DatagramClass::kRtcp) offloader.before_reports(entry, arrived.datagram);
  if (offloader.is_on() && component == Component::kRtp) {
    // The kernel gives up the stream before the transport judges the packet, so that one side counts at a
    // time. If the packet makes the latch move, the flows to this party need the new destination at once.
    offloader.before_judgement(entry, arrived);
    const Endpoint peer = entry.state.latch(Component::kRtp).learned();
    forwarded_ssrc_.reset();
    judge(entry, arrived, std::move(packet), 0);
    if (peer != entry.state.latch(Component::kRtp).learned()) offloader.reconsider(entry);
    if (forwarded_ssrc_) offloader.offer(entry, *forwarded_ssrc_, arrived.at);
  } else {
    judge(entry, arrived, std::move(packet), 0);
  }
  context_.pass_events(entry, arrived.at);
  return Taken::kElse;
}

void Forwarder::judge(TransportEntry& entry, ReceivedPacket& arrived, PacketBuffer packet,
                      int depth) noexcept {
  const Verdict verdict = entry.state.on_datagram(arrived, *context_.own);
  switch (verdict.kind) {
    case Verdict::Kind::kForward: {
      // The packet leaves with the last sink, so its start is copied for whoever witnesses the outcome.
      std::array<std::byte, kWitnessed> start;
      const std::size_t size = packet.data().size();
      const std::size_t kept = std::min(size, start.size());
      std::copy_n(packet.data().begin(), kept, start.begin());
      // This source is heard now. What was kept of it before would come out too late.
      if (entry.early[static_cast<std::size_t>(arrived.component())])
        parts_.early.forget(entry, arrived.component(), arrived.from);
      const DropReason outcome = forward(entry, arrived, verdict, std::move(packet));
      context_.witness(entry, arrived, Bytes(start).first(kept), size, verdict.is_rtcp, outcome);
      return;
    }
    case Verdict::Kind::kDrop:
      context_.count_refused(entry, arrived, verdict.is_rtcp, verdict.reason);
      return;
    case Verdict::Kind::kKeep:
      parts_.early.keep(entry, arrived);
      return;
    case Verdict::Kind::kHold:
      hold(entry, verdict.slot, std::move(packet));
      return;
    case Verdict::Kind::kRelease: {
      // A held packet is confirmed by this one, so it goes first. Cannot loop: a release locks the source or
      // admits the SSRC, so the second judgement is another one.
      if (!FERRY_ENSURE(depth < 4)) return;
      if (entry.held && (*entry.held)[verdict.slot].packet) {
        PacketBuffer held = std::move((*entry.held)[verdict.slot].packet);
        ReceivedPacket before = context_.received(held, arrived.at);
        judge(entry, before, std::move(held), depth + 1);
      }
      judge(entry, arrived, std::move(packet), depth + 1);
      return;
    }
  }
}

void Forwarder::give_up(TransportEntry& entry, std::uint8_t slot) noexcept {
  // By its place, the packet waits for its SSRC to be confirmed, or for its source.
  const bool ssrc = slot >= Transport::kSsrcSlots && slot < Transport::kProposedSlots;
  context_.drop_arriving(entry, ssrc ? DropReason::kSsrcNotAdmitted : DropReason::kProbation);
  (*entry.held)[slot].packet.reset();
}

void Forwarder::hold(TransportEntry& entry, std::uint8_t slot, PacketBuffer packet) noexcept {
  if (!entry.held)
    entry.held = make_unique_or_null<std::array<TransportEntry::Held, Transport::kHoldSlots>>();
  if (!entry.held) {
    context_.drop_arriving(entry, DropReason::kNoMemory);
    return;
  }
  if ((*entry.held)[slot].packet) give_up(entry, slot);
  // The ring of all held packets: the place that comes up next belongs to the packet that has waited longest.
  // It gives way if it is still there, which its serial tells.
  HeldAt& place = held_[next_held_ % kMaxHeld];
  if (TransportEntry* oldest = context_.table.find(place.id); oldest != nullptr && oldest->held) {
    const auto& waiting = (*oldest->held)[place.slot];
    if (waiting.packet && waiting.serial == place.serial) give_up(*oldest, place.slot);
  }
  place = {entry.id, slot, next_held_};
  (*entry.held)[slot] = {std::move(packet), next_held_++};
}

void Forwarder::count_accepted(const Accepted& accepted, Bytes datagram) noexcept {
  TransportEntry& entry = accepted.entry;
  bump(context_.totals.packets);
  bump(context_.totals.bytes, datagram.size());
  InterfaceTotals::Direction& ingress = context_.interface_of(entry).ingress;
  bump(ingress.packets);
  bump(ingress.bytes, datagram.size());
  if (!accepted.verdict.is_negotiated) bump(context_.totals.other_type_packets);
  // Taps that want what arrives see the packet before it is changed for any sink.
  if (!entry.taps.empty()) {
    const TapPacket seen{.transport = entry.id,
                         .media = accepted.source.media,
                         .is_rtcp = accepted.verdict.is_rtcp,
                         .port = accepted.arrived.component(),
                         .from = accepted.arrived.from,
                         .to = {},
                         .datagram = datagram,
                         .size = datagram.size(),
                         .received_at = accepted.arrived.at,
                         .worker = context_.number};
    for (PacketTap* tap : entry.taps) {
      if (!tap->wants_egress()) tap->on_packet(seen);
    }
  }
  // Quality is that of the whole way, so the round trip to the far party is added to this party's report.
  if (!accepted.verdict.is_rtcp || accepted.source.sinks.empty()) return;
  if (TransportEntry* far = context_.table.find(accepted.source.sinks.front().via)) {
    if (const auto report =
            entry.state.streams().complete_report(far->state.streams().round_trip(), accepted.arrived.at))
      count_quality(context_.interface_of(entry).quality, *report);
  }
}

DropReason Forwarder::forward(TransportEntry& entry, const ReceivedPacket& arrived, const Verdict& verdict,
                              PacketBuffer packet) noexcept {
  const SourcePlan& source = entry.state.plan().sources[verdict.source];
  // Under rtcp-mux what a packet is does not follow from the port that it came to.
  const DatagramClass kind = verdict.is_rtcp            ? DatagramClass::kRtcp
                             : arrived.has_rtp_header() ? DatagramClass::kRtp
                                                        : DatagramClass::kUnknown;
  Accepted accepted{entry, arrived, verdict, source, nullptr, kind};
  count_accepted(accepted, packet.data());
  if (!verdict.is_rtcp && (source.inspects_payload || source.has_events)) {
    accepted.payload = source.payload_of(packet.data());
    if (accepted.payload != nullptr && source.has_events)
      parts_.turns.follow_presses(entry, verdict.source, *accepted.payload, arrived);
  }
  if (source.listening && kind == DatagramClass::kRtp && arrived.rtp) {
    const PayloadEntry* heard = source.payload_of(packet.data());
    parts_.own_packets.listen(entry, verdict.source, arrived, heard != nullptr && heard->is_event);
  }
  if (verdict.is_rtcp && entry.state.plan().sources.size() > 1)
    return forward_group_rtcp(accepted, packet.data());
  if (kind == DatagramClass::kRtp) forwarded_ssrc_ = Ssrc{read_u32(packet.data(), 8)};
  if (source.sinks.empty()) {
    context_.drop_arriving(entry, DropReason::kNoSink);
    return DropReason::kNoSink;
  }
  // A packet with several sinks may be taken by one and refused by another. The verdict that witnesses hear
  // is "forwarded" if anybody takes it, else the reason of the last refusal.
  bool is_taken = false;
  DropReason last = DropReason::kNone;
  std::size_t left = source.sinks.size();
  for (const Sink& sink : source.sinks) {
    const DropReason reason = send_to(sink, accepted, packet, --left == 0);
    is_taken = is_taken || reason == DropReason::kNone;
    if (reason != DropReason::kNone) last = reason;
  }
  return is_taken ? DropReason::kNone : last;
}

DropReason Forwarder::send_to(const Sink& sink, const Accepted& accepted, PacketBuffer& packet,
                              bool is_last) noexcept {
  const ReceivedPacket& arrived = accepted.arrived;
  const bool is_rtcp = accepted.verdict.is_rtcp;
  const bool is_rtp = accepted.kind == DatagramClass::kRtp;
  const auto refuse = [&](DropReason reason) {
    context_.drop_arriving(accepted.entry, reason);
    return reason;
  };
  // The order of these checks decides which reason a refused packet is counted for. First comes what
  // signalling says of the sink, then whether its transport exists and has an address, then what the relay
  // does there.
  const DropReason refused =
      is_rtcp ? DropReason::kNone : refuses(sink, accepted.payload, accepted.verdict.is_negotiated);
  if (refused != DropReason::kNone) return refuse(refused);
  // A fax gateway is the end of both parties, so their reports go no further.
  const bool is_fax = sink.conversion && sink.conversion->fax;
  if (is_fax && is_rtcp) return refuse(DropReason::kNoSink);
  TransportEntry* out = context_.table.find(sink.via);
  if (out == nullptr) return refuse(DropReason::kNoSink);
  const auto refuse_leaving = [&](DropReason reason) {
    context_.drop_leaving(*out, reason, arrived.at);
    return reason;
  };
  // A party that the relay reports to itself gets little of what others report.
  const bool is_taken_in = is_rtcp && out->state.plan().own_reports != nullptr;
  const bool with_feedback =
      is_taken_in && sink.takes_feedback && feedback_means_sender(accepted.entry, accepted.source.media);
  if (is_taken_in && !has_passing_rtcp(packet.data(), with_feedback)) {
    bump(context_.totals.taken_reports);
    return DropReason::kNone;
  }
  const auto hop = out->state.next_hop(is_rtcp ? Component::kRtcp : Component::kRtp, arrived.at);
  if (hop.reason != DropReason::kNone) return refuse_leaving(hop.reason);
  // Most transports have no output at all.
  const Output* output = out->outputs.empty() ? nullptr : out->output_for(sink.to);
  if (output != nullptr && output->hears_nobody() && !is_rtcp) {
    context_.drop_unheard(accepted.entry, *out, DropReason::kPromptPlaying, arrived.at);
    return DropReason::kPromptPlaying;
  }
  // Datagrams of T.38 become sound.
  if (is_fax && !arrived.rtp)
    return parts_.own_packets.remake({accepted.entry, accepted.verdict, arrived, *out, sink, hop});
  // A stream that has packets of the relay's own in it goes on by other numbers. Another packet time or codec
  // makes packets of our own; the incoming one is copied into them and ends here.
  std::optional<Passage> passage;
  if (is_rtp && arrived.rtp && (is_remade(sink) || (output != nullptr && output->makes_media()))) {
    if (out->state.relays_key_of(accepted.entry.state)) return refuse_leaving(DropReason::kSharedKey);
    passage = parts_.own_packets.pass({accepted.entry, accepted.verdict, arrived, *out, sink, hop});
    if (!passage) return make_anew(sink, accepted, *out, hop);
    if (passage->refusal == DropReason::kTooLate) return DropReason::kNone;
    if (passage->refusal != DropReason::kNone) return passage->refusal;
  }
  PacketBuffer outgoing;
  if (is_last) {
    outgoing = std::move(packet);
  } else {
    outgoing = context_.io->allocate();
    if (!outgoing) return refuse_leaving(DropReason::kNoBuffer);
    const Bytes data = packet.data();
    std::ranges::copy(data, outgoing.space().begin());
    outgoing.set_data_size(data.size());
    outgoing->srtp_key = arrived.origin.key;
    outgoing->srtp_index = arrived.origin.index;
  }
  // Such a party never has the key of another one.
  if (is_taken_in)
    outgoing->length = static_cast<std::uint32_t>(keep_passing_rtcp(outgoing.data(), with_feedback));
  if (PacketChanges::are_possible(sink, is_rtcp)) {
    const PacketChanges changes(sink, outgoing.data(), accepted.payload, is_rtcp, is_rtp);
    // Both parties share one SRTP key, so the packet must keep its index. Changed contents under an old index
    // would be sealed with the same key stream as the original ones (RFC 3711 §9.1), so it is dropped
    // instead.
    if (changes.any() && out->state.relays_key_of(accepted.entry.state))
      return refuse_leaving(DropReason::kSharedKey);
    if (changes.any()) outgoing->length = static_cast<std::uint32_t>(changes.apply(outgoing.data()));
    // Nothing but feedback was in it.
    if (outgoing.data().empty()) return refuse(DropReason::kFeedbackNotAgreed);
  }
  // Last, because it needs the packet in its final form: the receiver may know the stream by another SSRC.
  if (passage) write_passage(*passage, outgoing.data());
  const DropReason untranslated =
      passage ? DropReason::kNone
              : out->state.translate_ssrcs(accepted.entry.state, accepted.source.media, sink.to,
                                           accepted.verdict, accepted.kind, outgoing.data());
  if (untranslated != DropReason::kNone) return refuse_leaving(untranslated);
  if (is_rtp && sink.mid_extension != 0) tell_mid(sink, accepted, *out, outgoing);
  // Whatever index its sender encrypted it by means nothing in a stream of other numbers.
  if (passage) outgoing->srtp_key = 0;
  const Transport* source = passage ? nullptr : &accepted.entry.state;
  parts_.sends.add(*out, hop, accepted.kind, sink.to, std::move(outgoing), source, arrived.at);
  return DropReason::kNone;
}

DropReason Forwarder::make_anew(const Sink& sink, const Accepted& accepted, TransportEntry& out,
                                const Transport::NextHop& hop) noexcept {
  const Instant now = accepted.arrived.at;
  // A payload of unknown kind cannot be joined, split or decoded (DMX-4).
  if (!accepted.verdict.is_negotiated) {
    context_.drop_leaving(out, DropReason::kUnknownPayloadType, now);
    return DropReason::kUnknownPayloadType;
  }
  const bool is_event = accepted.payload != nullptr && accepted.payload->is_event;
  const bool is_silenced = sink.silenced && !is_event;
  // Silence is written over packets that leave as they came, or go into a stage. Here the others are joined.
  if (is_silenced && !sink.conversion) {
    context_.drop_arriving(accepted.entry, DropReason::kBlocked);
    return DropReason::kBlocked;
  }
  // `refuses` has let no audio pass that cannot be silenced.
  const std::uint8_t silence = is_silenced ? accepted.payload->silence : std::uint8_t{0};
  return parts_.own_packets.remake(
      {accepted.entry, accepted.verdict, accepted.arrived, out, sink, hop, silence});
}

void Forwarder::tell_mid(const Sink& sink, const Accepted& accepted, TransportEntry& out,
                         const PacketBuffer& packet) const noexcept {
  // A packet under its sender's own key must not change, so the receiver has to do without the MID.
  if (!writes_mid(sink, out.state.streams(), Ssrc{read_u32(packet.data(), 8)}) ||
      out.state.relays_key_of(accepted.entry.state))
    return;
  // The last `kTailroom` octets stay free for the tag of SRTP.
  const MutableBytes all = packet.data_and_tailroom();
  packet->length =
      static_cast<std::uint32_t>(write_mid(sink.mid_extension, *sink.mid, all.first(all.size() - kTailroom),
                                           packet.data().size(), out.state.plan().srtp.get()));
}

}  // namespace ferry
