// SPDX-License-Identifier: Apache-2.0
// When a stream goes into the kernel, what is told to the kernel, and when the stream comes back.
//
// States of a stream: offered → installed → (read, updated) → withdrawn. Whoever forwards it owns its
// counters, its rate limit and its place in the sequence. `hand_over` hands these over at
// installation; `absorb` takes the growth since the last reading back, as if user space had forwarded the
// packets itself.
//
// - `offer` is called for each packet that user space forwards. It is cheap, because streams that can never
//   go into the kernel ask with every packet. `install_offered` installs everything offered during a turn of
//   the worker with one call of the engine.
// - `wanted` computes the flow from nothing but plan, latch and sinks. `follow` compares it with what is
//   installed, so any change anywhere ends in the same place: keep, update or withdraw.
// - A stream that has packets of the relay's own in it leaves by other numbers. Once those are constant
//   (`PassedStream`), they are part of the flow like everything else. Whoever puts something into such a
//   stream withdraws the flow first, and goes on behind what the kernel has sent
//   (`OwnPackets::stop_passing`).
// - `before_judgement` withdraws a flow when one of its packets reaches user space all the same. The kernel
//   punts what needs a decision, and the decision needs the counters.
// - `before_reports` reads the flows to a party that reports on a stream of which user space knows nothing.
// - `turn` reads the flows in rounds of about two seconds, a few at each call.
//
// Trap: transports know their receivers by the plan, but not their senders. `feeding_` answers that: it maps
// a receiver's slot to each transport whose flow goes to it. `link` and `unlink` keep it and must be called
// in pairs around every change of `receivers` or `hearing_prompt`.
#include "relay/worker/offloader.hpp"

#include "relay/base/memory.hpp"
#include "relay/core/forward/handover.hpp"
#include "relay/core/output/changes.hpp"
#include "relay/core/rtcp/rtcp.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

// After an offer that led to nothing: the neighbour is not known yet, or the latch is not settled.
constexpr Duration kAskAgain = 20ms;
// After a packet that needed user space: more of its kind may follow.
constexpr Duration kOfferAgain = 50ms;
// After a refusal of the engine, which will not change soon: the tables are full, the route has no usable
// port.
constexpr Duration kOfferAfterRefusal = 5s;

/// How much of a flow's packets is copied to user space: as much as the most demanding tap or the flight
/// recorder needs. Without them a sparse sample shows whether a G.711 stream carries sound or silence.
Sampling sampling_for(const std::vector<PacketTap*>& taps, const SourcePlan& source, FlightMode flight) {
  const bool has_sound = std::ranges::any_of(
      source.payloads, [](const PayloadEntry& payload) { return payload.g711 != G711Law::kNone; });
  Sampling sampling = flight == FlightMode::kAll ? Sampling::kHeaders
                      : has_sound                ? Sampling::kSparse
                                                 : Sampling::kNone;
  for (const PacketTap* tap : taps) {
    if (tap->wants_egress()) continue;
    if (!tap->wants_headers_only()) return Sampling::kWhole;
    sampling = Sampling::kHeaders;
  }
  return sampling;
}

}  // namespace

/// Whether the kernel could forward this stream as it is. Cheap, because it is asked for every packet of
/// streams that never can: SRTP, ICE, changed payloads, taps on what leaves.
bool Offloader::may_be_offloaded(const TransportEntry& entry, Ssrc ssrc) const {
  // ICE may select another local address than the first and changes its pair by packets, which the kernel
  // does not read. Several sources on one transport are told apart by more than the kernel looks at.
  if (entry.state.plan().is_protected() || entry.state.plan().ice || entry.state.plan().sources.size() != 1)
    return false;
  // Who listens to the source has to hear every packet.
  if (entry.state.plan().sources.front().listening) return false;
  // Nothing may overtake what came before the answer (LAT-14). RTP only: RTCP never goes into the kernel.
  if (entry.early[0] && entry.early[0]->is_releasing()) return false;
  return std::ranges::all_of(entry.state.plan().sources.front().sinks, [&](const Sink& sink) {
    TransportEntry* out = context_.table.find(sink.via);
    if (out == nullptr || out->state.plan().is_protected() || out->state.plan().ice) return false;
    const MediaId source = entry.state.plan().sources.front().media;
    const PlainPassing passing =
        plain_passing(sink, out->output_for(sink.to), out->state.streams(), source, ssrc);
    return passing.is_plain && (passing.shift != nullptr || !out->state.renames(source, ssrc)) &&
           std::ranges::none_of(out->taps, &PacketTap::wants_egress);
  });
}

