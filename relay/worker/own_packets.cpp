// SPDX-License-Identifier: Apache-2.0
// How a worker makes packets of its own. `remake` gives a packet to the receiver's `Output`, and `FromOutput`
// writes what that makes into buffers and sends it. `pass` lets a packet go on by other numbers. Stages on
// media threads answer later: `collect_made` places what they made.
//
// Trap: before an output places anything, `take_over_stream` or `stop_passing` takes the flow back from the
// kernel, because what the kernel sent counts on the timeline.
#include "relay/worker/own_packets.hpp"

#include "relay/base/ensure.hpp"
#include "relay/base/memory.hpp"
#include "relay/base/random.hpp"
#include "relay/core/output/changes.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace ferry {

namespace {

/// Bits of a stage's serial that count the stages of one worker; the worker's number is above them.
constexpr unsigned kSerialBits = 48;

}  // namespace

/// Writes what an output makes into buffers of the engine and adds them to the batch.
class OwnPackets::FromOutput final : public OutputSender {
 public:
  /// `numbers` are the receiver's of the types that sources send; null: they are the same.
  FromOutput(OwnPackets& all, TransportEntry& out, const Transport::NextHop& hop, MediaId to, Instant now,
             const TypeRenumbering* numbers)
      : all_(all), out_(out), hop_(hop), to_(to), now_(now), numbers_(numbers) {}

  bool send(const OutputPacket& made) noexcept override {
    PacketBuffer packet = buffer_of(kRtpFixedHeaderSize + made.payload.size());
    if (!packet) return false;
    const TimelinePosition& at = made.at;
    const bool is_renumbered = numbers_ != nullptr && made.maker == OutputPacket::Maker::kMedia;
    const PayloadType type = is_renumbered ? numbers_->of(made.type) : made.type;
    write_rtp_header(packet.data(), type, at.marker, at.sequence, at.timestamp, at.ssrc);
    std::ranges::copy(made.payload, packet.data().begin() + kRtpFixedHeaderSize);
    tell_mid(packet, at.ssrc);
    bump(counter_of(made.maker));
    all_.sends_.add(out_, hop_, DatagramClass::kRtp, to_, std::move(packet), nullptr, now_);
    return true;
  }
  bool send_datagram(Bytes datagram) noexcept override {
    PacketBuffer packet = buffer_of(datagram.size());
    if (!packet) return false;
    std::ranges::copy(datagram, packet.data().begin());
    bump(all_.context_.totals.converted_out);
    all_.sends_.add(out_, hop_, DatagramClass::kUnknown, to_, std::move(packet), nullptr, now_);
    return true;
  }

 private:
  /// A buffer for so many octets, if the receiver can be sent to. Counts why there is none.
  [[nodiscard]] PacketBuffer buffer_of(std::size_t octets) const noexcept {
    DropReason reason = hop_.reason;
    PacketBuffer packet;
    if (reason == DropReason::kNone) {
      packet = all_.context_.io->allocate();
      if (!packet)
        reason = DropReason::kNoBuffer;
      else if (octets > packet.space().size())
        reason = DropReason::kTooLong;
    }
    if (reason != DropReason::kNone) {
      all_.context_.drop_leaving(out_, reason, now_);
      return {};
    }
    packet.set_data_size(octets);
    return packet;
  }
  /// Writes the MID of the media into a packet, if the receiver still has to be told.
  void tell_mid(const PacketBuffer& packet, Ssrc ssrc) const noexcept {
    const TransportPlan& plan = out_.state.plan();
    const auto at = out_.state.streams().source_of(to_);
    if (!at) return;
    const SourcePlan& source = plan.sources[*at];
    if (!source.written_mid || out_.state.streams().is_reported(to_, ssrc)) return;
    const MutableBytes all = packet.data_and_tailroom();
    packet->length = static_cast<std::uint32_t>(write_mid(source.written_mid_extension, *source.written_mid,
                                                          all.first(all.size() - kTailroom),
                                                          packet.data().size(), plan.srtp.get()));
  }

  [[nodiscard]] std::atomic<std::uint64_t>& counter_of(OutputPacket::Maker maker) const noexcept {
    WorkerTotals& totals = all_.context_.totals;
    switch (maker) {
      case OutputPacket::Maker::kMedia:
        return totals.repacketizer_out;
      case OutputPacket::Maker::kStage:
        return totals.converted_out;
      case OutputPacket::Maker::kSilence:
        return totals.silence_packets;
      default:
        return totals.played_packets;
    }
  }

