#include "relay/worker/offloader.hpp"

#include "relay/base/memory.hpp"
#include "relay/core/classify.hpp"

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr Duration kAskAgain = 20ms;         // user space has to forward it for now
constexpr Duration kOfferAgain = 50ms;       // a packet needed user space
constexpr Duration kOfferAfterRefusal = 5s;  // the kernel would not have it

/// What taps and the flight recorder need; else now and then one, to hear whether there is sound.
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

Offloader::Offloader(std::unique_ptr<FlowOffload> offload, PacketIo& io, TransportTable& table,
                     WorkerTotals& totals, const std::atomic<FlightMode>& flight_mode)
    : offload_(std::move(offload)), io_(io), table_(table), totals_(totals), flight_mode_(flight_mode) {}

/// Cheap: asked again and again for streams that never go below.
bool Offloader::may_go_below(const TransportEntry& entry) const {
  // What ICE selected may leave from another address than the first, and changes by packets.
  if (entry.state.is_protected() || entry.state.plan().ice || entry.state.plan().sources.size() != 1)
    return false;
  // Nothing may overtake what came before the answer (LAT-14).
  if (entry.early[0] && entry.early[0]->is_releasing()) return false;
  return std::ranges::all_of(entry.state.plan().sources.front().sinks, [&](const Sink& sink) {
    const TransportEntry* out = table_.find(sink.via);
    return out != nullptr && !out->state.is_protected() && !out->state.plan().ice &&
           !sink.extensions.rewrites() &&  // EXT-2: packets change
           sink.ptime_ms == 0 && !out->is_repacketized() &&
           std::ranges::none_of(out->taps, &PacketTap::wants_egress);
  });
}

std::optional<Offloaded> Offloader::wanted(const TransportEntry& entry, Ssrc ssrc) const {
  if (!may_go_below(entry)) return std::nullopt;
  const SourcePlan& source = entry.state.plan().sources.front();
  Offloaded wanted;
  if (source.sinks.empty()) wanted.refusals.push_back(DropReason::kNoSink);
  std::vector<OffloadSink> sinks;
  // Who hears silence comes behind those who do not.
  for (const bool silenced : {false, true}) {
    for (const Sink& sink : source.sinks) {
      if (sink.silenced != silenced) continue;
      const TransportEntry* out = table_.find(sink.via);
      Sink audible = sink;
      audible.silenced = false;  // the flow has only payloads that can be silenced
      if (const DropReason refusal = refuses(audible, nullptr); refusal != DropReason::kNone) {
        wanted.refusals.push_back(refusal);
        continue;
      }
      if (out->hears_prompt()) {
        wanted.refusals.push_back(DropReason::kPromptPlaying);
        wanted.distracted.push_back(sink.via);
        continue;
      }
      const OffloadSink next{io_.local_of(out->ports[0]), out->state.lasting_hop(), out->state.plan().tos,
                             silenced};
      if (!next.local.is_reachable() || !next.peer.is_set()) return std::nullopt;
      sinks.push_back(next);
      wanted.receivers.push_back({sink.via, sink.to});
    }
  }
  auto lent = entry.state.lend(ssrc);
  if (!lent) return std::nullopt;
  wanted.flow = std::move(lent->first);
  wanted.seen = lent->second;
  wanted.flow.sinks = std::move(sinks);
  wanted.flow.sampling = sampling_for(entry.taps, source, flight_mode_.load(std::memory_order_relaxed));
  wanted.flow.local = io_.local_of(entry.ports[0]);
  // A port of every address is none that the kernel's tables could name.
  if (!wanted.flow.local.is_reachable()) return std::nullopt;
  return wanted;
}

void Offloader::offer(TransportEntry& entry, Ssrc ssrc, Instant now) noexcept {
  if (entry.offloaded || now < entry.offer_after || !may_go_below(entry)) return;
  entry.offer_after = now + kAskAgain;
  // Without memory user space goes on.
  (void)had_memory([&] { offers_.push_back({entry.state.id(), ssrc}); });
}

void Offloader::read_all() noexcept {
  (void)had_memory([&] { read(flows_); });
}