std::optional<Offloaded> Offloader::wanted(TransportEntry& entry, Ssrc ssrc) const {
  if (!may_be_offloaded(entry, ssrc)) return std::nullopt;
  const SourcePlan& source = entry.state.plan().sources.front();
  Offloaded wanted;
  if (source.sinks.empty()) wanted.refusals.push_back(DropReason::kNoSink);
  std::vector<OffloadSink> sinks;
  // Sinks that hear silence come behind those that do not: the kernel overwrites the payload once, in place.
  for (const bool silenced : {false, true}) {
    for (const Sink& sink : source.sinks) {
      if (sink.silenced != silenced) continue;
      TransportEntry* out = context_.table.find(sink.via);
      Sink audible = sink;
      // The flow's payload types have all been checked for it: each one can be silenced.
      audible.silenced = false;
      if (const DropReason refusal = refuses(audible, nullptr); refusal != DropReason::kNone) {
        wanted.refusals.push_back(refusal);
        continue;
      }
      // A prompt ends soon, so the stream stays with the kernel, which leaves this receiver out meanwhile.
      if (out->hears_prompt(sink.to)) {
        wanted.refusals.push_back(DropReason::kPromptPlaying);
        wanted.hearing_prompt.push_back(sink.via);
        continue;
      }
      const Transport::Parts receiver = out->state.parts();
      const Output* output = out->output_for(sink.to);
      const StreamShift* shift =
          output == nullptr ? nullptr : output->settled_shift(source.media.value, ssrc);
      const OffloadSink next{context_.io->local_of(out->ports[0]),
                             lasting_hop(receiver.plan, receiver.latch[0], receiver.presence),
                             receiver.plan.tos, silenced,
                             shift == nullptr ? std::nullopt : std::optional(*shift)};
      // No route, or an address that the latch has not learned yet: ask again later.
      if (!next.local.is_reachable() || !next.peer.is_set()) return std::nullopt;
      sinks.push_back(next);
      wanted.receivers.push_back({sink.via, sink.to, next.shift});
    }
  }
  const Transport::Parts parts = entry.state.parts();
  auto handed = hand_over(parts.plan, parts.latch[0], parts.streams, parts.account, ssrc);
  if (!handed) return std::nullopt;
  wanted.flow = std::move(handed->first);
  wanted.seen = handed->second;
  wanted.flow.sinks = std::move(sinks);
  wanted.flow.sampling =
      sampling_for(entry.taps, source, context_.flight_mode.load(std::memory_order_relaxed));
  wanted.flow.local = context_.io->local_of(entry.ports[0]);
  // A socket bound to every address has no single address that the kernel's tables could be keyed by.
  if (!wanted.flow.local.is_reachable()) return std::nullopt;
  return wanted;
}

void Offloader::offer(TransportEntry& entry, Ssrc ssrc, Instant now) noexcept {
  if (!is_on() || entry.offloaded || now < entry.offer_after || !may_be_offloaded(entry, ssrc)) return;
  entry.offer_after = now + kAskAgain;
  // If memory runs out, user space goes on forwarding.
  (void)had_memory([&] { offers_.push_back({entry.id, ssrc}); });
}

void Offloader::read_all() noexcept {
  if (!is_on()) return;
  (void)had_memory([&] { read(flows_); });
}