  OwnPackets& all_;
  TransportEntry& out_;
  const Transport::NextHop& hop_;
  MediaId to_;
  Instant now_;
  const TypeRenumbering* numbers_;
};

std::optional<MediaId> OwnPackets::media_of(const TransportEntry& entry,
                                            std::optional<MediaId> wanted) noexcept {
  const std::vector<SourcePlan>& sources = entry.state.plan().sources;
  if (sources.empty()) return std::nullopt;
  if (!wanted) return sources.front().media;
  return std::ranges::find(sources, *wanted, &SourcePlan::media) == sources.end() ? std::nullopt : wanted;
}

bool OwnPackets::take_over_stream(TransportEntry& entry, MediaId media, Output& output) {
  // What the kernel has sent by itself counts too, and it sends no more.
  offloader_.withdraw_all(entry);
  const auto last = entry.state.streams().last_sent(media);
  if (last) output.take_over(last->ssrc, last->sequence, last->timestamp, last->at);
  return last.has_value();
}

void OwnPackets::stop_passing(TransportEntry& out, MediaId media, Output& output) noexcept {
  if (!output.is_passing()) return;
  // What the kernel has sent by itself counts too, and it sends no more. Without memory for that the flow
  // would go on by numbers that are given away: `reconsider` makes up for it.
  if (!had_memory([&] { offloader_.withdraw_all(out); })) offloader_.reconsider(out);
  const auto last = out.state.streams().last_sent(media).value_or(Streams::LastSent{});
  output.stop_passing(last.ssrc, last.sequence, last.timestamp, last.at);
}

void OwnPackets::join_stream(TransportEntry& entry, MediaId media, Output& output,
                             const FirstNumbers& numbers) {
  stop_passing(entry, media, output);
  if (!output.makes_media() && take_over_stream(entry, media, output)) return;
  output.begin(numbers.ssrc, numbers.sequence, numbers.timestamp);
  output.make_media();
}

void OwnPackets::start_prompt(TransportEntry& entry, StartPrompt& command) {
  const Instant now = context_.io->now();
  const std::optional<MediaId> media = media_of(entry, command.media);
  if (!media) return;
  Output& output = entry.ensure_output(*media);
  const auto& keys = entry.state.plan().srtp;
  stop_passing(entry, *media, output);
  // Nothing may be sent under the SSRC of a party whose key the receiver has (RFC 3711 §9.1).
  const bool has_others_key = keys && keys->send_is_relayed;
  // The stream outlives its prompts: the next one goes on with the same SSRC and the next sequence number
  // (SSR-2).
  if (command.is_one_stream && !has_others_key)
    join_stream(entry, *media, output, command.numbers);
  else
    output.begin(command.numbers.ssrc, command.numbers.sequence, command.numbers.timestamp, has_others_key);
  // It goes into the stage of the receiver, or in place of what the receiver hears.
  const bool may_mix = command.is_one_stream && !has_others_key;
  if (!may_mix || (command.order.conversion && !has_stage_for(entry, *media, output)))
    command.order.conversion = nullptr;
  const bool tells_end = output.tells_prompt_end();
  if (output.start_prompt(std::move(command.order), now) && tells_end) tell_prompt_end(entry);
  await(entry, now);
  offloader_.reconsider(entry);
}

bool OwnPackets::has_stage_for(TransportEntry& entry, MediaId media, Output& output) {
  if (output.has_stage()) return true;
  return context_.stages && begin_stage({entry.id, entry, media}, output) == DropReason::kNone;
}

void OwnPackets::send_digit(TransportEntry& entry, SendDigit& command) {
  const Instant now = context_.io->now();
  const std::optional<MediaId> media = media_of(entry, command.media);
  if (!media) return;
  const auto& keys = entry.state.plan().srtp;
  if (keys && keys->send_is_relayed) {
    context_.drop_leaving(entry, DropReason::kSharedKey, now);
    return;
  }
  Output& output = entry.ensure_output(*media);
  join_stream(entry, *media, output, command.numbers);
  if (!output.send_digit(std::move(command.digit), now))
    context_.drop_leaving(entry, DropReason::kTooLate, now);
  await(entry, now);
  offloader_.reconsider(entry);
}