void Offloader::install_offered(Instant now) {
  if (offers_.empty()) return;
  std::vector<std::unique_ptr<Offloaded>> flows;
  std::vector<TransportEntry*> entries;
  for (const Offer& offer : offers_) {
    TransportEntry* entry = table_.find(offer.id);
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
  flows_.reserve(flows_.size() + flows.size());  // once a flow is below it must be known here
  offload_->install(batch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    TransportEntry& entry = *entries[i];
    if (batch[i].answer != OffloadAnswer::kTaken) {
      if (batch[i].answer == OffloadAnswer::kRefused) entry.offer_after = now + kOfferAfterRefusal;
      continue;
    }
    flows[i]->place = flows_.size();
    entry.offloaded = std::move(flows[i]);
    flows_.push_back(entry.state.id());
    if (!had_memory([&] { link(entry); })) withdraw({entry.state.id()});
  }
  totals_.offloaded_flows.store(flows_.size(), std::memory_order_relaxed);
}

void Offloader::before_judgement(TransportEntry& entry, const Endpoint& from, Bytes datagram,
                                 Instant now) noexcept {
  if (!entry.offloaded) return;
  if (classify(datagram) != DatagramClass::kRtp) return;
  const Offloaded& known = *entry.offloaded;
  const bool from_peer = from == known.flow.peer;
  if (!from_peer && !entry.state.latch(Component::kRtp).may_move_to(from, now)) return;
  if (entry.state.refuses_type(from, datagram)) return;
  // Without memory the next packet takes it back.
  if (had_memory([&] { withdraw({entry.state.id()}); })) entry.offer_after = now + kOfferAgain;
}

void Offloader::before_plan(TransportEntry& entry, const TransportPlan& next) {
  refresh(entry);
  if (!entry.offloaded) return;
  const TransportPlan& plan = entry.state.plan();
  const bool same_stream = next.learning_epoch == plan.learning_epoch && next.sources.size() == 1 &&
                           next.sources.front().media == plan.sources.front().media;
  // What is counted for the old peer must not count for the new one.
  if (!same_stream) withdraw({entry.state.id()});
}

void Offloader::reconsider(TransportEntry& entry) noexcept {
  entry.offer_after = {};
  const bool is_done = had_memory([&] {
    for (const TransportId id : around(entry)) {
      if (TransportEntry* source = table_.find(id)) follow(*source);
    }
  });
  if (!is_done) is_behind_ = true;
}

void Offloader::follow_all() {
  const std::vector<TransportId> ids = flows_;
  for (const TransportId id : ids) {
    TransportEntry* entry = table_.find(id);
    if (entry != nullptr && entry->offloaded) follow(*entry);
  }
  is_behind_ = false;
}

void Offloader::follow(TransportEntry& entry) {
  auto now = wanted(entry, entry.offloaded->flow.ssrc);
  Offloaded& known = *entry.offloaded;
  if (!now) {
    withdraw({entry.state.id()});
    return;
  }
  if (now->flow == known.flow && now->receivers == known.receivers && now->refusals == known.refusals &&
      now->distracted == known.distracted)
    return;
  // Copies and counts of the time before belong to the receivers of then.
  collect();
  OffloadState before;
  if (offload_->update(now->flow, before) != OffloadAnswer::kTaken) {
    withdraw({entry.state.id()});
    return;
  }
  absorb(entry, before);
  unlink(entry);
  known.flow = std::move(now->flow);
  known.receivers = std::move(now->receivers);
  known.refusals = std::move(now->refusals);
  known.distracted = std::move(now->distracted);
  link(entry);
}

std::vector<TransportId> Offloader::around(const TransportEntry& entry) const {
  std::vector<TransportId> ids;
  if (entry.offloaded) ids.push_back(entry.state.id());
  const auto [first, last] = feeding_.equal_range(entry.state.id().slot);
  for (auto i = first; i != last; ++i) {
    if (std::ranges::find(ids, i->second) == ids.end()) ids.push_back(i->second);
  }
  return ids;
}

void Offloader::withdraw(const std::vector<TransportId>& ids) {
  std::vector<OffloadReading> batch;
  for (const TransportId id : ids) {
    const TransportEntry* entry = table_.find(id);
    if (entry != nullptr && entry->offloaded) batch.push_back({entry->offloaded->flow.local, false, {}});
  }
  if (batch.empty()) return;
  offload_->remove(batch);
  collect();
  std::size_t n = 0;
  for (const TransportId id : ids) {
    TransportEntry* entry = table_.find(id);
    if (entry == nullptr || !entry->offloaded) continue;
    const OffloadReading& reading = batch[n++];
    if (reading.found) absorb(*entry, reading.state);
    unlink(*entry);
    const std::size_t place = entry->offloaded->place;
    flows_[place] = flows_.back();
    if (TransportEntry* moved = table_.find(flows_[place]); moved != nullptr && moved->offloaded)
      moved->offloaded->place = place;
    flows_.pop_back();
    entry->offloaded.reset();
  }
  totals_.offloaded_flows.store(flows_.size(), std::memory_order_relaxed);
}

void Offloader::link(const TransportEntry& entry) {
  const Offloaded& known = *entry.offloaded;
  entry.state.activity()->is_below.store(true, std::memory_order_relaxed);
  if (known.flow.sampling > Sampling::kSparse) ++dense_;  // first: what follows may need memory
  for (const Offloaded::Receiver& each : known.receivers) feeding_.emplace(each.via.slot, entry.state.id());
  for (const TransportId each : known.distracted) feeding_.emplace(each.slot, entry.state.id());
  if (known.flow.sampling != Sampling::kNone) sampled_[known.flow.local] = entry.state.id();
}

void Offloader::unlink(const TransportEntry& entry) {
  const Offloaded& known = *entry.offloaded;
  entry.state.activity()->is_below.store(false, std::memory_order_relaxed);
  const auto forget = [&](TransportId receiver) {
    const auto [first, last] = feeding_.equal_range(receiver.slot);
    const auto own =
        std::find_if(first, last, [&](const auto& one) { return one.second == entry.state.id(); });
    if (own != last) feeding_.erase(own);
  };
  for (const Offloaded::Receiver& each : known.receivers) forget(each.via);
  for (const TransportId each : known.distracted) forget(each);
  sampled_.erase(known.flow.local);
  if (known.flow.sampling > Sampling::kSparse) --dense_;
}

void Offloader::withdraw_all(TransportEntry& entry) { withdraw(around(entry)); }

void Offloader::absorb(TransportEntry& entry, const OffloadState& state) {
  Offloaded& known = *entry.offloaded;
  const SentBelow done = entry.state.absorb(state, known.seen);
  bump(totals_.packets, done.packets);
  bump(totals_.bytes, done.bytes);
  bump(totals_.offloaded_packets, done.packets);
  bump(totals_.offloaded_bytes, done.bytes);
  InterfaceTotals& interface = interface_totals(totals_, entry.state.plan());
  bump(interface.ingress.packets, done.packets);
  bump(interface.ingress.bytes, done.bytes);
  bump(totals_.other_type_packets, state.other_types - known.seen.other_types);
  count_drops(totals_, DropReason::kForeignSource, state.foreign - known.seen.foreign);
  count_drops(totals_, DropReason::kRateLimited, state.rate_limited - known.seen.rate_limited);
  bump(interface.ingress.errors,
       state.foreign - known.seen.foreign + state.rate_limited - known.seen.rate_limited);
  if (done.packets != 0) {
    const auto packets = static_cast<std::uint32_t>(done.packets);
    for (const DropReason refusal : known.refusals) {
      // That one is of those who hear the prompt.
      if (refusal != DropReason::kPromptPlaying) entry.state.count_arriving(refusal, packets);
      count_drops(totals_, refusal, done.packets);
      bump(interface.ingress.errors, done.packets);
    }
    for (const TransportId each : known.distracted) {
      if (TransportEntry* out = table_.find(each))
        out->state.count_leaving(DropReason::kPromptPlaying, packets, done.stream->last_packet);
    }
  }
  if (state.unsampled != known.seen.unsampled) {
    for (PacketTap* tap : entry.taps) tap->on_lost(entry.state.id(), state.unsampled - known.seen.unsampled);
  }
  known.seen = state;
  for (const Offloaded::Receiver& each : known.receivers) {
    TransportEntry* out = table_.find(each.via);
    if (out == nullptr) continue;
    out->state.on_sent_below(done, each.to);
    InterfaceTotals& left_by = interface_totals(totals_, out->state.plan());
    bump(left_by.egress.packets, done.packets);
    bump(left_by.egress.bytes, done.bytes);
  }
}

void Offloader::read(const std::vector<TransportId>& ids) {
  std::vector<OffloadReading> readings;
  readings.reserve(ids.size());
  for (const TransportId id : ids) readings.push_back({table_.find(id)->offloaded->flow.local, false, {}});
  offload_->read(readings);
  for (std::size_t i = 0; i < readings.size(); ++i) {
    if (readings[i].found) absorb(*table_.find(ids[i]), readings[i].state);
  }
}

void Offloader::refresh(TransportEntry& entry) {
  if (const auto ids = around(entry); !ids.empty()) read(ids);
}

void Offloader::collect() {
  if (sampled_.empty()) return;
  offload_->collect([this](const OffloadSample& sample) {
    const auto known = sampled_.find(sample.local);
    TransportEntry* entry = known == sampled_.end() ? nullptr : table_.find(known->second);
    if (entry == nullptr) return;
    entry->state.on_sample(sample.datagram, sample.received_at);
    const Offloaded* flow = entry->offloaded.get();
    const bool is_sparse = flow != nullptr && flow->flow.sampling == Sampling::kSparse;
    const DropReason outcome = flow == nullptr || !flow->receivers.empty() || flow->refusals.empty()
                                   ? DropReason::kNone
                                   : flow->refusals.front();
    if (!is_sparse && flight_mode_.load(std::memory_order_relaxed) == FlightMode::kAll)
      entry->state.record_flight(Component::kRtp, sample.from, sample.datagram, sample.size, outcome, true,
                                 sample.received_at);
    const TapPacket seen{.transport = entry->state.id(),
                         .media = entry->state.plan().sources.front().media,
                         .from = sample.from,
                         .to = {},
                         .datagram = sample.datagram,
                         .size = sample.size,
                         .received_at = sample.received_at,
                         .worker = worker_};
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
    const TransportEntry* source = table_.find(id);
    if (source == nullptr || !source->offloaded || source->offloaded->turn == turn_) return;
    source->offloaded->turn = turn_;
    asked.push_back(id);
  };
  for (std::size_t i = 0; i < count; ++i) {
    next_read_ = (next_read_ + 1) % flows_.size();
    const TransportEntry& entry = *table_.find(flows_[next_read_]);
    // With what its party is sent, so that both are of one moment. Of many flows it may have been read so as
    // one of those already.
    const bool is_due = now - entry.state.marked_at() >= kMarkAgain;
    if (is_due) {
      for (const TransportId id : around(entry)) ask(id);
    } else if (count == 1) {
      ask(entry.state.id());
    }
  }
  read(asked);
  mark(asked, now);
}

void Offloader::mark(const std::vector<TransportId>& read, Instant now) {
  const auto mark_one = [&](TransportEntry& entry) {
    if (now - entry.state.marked_at() < kMarkAgain) return;
    const auto was_read = [&](TransportId id) {
      const TransportEntry* source = table_.find(id);
      return source == nullptr || !source->offloaded || source->offloaded->turn == turn_;
    };
    if (std::ranges::all_of(around(entry), was_read)) entry.state.mark(now);
  };
  for (const TransportId id : read) {
    TransportEntry* entry = table_.find(id);
    if (entry == nullptr || !entry->offloaded) continue;
    mark_one(*entry);
    for (const Offloaded::Receiver& each : entry->offloaded->receivers) {
      if (TransportEntry* out = table_.find(each.via)) mark_one(*out);
    }
    for (const TransportId each : entry->offloaded->distracted) {
      if (TransportEntry* out = table_.find(each)) mark_one(*out);
    }
  }
}

}  // namespace ferry