void Offloader::install_offered(Instant now) {
  if (offers_.empty()) return;
  std::vector<std::unique_ptr<Offloaded>> flows;
  std::vector<TransportEntry*> entries;
  for (const Offer& offer : offers_) {
    // It may have been removed or installed since it was offered.
    TransportEntry* entry = context_.table.find(offer.id);
    if (entry == nullptr || entry->offloaded) continue;
    auto flow = wanted(*entry, offer.ssrc);
    if (!flow) continue;
    flows.push_back(std::make_unique<Offloaded>(std::move(*flow)));
    entries.push_back(entry);
  }
  offers_.clear();
  std::vector<OffloadInstallation> batch;
  batch.reserve(flows.size());
  for (const auto& each : flows) batch.push_back({&each->flow, &each->seen, OffloadAnswer::kRefused});
  // Reserved before the kernel is told: a flow that is installed must be in the list.
  flows_.reserve(flows_.size() + flows.size());
  offload_->install(batch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    TransportEntry& entry = *entries[i];
    if (batch[i].answer != OffloadAnswer::kTaken) {
      // kLater: the neighbour may be known at the next offer. The pause that `offer` has set stands.
      if (batch[i].answer == OffloadAnswer::kRefused) entry.offer_after = now + kOfferAfterRefusal;
      continue;
    }
    flows[i]->place = flows_.size();
    entry.offloaded = std::move(flows[i]);
    flows_.push_back(entry.id);
    // A flow that cannot be linked would not follow changes of its receivers, so it comes back at once.
    if (!had_memory([&] { link(entry); })) withdraw({entry.id});
  }
  context_.totals.offloaded_flows.store(flows_.size(), std::memory_order_relaxed);
}

void Offloader::before_judgement(TransportEntry& entry, const ReceivedPacket& packet) noexcept {
  if (!entry.offloaded) return;
  if (!packet.has_rtp_header()) return;
  const Offloaded& known = *entry.offloaded;
  // Any packet of the peer takes the stream back. A packet of another source does so only if the latch might
  // move to it: otherwise anybody could force the stream into user space by sending to the port.
  const bool from_peer = packet.from == known.flow.peer;
  if (!from_peer && !entry.state.latch(Component::kRtp).may_move_to(packet.from, packet.at)) return;
  // Packets of refused payload types are dropped whoever forwards, so they change nothing.
  if (entry.state.streams().refuses_type(packet, entry.state.latch(Component::kRtp))) return;
  // If memory runs out, the flow stays; the next packet takes it back.
  if (had_memory([&] { withdraw({entry.id}); })) entry.offer_after = packet.at + kOfferAgain;
}

void Offloader::before_reports(TransportEntry& entry, Bytes compound) noexcept {
  struct Handler {
    const Offloader& offloader;
    TransportEntry& entry;
    bool is_behind = false;
    void on_sender_report(Ssrc, std::uint32_t) {}
    void on_bye(Ssrc) {}
    void on_report(Ssrc, const ReportBlock& block) {
      is_behind =
          is_behind || (!entry.state.streams().has_sent(block.about) && offloader.feeds(entry, block.about));
    }
  };
  if (!feeds(entry) || !validate_rtcp(compound, entry.state.plan().reduced_size_rtcp)) return;
  Handler handler{*this, entry};
  walk_rtcp(compound, handler);
  // Once it is read, the stream is known. Until then a reading needs its SSRC, which no stranger knows.
  if (handler.is_behind) (void)had_memory([&] { refresh(entry); });
}

bool Offloader::feeds(const TransportEntry& entry, Ssrc ssrc) const noexcept {
  const auto [first, last] = feeding_.equal_range(entry.id.slot);
  return std::any_of(first, last, [&](const auto& one) {
    const TransportEntry* source = context_.table.find(one.second);
    if (source == nullptr || !source->offloaded) return false;
    return std::ranges::any_of(source->offloaded->receivers, [&](const Offloaded::Receiver& each) {
      return each.via == entry.id && ssrc == (each.shift ? each.shift->ssrc : source->offloaded->flow.ssrc);
    });
  });
}

void Offloader::before_plan(TransportEntry& entry, const TransportPlan& next) {
  refresh(entry);
  if (!entry.offloaded) return;
  const TransportPlan& plan = entry.state.plan();
  const bool same_stream = next.learning_epoch == plan.learning_epoch && next.sources.size() == 1 &&
                           next.sources.front().media == plan.sources.front().media;
  // The packets so far were sent by the old peer and must not count for the new one.
  if (!same_stream) withdraw({entry.id});
}