void OwnPackets::stop_prompt(TransportEntry& entry, const StopPrompt& command) noexcept {
  const std::optional<MediaId> media = media_of(entry, command.media);
  Output* output = media ? entry.output_for(*media) : nullptr;
  if (output == nullptr) return;
  const bool tells_end = output->tells_prompt_end();
  if (!output->stop_prompt()) return;
  if (tells_end) tell_prompt_end(entry);
  // The party hears the other one again, so the kernel may forward to it.
  offloader_.reconsider(entry);
}

namespace {

/// True if what the media sends does not go to the receiver of `sink` any more by `plan`.
bool leaves(const TransportPlan& plan, MediaId media, const Sink& sink) noexcept {
  const auto source = std::ranges::find(plan.sources, media, &SourcePlan::media);
  return source == plan.sources.end() || std::ranges::none_of(source->sinks, [&](const Sink& each) {
           return each.via == sink.via && each.to == sink.to;
         });
}

/// True if `plan` converts what the media sends to the receiver of `sink`.
bool converts(const TransportPlan& plan, MediaId media, const Sink& sink) noexcept {
  const auto source = std::ranges::find(plan.sources, media, &SourcePlan::media);
  return source != plan.sources.end() && std::ranges::any_of(source->sinks, [&](const Sink& each) {
           return each.via == sink.via && each.to == sink.to && each.conversion != nullptr;
         });
}

}  // namespace

void OwnPackets::before_plan(const TransportEntry& entry, const TransportPlan& next) noexcept {
  for (const SourcePlan& source : entry.state.plan().sources) {
    for (const Sink& sink : source.sinks) {
      if (!sink.conversion || converts(next, source.media, sink)) continue;
      // The others go on to be mixed, without a break.
      if (sink.conversion->mixes && leaves(next, source.media, sink)) continue;
      TransportEntry* out = context_.table.find(sink.via);
      if (Output* output = out == nullptr ? nullptr : out->output_for(sink.to)) end_stage(*output);
    }
  }
}

void OwnPackets::follow_plan(TransportEntry& entry, bool was_alone) noexcept {
  ToneListeners::follow_plan(entry);
  if (entry.outputs.empty()) return;
  const TransportPlan& plan = entry.state.plan();
  const std::vector<SourcePlan>& sources = plan.sources;
  const bool is_under_anothers_key = plan.srtp && plan.srtp->send_is_relayed;
  const auto is_gone = [&](const TransportEntry::MediaOutput& each) {
    // A stream of the relay's own would keep out the packets of whoever has the key.
    return (is_under_anothers_key && (each.output.has_senders_ssrc() || each.output.makes_media())) ||
           std::ranges::find(sources, each.media, &SourcePlan::media) == sources.end();
  };
  // A media that takes the place of the only one goes on with the stream of that one.
  if (was_alone && sources.size() == 1 && entry.output_for(sources.front().media) == nullptr)
    entry.outputs.front().media = sources.front().media;
  const bool ends_prompt = std::ranges::any_of(
      entry.outputs, [&](const auto& each) { return is_gone(each) && each.output.plays_prompt(); });
  for (TransportEntry::MediaOutput& each : entry.outputs) {
    if (is_gone(each)) end_stage(each.output);
  }
  const bool tells_end = std::ranges::any_of(
      entry.outputs, [&](const auto& each) { return is_gone(each) && each.output.tells_prompt_end(); });
  entry.outputs.remove_if(is_gone);
  if (tells_end) tell_prompt_end(entry);
  if (ends_prompt) offloader_.reconsider(entry);
}

void OwnPackets::tell_prompt_end(const TransportEntry& entry) noexcept {
  context_.tell({entry.id, TransportEvent::kPromptEnded, {}});
}

void OwnPackets::send_probe(TransportEntry& entry, const SendProbe& command) noexcept {
  if (entry.state.plan().sources.empty()) return;
  const SourcePlan& source = entry.state.plan().sources.front();
  const Instant now = context_.io->now();
  const auto hop = entry.state.next_hop(Component::kRtp, now);
  PacketBuffer packet = hop.reason == DropReason::kNone ? context_.io->allocate() : PacketBuffer{};
  if (!packet) return;
  // Any type that the party takes will do: the packet has no payload.
  const PayloadType type = source.payloads.empty() ? PayloadType{0} : source.payloads.front().type;
  packet.set_data_size(kRtpFixedHeaderSize);
  write_rtp_header(packet.data(), type, false, command.sequence, 0, command.ssrc);
  // Of no media: a probe is no stream that anything could go on behind.
  sends_.add(entry, hop, DatagramClass::kRtp, MediaId{}, std::move(packet), nullptr, now);
  sends_.flush();
}