void Offloader::reconsider(TransportEntry& entry) noexcept {
  if (!is_on()) return;
  // The change may have removed what stood in the way of an installation.
  entry.offer_after = {};
  const bool is_done = had_memory([&] {
    for (const TransportId id : around(entry)) {
      if (TransportEntry* source = context_.table.find(id)) follow(*source);
    }
  });
  // `turn` makes up for it. Until then a flow may go by the plan of before, so `turn` does this first.
  if (!is_done) is_behind_ = true;
}

void Offloader::follow_all() {
  const std::vector<TransportId> ids = flows_;
  for (const TransportId id : ids) {
    TransportEntry* entry = context_.table.find(id);
    if (entry != nullptr && entry->offloaded) follow(*entry);
  }
  is_behind_ = false;
}

void Offloader::follow(TransportEntry& entry) {
  auto now = wanted(entry, entry.offloaded->flow.ssrc);
  Offloaded& known = *entry.offloaded;
  if (!now) {
    withdraw({entry.id});
    return;
  }
  if (now->flow == known.flow && now->receivers == known.receivers && now->refusals == known.refusals &&
      now->hearing_prompt == known.hearing_prompt)
    return;
  // Copies and counts up to now belong to the receivers that the flow had until now.
  collect();
  OffloadState before;
  if (offload_->update(now->flow, before) != OffloadAnswer::kTaken) {
    withdraw({entry.id});
    return;
  }
  absorb(entry, before);
  unlink(entry);
  known.flow = std::move(now->flow);
  known.receivers = std::move(now->receivers);
  known.refusals = std::move(now->refusals);
  known.hearing_prompt = std::move(now->hearing_prompt);
  link(entry);
}

std::vector<TransportId> Offloader::around(const TransportEntry& entry) const {
  std::vector<TransportId> ids;
  if (entry.offloaded) ids.push_back(entry.id);
  // A flow is listed once for each of its sinks that goes to this party.
  const auto [first, last] = feeding_.equal_range(entry.id.slot);
  for (auto i = first; i != last; ++i) {
    if (std::ranges::find(ids, i->second) == ids.end()) ids.push_back(i->second);
  }
  return ids;
}

void Offloader::withdraw(const std::vector<TransportId>& ids) {
  std::vector<OffloadReading> batch;
  for (const TransportId id : ids) {
    const TransportEntry* entry = context_.table.find(id);
    if (entry != nullptr && entry->offloaded) batch.push_back({entry->offloaded->flow.local, false, {}});
  }
  if (batch.empty()) return;
  // Complete when it returns (LAT-13): the kernel forwards nothing of these flows any more.
  offload_->remove(batch);
  collect();
  std::size_t n = 0;
  for (const TransportId id : ids) {
    TransportEntry* entry = context_.table.find(id);
    if (entry == nullptr || !entry->offloaded) continue;
    const OffloadReading& reading = batch[n++];
    if (reading.found) absorb(*entry, reading.state);
    // The last of the list takes the freed place, so that removal costs the same for any number of flows.
    unlink(*entry);
    const std::size_t place = entry->offloaded->place;
    flows_[place] = flows_.back();
    if (TransportEntry* moved = context_.table.find(flows_[place]); moved != nullptr && moved->offloaded)
      moved->offloaded->place = place;
    flows_.pop_back();
    entry->offloaded.reset();
  }
  context_.totals.offloaded_flows.store(flows_.size(), std::memory_order_relaxed);
}

void Offloader::link(const TransportEntry& entry) {
  const Offloaded& known = *entry.offloaded;
  entry.state.account().activity().is_offloaded.store(true, std::memory_order_relaxed);
  // First, because the insertions below may fail for want of memory, and `unlink` undoes it in any case.
  if (known.flow.sampling > Sampling::kSparse) ++dense_;
  for (const Offloaded::Receiver& each : known.receivers) feeding_.emplace(each.via.slot, entry.id);
  for (const TransportId each : known.hearing_prompt) feeding_.emplace(each.slot, entry.id);
  if (known.flow.sampling != Sampling::kNone) sampled_[known.flow.local] = entry.id;
}

void Offloader::unlink(const TransportEntry& entry) {
  const Offloaded& known = *entry.offloaded;
  entry.state.account().activity().is_offloaded.store(false, std::memory_order_relaxed);
  const auto forget = [&](TransportId receiver) {
    const auto [first, last] = feeding_.equal_range(receiver.slot);
    const auto own = std::find_if(first, last, [&](const auto& one) { return one.second == entry.id; });
    if (own != last) feeding_.erase(own);
  };
  for (const Offloaded::Receiver& each : known.receivers) forget(each.via);
  for (const TransportId each : known.hearing_prompt) forget(each);
  sampled_.erase(known.flow.local);
  if (known.flow.sampling > Sampling::kSparse) --dense_;
}

void Offloader::withdraw_all(TransportEntry& entry) { withdraw(around(entry)); }

void Offloader::absorb(TransportEntry& entry, const OffloadState& state) {
  // All numbers count from the installation, so the difference to what was seen last is new.
  Offloaded& known = *entry.offloaded;
  const Transport::Parts parts = entry.state.parts();
  OffloadedTraffic done = ferry::absorb(
      {parts.latch[0], parts.streams, parts.account, parts.presence, parts.events}, state, known.seen);
  bump(context_.totals.packets, done.packets);
  bump(context_.totals.bytes, done.bytes);
  bump(context_.totals.offloaded_packets, done.packets);
  bump(context_.totals.offloaded_bytes, done.bytes);
  InterfaceTotals& interface = interface_totals(context_.totals, entry.state.plan());
  bump(interface.ingress.packets, done.packets);
  bump(interface.ingress.bytes, done.bytes);
  bump(context_.totals.other_type_packets, state.other_types - known.seen.other_types);
  count_drops(context_.totals, DropReason::kForeignSource, state.foreign - known.seen.foreign);
  count_drops(context_.totals, DropReason::kRateLimited, state.rate_limited - known.seen.rate_limited);
  bump(interface.ingress.errors,
       state.foreign - known.seen.foreign + state.rate_limited - known.seen.rate_limited);
  // Each sink that the kernel leaves out refuses each packet, as it would in user space.
  if (done.packets != 0) {
    const auto packets = static_cast<std::uint32_t>(done.packets);
    for (const DropReason refusal : known.refusals) {
      // The party that hears the prompt counts this one, not the one that spoke.
      if (refusal != DropReason::kPromptPlaying) entry.state.account().count_arriving(refusal, packets);
      count_drops(context_.totals, refusal, done.packets);
      bump(interface.ingress.errors, done.packets);
    }
    for (const TransportId each : known.hearing_prompt) {
      if (TransportEntry* out = context_.table.find(each))
        out->state.account().count_leaving(DropReason::kPromptPlaying, packets, done.stream->last_packet);
    }
  }
  // Copies that found no room in the ring: a recording has a hole there and should know.
  if (state.unsampled != known.seen.unsampled) {
    for (PacketTap* tap : entry.taps) tap->on_lost(entry.id, state.unsampled - known.seen.unsampled);
  }
  known.seen = state;
  for (const Offloaded::Receiver& each : known.receivers) {
    TransportEntry* out = context_.table.find(each.via);
    if (out == nullptr) continue;
    done.shift = each.shift;
    on_sent_by_kernel(out->state.streams(), out->state.account(), done, each.to);
    InterfaceTotals& left_by = interface_totals(context_.totals, out->state.plan());
    bump(left_by.egress.packets, done.packets);
    bump(left_by.egress.bytes, done.bytes);
  }
}

void Offloader::read(const std::vector<TransportId>& ids) {
  std::vector<OffloadReading> readings;
  readings.reserve(ids.size());
  for (const TransportId id : ids)
    readings.push_back({context_.table.find(id)->offloaded->flow.local, false, {}});
  offload_->read(readings);
  for (std::size_t i = 0; i < readings.size(); ++i) {
    if (readings[i].found) absorb(*context_.table.find(ids[i]), readings[i].state);
  }
}

void Offloader::refresh(TransportEntry& entry) {
  if (const auto ids = around(entry); !ids.empty()) read(ids);
}