void OwnPackets::send_silence(TransportEntry& entry, const Silence& silence, Instant now) {
  const auto hop = entry.state.next_hop(Component::kRtp, now);
  if (hop.reason != DropReason::kNone) return;
  Output& output = entry.ensure_output(silence.media);
  const bool was_plain = output.is_plain();
  join_stream(entry, silence.media, output,
              {Ssrc{static_cast<std::uint32_t>(random_u64())},
               SeqNo{static_cast<std::uint16_t>(random_u64())}, static_cast<std::uint32_t>(random_u64())});
  FromOutput sender(*this, entry, hop, silence.media, now, nullptr);
  output.keep_alive(silence.type, silence.payload, silence.clock_rate_hz, silence.is_noise, now, sender);
  if (was_plain) offloader_.reconsider(entry);
}

namespace {

/// A packet as an output takes it.
SourcePacket source_packet(const OwnPackets::Remade& what, const RtpView& rtp) noexcept {
  const PayloadEntry* payload = what.arrived.payload;
  // The replay window of SRTP lets packets pass that came later than a plain stream allows.
  const bool is_protected = what.from.state.plan().is_protected();
  // The media stays the same where a call moves to another worker, and its transport does not.
  return {.from = what.from.state.plan().sources[what.verdict.source].media.value,
          .rtp = rtp,
          .conversion = what.sink.conversion,
          .ptime_ms = what.sink.ptime_ms,
          .clock_rate_hz = payload != nullptr ? payload->clock_rate_hz : 0,
          .restarts = what.verdict.restarts,
          .most_behind = is_protected ? int{ReplayWindow::kMaxBits} : PassedStream::kMostBehind};
}

/// Where the stream of sound that a gateway makes begins. The number of the gateway is drawn by chance, so
/// nobody can guess them (SSR-5).
SourceDatagram::Begin begin_of(const FaxSide& fax) noexcept {
  const std::uint64_t drawn = fax.gateway;
  return {Ssrc{static_cast<std::uint32_t>(drawn)}, SeqNo{static_cast<std::uint16_t>(drawn >> 32)},
          static_cast<std::uint32_t>(drawn >> 24)};
}

/// True if a payload is sound that a modem may have made (RFC 3551 §4.5.14).
bool is_g711(const PayloadEntry* payload) noexcept {
  return payload != nullptr && payload->g711 != G711Law::kNone;
}

}  // namespace

DropReason OwnPackets::remake(const Remade& what) noexcept {
  const auto& [entry, verdict, arrived, out, sink, hop, silence] = what;
  const Instant now = arrived.at;
  // `Transport` has parsed every RTP packet that it accepts. Only T.38 comes without.
  const bool is_fax = sink.conversion && sink.conversion->fax;
  if (!FERRY_ENSURE(arrived.rtp.has_value() || is_fax)) return DropReason::kNone;
  if (is_fax && arrived.rtp && !is_g711(arrived.payload)) {
    context_.drop_leaving(out, DropReason::kNotConverted, now);
    return DropReason::kNotConverted;
  }
  const bool is_converted = sink.conversion != nullptr;
  Output* output = nullptr;
  if (const DropReason refusal = prepare(what, output); refusal != DropReason::kNone) {
    context_.drop_leaving(out, refusal, now);
    return refusal == DropReason::kNoMemory ? DropReason::kNone : refusal;
  }
  FromOutput sender(*this, out, hop, sink.to, now, sink.renumbering.get());
  if (!arrived.rtp) {
    const std::uint64_t from = entry.state.plan().sources[verdict.source].media.value;
    const SourceDatagram packet{from, arrived.datagram, sink.conversion, begin_of(*sink.conversion->fax)};
    return conclude(what, output->on_datagram(packet, now, sender));
  }
  RtpView rtp = *arrived.rtp;
  std::array<std::byte, kLongestSilence> silent;
  if (silence != 0) {
    rtp.payload = Bytes(silent).first(std::min(rtp.payload.size(), silent.size()));
    std::ranges::fill(std::span(silent).first(rtp.payload.size()), static_cast<std::byte>(silence));
  }
  const SourcePacket packet = source_packet(what, rtp);
  // Its source was the one that the stage was for, and by the last SDP it needs none.
  if (!is_converted && output->is_heard_by_stage(packet.from)) end_stage(*output);
  return conclude(what, output->on_packet(packet, now, sender));
}

DropReason OwnPackets::conclude(const Remade& what, DropReason reason) noexcept {
  auto& counter = what.sink.conversion ? context_.totals.converted_in : context_.totals.repacketizer_in;
  if (reason == DropReason::kNone || reason == DropReason::kTooLate) bump(counter);
  if (reason != DropReason::kNone) return count_unheard(what, reason);
  await(what.out, what.arrived.at);
  return reason;
}

DropReason OwnPackets::count_unheard(const Remade& what, DropReason reason) noexcept {
  const Instant now = what.arrived.at;
  switch (reason) {
    case DropReason::kTooLate:
      // The packet is lost, and the party hears its sender all the same.
      context_.drop_leaving(what.out, reason, now);
      return DropReason::kNone;
    case DropReason::kMediaOverload:
      context_.drop_leaving(what.out, reason, now);
      return reason;
    default:
      context_.drop_unheard(what.from, what.out, reason, now);
      return reason;
  }
}

bool OwnPackets::is_out_of_reach(const Remade& what, const Output& output, const Passage& passage) noexcept {
  // Between plain parties a jump passes as it does without a shift, in the kernel, too.
  const bool has_window = what.from.state.plan().is_protected() || what.out.state.plan().is_protected();
  if ((!has_window && passage.refusal != DropReason::kTooLate) || !output.is_passing()) return false;
  const auto last = what.out.state.streams().last_sent(what.sink.to);
  return last && last->ssrc == passage.shift.ssrc &&
         is_sequence_jump(last->sequence.value, passage.shift.of(what.arrived.rtp->sequence));
}

std::optional<Passage> OwnPackets::pass(const Remade& what) noexcept {
  Output* output = what.out.output_for(what.sink.to);
  if (output == nullptr || !output->makes_media()) return std::nullopt;
  const SourcePacket packet = source_packet(what, *what.arrived.rtp);
  if (!output->can_pass(packet)) return std::nullopt;
  const Instant now = what.arrived.at;
  Passage passage;
  if (output->is_passing() && !output->goes_on_passing(packet)) {
    // The other source may be in the kernel, so what it has sent there is read first.
    if (offloader_.feeds(what.out)) (void)had_memory([&] { offloader_.withdraw_all(what.out); });
    const auto last = what.out.state.streams().last_sent(what.sink.to);
    if (output->keeps_floor(packet, last ? last->at : Instant{}, now))
      passage.refusal = DropReason::kOtherSpeaks;
    else
      stop_passing(what.out, what.sink.to, *output);
  }
  if (passage.refusal == DropReason::kNone) {
    FromOutput sender(*this, what.out, what.hop, what.sink.to, now, what.sink.renumbering.get());
    passage = output->pass(packet, now, sender);
    if (is_out_of_reach(what, *output, passage)) {
      stop_passing(what.out, what.sink.to, *output);
      passage = output->pass(packet, now, sender);
    }
  }
  if (passage.refusal != DropReason::kNone) (void)count_unheard(what, passage.refusal);
  return passage;
}

DropReason OwnPackets::prepare(const Remade& what, Output*& output) noexcept {
  output = what.out.output_for(what.sink.to);
  if (output != nullptr) stop_passing(what.out, what.sink.to, *output);
  const bool needs_stage = what.sink.conversion != nullptr && (output == nullptr || !output->has_stage());
  const bool is_new = output == nullptr || !output->makes_media();
  if (!is_new && !needs_stage) return DropReason::kNone;
  if (needs_stage && !context_.stages) return DropReason::kNotConverted;
  DropReason refusal = DropReason::kNone;
  const bool is_done = had_memory([&] {
    output = &what.out.ensure_output(what.sink.to);
    if (needs_stage) refusal = begin_stage({what.from.id, what.out, what.sink.to}, *output);
    if (refusal == DropReason::kNone) output->make_media();
  });
  if (!is_done) return DropReason::kNoMemory;
  // From now on the relay makes the stream of this party itself, so the kernel may not forward it any longer.
  if (is_new && refusal == DropReason::kNone) offloader_.reconsider(what.out);
  return refusal;
}