void Offloader::collect() {
  if (sampled_.empty()) return;
  offload_->collect([this](const OffloadSample& sample) {
    const auto known = sampled_.find(sample.local);
    TransportEntry* entry = known == sampled_.end() ? nullptr : context_.table.find(known->second);
    if (entry == nullptr) return;
    // Whether there is sound is judged from any sample, also if no tap wanted it.
    entry->state.streams().on_sample(sample.datagram, sample.received_at);
    const Offloaded* flow = entry->offloaded.get();
    const bool is_sparse = flow != nullptr && flow->flow.sampling == Sampling::kSparse;
    // Reported as lost only if nobody gets the packet.
    const DropReason outcome = flow == nullptr || !flow->receivers.empty() || flow->refusals.empty()
                                   ? DropReason::kNone
                                   : flow->refusals.front();
    if (!is_sparse && context_.flight_mode.load(std::memory_order_relaxed) == FlightMode::kAll)
      entry->state.account().record_flight(Component::kRtp, sample.from, sample.datagram, sample.size,
                                           outcome, true, sample.received_at);
    const TapPacket seen{.transport = entry->id,
                         .media = entry->state.plan().sources.front().media,
                         .from = sample.from,
                         .to = {},
                         .datagram = sample.datagram,
                         .size = sample.size,
                         .received_at = sample.received_at,
                         .worker = context_.number};
    for (PacketTap* tap : entry->taps) {
      if (!tap->wants_egress()) tap->on_packet(seen);
      tap->on_judged(seen, outcome);
    }
  });
}

void Offloader::turn(Instant now) {
  const Duration interval = dense_ != 0 ? kCollection : kTurn;
  if (!sampled_.empty() && now - last_collection_ >= interval) {
    last_collection_ = now;
    collect();
  }
  if (flows_.empty() || now - last_turn_ < kTurn) return;
  last_turn_ = now;
  if (is_behind_) follow_all();
  const std::size_t count = (flows_.size() + kTurnsPerRound - 1) / kTurnsPerRound;
  ++turn_;
  std::vector<TransportId> asked;
  asked.reserve(2 * count);
  const auto ask = [&](TransportId id) {
    const TransportEntry* source = context_.table.find(id);
    if (source == nullptr || !source->offloaded || source->offloaded->turn == turn_) return;
    source->offloaded->turn = turn_;
    asked.push_back(id);
  };
  for (std::size_t i = 0; i < count; ++i) {
    next_read_ = (next_read_ + 1) % flows_.size();
    const TransportEntry& entry = *context_.table.find(flows_[next_read_]);
    // Flows are read together with those that go to their party. A mark then sees both directions as of one
    // moment. With many flows this one may have been read as such a neighbour already.
    const bool is_due = now - entry.state.account().marked_at() >= kMarkAgain;
    if (is_due) {
      // If there are at most twenty flows, each turn reads one, due or not; this keeps the counters of a
      // quiet relay fresh.
      for (const TransportId id : around(entry)) ask(id);
    } else if (count == 1) {
      ask(entry.id);
    }
  }
  read(asked);
  mark(asked, now);
}

void Offloader::mark(const std::vector<TransportId>& read, Instant now) {
  const auto mark_one = [&](TransportEntry& entry) {
    if (now - entry.state.account().marked_at() < kMarkAgain) return;
    // A party is marked only if this turn has read all its flows; otherwise counts of different moments would
    // be compared.
    const auto was_read = [&](TransportId id) {
      const TransportEntry* source = context_.table.find(id);
      return source == nullptr || !source->offloaded || source->offloaded->turn == turn_;
    };
    if (std::ranges::all_of(around(entry), was_read)) entry.state.mark(now);
  };
  for (const TransportId id : read) {
    TransportEntry* entry = context_.table.find(id);
    if (entry == nullptr || !entry->offloaded) continue;
    mark_one(*entry);
    for (const Offloaded::Receiver& each : entry->offloaded->receivers) {
      if (TransportEntry* out = context_.table.find(each.via)) mark_one(*out);
    }
    for (const TransportId each : entry->offloaded->hearing_prompt) {
      if (TransportEntry* out = context_.table.find(each)) mark_one(*out);
    }
  }
}

}  // namespace ferry