DropReason OwnPackets::begin_stage(const StagePlace& place, Output& output) {
  const std::uint64_t serial = (std::uint64_t{context_.number} << kSerialBits) | ++made_stages_;
  auto stage = context_.stages->make({serial, place.out.id, place.to, place.from});
  if (!stage) return DropReason::kMediaOverload;
  // The stage goes on with the stream that left as it came until now, so that the receiver sees one stream.
  const auto& keys = place.out.state.plan().srtp;
  if (!keys || !keys->send_is_relayed) take_over_stream(place.out, place.to, output);
  output.set_stage(std::move(stage), serial);
  bump(context_.totals.stages);
  return DropReason::kNone;
}

void OwnPackets::end_stage(Output& output) noexcept {
  if (!output.has_stage()) return;
  output.end_stage();
  context_.totals.stages.store(context_.totals.stages.load(std::memory_order_relaxed) - 1,
                               std::memory_order_relaxed);
}

void OwnPackets::end_stages(TransportEntry& entry) noexcept {
  for (TransportEntry::MediaOutput& each : entry.outputs) end_stage(each.output);
  entry.listeners.clear();
}

std::size_t OwnPackets::collect_made(Instant now) noexcept {
  collected_at_ = now;
  return context_.stages->collect(*this);
}

template <class Place>
void OwnPackets::place_collected(const StageOwner& owner, const Place& place) noexcept {
  TransportEntry* out = context_.table.find(owner.via);
  Output* output = out == nullptr ? nullptr : out->output_for(owner.to);
  if (output == nullptr || !output->has_stage(owner.serial)) {
    count_drops(context_.totals, DropReason::kStageGone);
    return;
  }
  const auto hop = out->state.next_hop(Component::kRtp, collected_at_);
  FromOutput sender(*this, *out, hop, owner.to, collected_at_, nullptr);
  const DropReason reason = place(*output, sender);
  if (reason != DropReason::kNone) context_.drop_leaving(*out, reason, collected_at_);
}

void OwnPackets::take(const StageOwner& owner, const MadePacket& packet) noexcept {
  if (listeners_.take(owner, packet, collected_at_)) return;
  place_collected(owner, [&](Output& output, OutputSender& sender) {
    return output.place_made(packet, collected_at_, sender);
  });
}

void OwnPackets::take_datagram(const StageOwner& owner, Bytes datagram) noexcept {
  place_collected(
      owner, [&](Output& output, OutputSender& sender) { return output.place_datagram(datagram, sender); });
}

void OwnPackets::drive(TransportEntry& entry, Instant now) noexcept {
  // Its prompt was stopped meanwhile.
  if (!next_due(entry)) return;
  listeners_.drive(entry, now);
  const auto hop = entry.state.next_hop(Component::kRtp, now);
  bool has_ended = false;
  for (auto& [media, output] : entry.outputs) {
    FromOutput sender(*this, entry, hop, media, now, nullptr);
    const bool tells_end = output.tells_prompt_end();
    // A digit that has waited for the pause behind another one goes into a stream that was passed on
    // meanwhile.
    if (const auto due = output.due(); due && *due <= now) stop_passing(entry, media, output);
    if (!output.due() || !output.drive(now, hop.reason == DropReason::kNone, sender)) continue;
    has_ended = true;
    if (tells_end) tell_prompt_end(entry);
  }
  if (has_ended) offloader_.reconsider(entry);
  // At least a moment ahead, because the worker serves deadlines until none is due.
  if (const auto due = next_due(entry))
    deadlines_.set(entry, DeadlineKind::kOutput, std::max(*due, now + std::chrono::milliseconds(1)), now);
}

void OwnPackets::await(TransportEntry& entry, Instant now) noexcept {
  if (const auto due = next_due(entry)) deadlines_.set(entry, DeadlineKind::kOutput, *due, now);
}

std::optional<Instant> OwnPackets::next_due(const TransportEntry& entry) noexcept {
  std::optional<Instant> first = ToneListeners::due(entry);
  for (const TransportEntry::MediaOutput& each : entry.outputs) {
    const auto due = each.output.due();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

void add_output_figures(const TransportEntry& entry, TransportFigures& figures) noexcept {
  figures.played = figures.joined = 0;
  for (const TransportEntry::MediaOutput& each : entry.outputs) {
    figures.played += each.output.played();
    // Packets that became part of larger ones were not lost. Splitting makes more of them: the difference is
    // 0 then.
    figures.joined += each.output.media_in() - std::min(each.output.media_in(), each.output.media_out());
  }
}

}  // namespace ferry
