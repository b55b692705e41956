#include "relay/worker/offloader.hpp"

#include "relay/core/classify.hpp"

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr Duration kAskAgain = 20ms;         // user space has to forward it for now
constexpr Duration kOfferAgain = 50ms;       // a packet needed user space
constexpr Duration kOfferAfterRefusal = 5s;  // the kernel would not have it

}  // namespace

Offloader::Offloader(std::unique_ptr<FlowOffload> offload, PacketIo& io, TransportTable& table,
                     WorkerTotals& totals)
    : offload_(std::move(offload)), io_(io), table_(table), totals_(totals) {}

std::optional<Offloader::Wanted> Offloader::wanted(const TransportEntry& entry, Ssrc ssrc) const {
  if (!entry.taps.empty() || entry.state.plan().sources.size() != 1) return std::nullopt;
  const SourcePlan& source = entry.state.plan().sources.front();
  if (source.sinks.size() > 1) return std::nullopt;
  Wanted wanted;
  const TransportEntry* out = nullptr;
  Endpoint hop;
  if (source.sinks.empty()) {
    wanted.refusal = DropReason::kNoSink;
  } else {
    const Sink& sink = source.sinks.front();
    if (sink.silenced || sink.masked_extensions != 0) return std::nullopt;
    wanted.refusal = refuses(sink, nullptr);
    wanted.out = sink.via;
    wanted.to = sink.to;
    out = table_.find(sink.via);
    if (out == nullptr) return std::nullopt;
    hop = out->state.lasting_hop();
    if (wanted.refusal == DropReason::kNone && !hop.is_set()) return std::nullopt;
  }
  auto lent = entry.state.lend(ssrc);
  if (!lent) return std::nullopt;
  wanted.flow = std::move(lent->first);
  wanted.state = lent->second;
  wanted.flow.forwards = wanted.refusal == DropReason::kNone;
  wanted.flow.local = io_.local_of(entry.ports[0]);
  if (!wanted.flow.local.is_set()) return std::nullopt;
  if (!wanted.flow.forwards) return wanted;
  wanted.flow.out_local = io_.local_of(out->ports[0]);
  if (!wanted.flow.out_local.is_set()) return std::nullopt;
  wanted.flow.out_peer = hop;
  wanted.flow.tos = out->state.plan().tos;
  return wanted;
}

void Offloader::offer(TransportEntry& entry, Ssrc ssrc, Instant now) {
  if (entry.offloaded || now < entry.offer_after) return;
  auto flow = wanted(entry, ssrc);
  if (!flow) {
    entry.offer_after = now + kAskAgain;
    return;
  }
  const OffloadAnswer answer = offload_->install(flow->flow, flow->state);
  if (answer != OffloadAnswer::kTaken) {
    entry.offer_after = now + (answer == OffloadAnswer::kLater ? kAskAgain : kOfferAfterRefusal);
    return;
  }
  const TransportId id = entry.state.id();
  entry.offloaded = std::make_unique<Offloaded>(
      Offloaded{std::move(flow->flow), flow->state, flow->refusal, flow->out, flow->to, flows_.size()});
  flows_.push_back(id);
  feeding_.emplace(flow->out.slot, id);
  totals_.offloaded_flows.store(flows_.size(), std::memory_order_relaxed);
}

void Offloader::before_judgement(TransportEntry& entry, const Endpoint& from, Bytes datagram, Instant now) {
  if (!entry.offloaded) return;
  if (classify(datagram) != DatagramClass::kRtp) return;
  const bool from_peer = from == entry.offloaded->flow.peer;
  if (!from_peer && !entry.state.latch(Component::kRtp).may_move_to(from, now)) return;
  const SourcePlan& source = entry.state.plan().sources.front();
  if (!source.payloads.empty() && source.payload_of(datagram) == nullptr) return;
  withdraw(entry);
  entry.offer_after = now + kOfferAgain;
}

void Offloader::before_plan(TransportEntry& entry, const TransportPlan& next) {
  refresh(entry);
  if (!entry.offloaded) return;
  const TransportPlan& plan = entry.state.plan();
  const bool same_stream = next.learning_epoch == plan.learning_epoch && next.sources.size() == 1 &&
                           next.sources.front().media == plan.sources.front().media;
  // What is counted for the old peer must not count for the new one.
  if (!same_stream) withdraw(entry);
}

void Offloader::reconsider(TransportEntry& entry) {
  entry.offer_after = {};
  follow(entry);
  for (const TransportId id : feeding(entry.state.id())) {
    if (TransportEntry* source = table_.find(id)) follow(*source);
  }
}

void Offloader::follow(TransportEntry& entry) {
  if (!entry.offloaded) return;
  refresh(entry);
  auto now = wanted(entry, entry.offloaded->flow.ssrc);
  Offloaded& known = *entry.offloaded;
  if (!now || (now->flow != known.flow && offload_->update(now->flow) != OffloadAnswer::kTaken)) {
    withdraw(entry);
    return;
  }
  known.flow = std::move(now->flow);
  known.refusal = now->refusal;
  known.to = now->to;
  if (known.out == now->out) return;
  unlink(entry);
  known.out = now->out;
  feeding_.emplace(known.out.slot, entry.state.id());
}

std::vector<TransportId> Offloader::feeding(TransportId out) const {
  std::vector<TransportId> ids;
  const auto [first, last] = feeding_.equal_range(out.slot);
  for (auto i = first; i != last; ++i) ids.push_back(i->second);
  return ids;
}

void Offloader::withdraw(TransportEntry& entry) {
  if (!entry.offloaded) return;
  OffloadState last;
  if (offload_->remove(entry.offloaded->flow.local, last)) absorb(entry, last);
  forget(entry);
}

void Offloader::unlink(const TransportEntry& entry) {
  const auto [first, last] = feeding_.equal_range(entry.offloaded->out.slot);
  const auto own =
      std::find_if(first, last, [&](const auto& each) { return each.second == entry.state.id(); });
  if (own != last) feeding_.erase(own);
}

void Offloader::forget(TransportEntry& entry) {
  unlink(entry);
  const std::size_t place = entry.offloaded->place;
  flows_[place] = flows_.back();
  if (TransportEntry* moved = table_.find(flows_[place]); moved != nullptr && moved->offloaded)
    moved->offloaded->place = place;
  flows_.pop_back();
  entry.offloaded.reset();
  totals_.offloaded_flows.store(flows_.size(), std::memory_order_relaxed);
}

void Offloader::withdraw_all(TransportEntry& entry) {
  withdraw(entry);
  for (const TransportId id : feeding(entry.state.id())) {
    if (TransportEntry* source = table_.find(id)) withdraw(*source);
  }
}

void Offloader::absorb(TransportEntry& entry, const OffloadState& state) {
  Offloaded& known = *entry.offloaded;
  const Transport::Absorbed done = entry.state.absorb(state, known.seen);
  bump(totals_.packets, done.packets);
  bump(totals_.bytes, done.bytes);
  bump(totals_.offloaded_packets, done.packets);
  bump(totals_.offloaded_bytes, done.bytes);
  InterfaceTotals& interface = interface_totals(totals_, entry.state.plan());
  bump(interface.ingress.packets, done.packets);
  bump(interface.ingress.bytes, done.bytes);
  count_drops(totals_, DropReason::kForeignSource, state.foreign - known.seen.foreign);
  count_drops(totals_, DropReason::kRateLimited, state.rate_limited - known.seen.rate_limited);
  bump(interface.ingress.errors,
       state.foreign - known.seen.foreign + state.rate_limited - known.seen.rate_limited);
  const std::uint32_t refused = state.refused - known.seen.refused;
  if (refused != 0) {
    entry.state.count_drop(known.refusal, refused);
    count_drops(totals_, known.refusal, refused);
    bump(interface.ingress.errors, refused);
  }
  known.seen = state;
  if (known.refusal != DropReason::kNone) return;
  TransportEntry* out = table_.find(known.out);
  if (out == nullptr) return;
  out->state.on_sent_below(done, known.to);
  InterfaceTotals& left_by = interface_totals(totals_, out->state.plan());
  bump(left_by.egress.packets, done.packets);
  bump(left_by.egress.bytes, done.bytes);
}

void Offloader::refresh(TransportEntry& entry) {
  const auto read = [this](TransportEntry& source) {
    if (!source.offloaded) return;
    OffloadReading reading{source.offloaded->flow.local, false, {}};
    offload_->read({&reading, 1});
    if (reading.found) absorb(source, reading.state);
  };
  read(entry);
  for (const TransportId id : feeding(entry.state.id())) {
    if (TransportEntry* source = table_.find(id)) read(*source);
  }
}

void Offloader::turn(Instant now) {
  if (flows_.empty() || now - last_turn_ < kTurn) return;
  last_turn_ = now;
  const std::size_t count = (flows_.size() + kTurnsPerRound - 1) / kTurnsPerRound;
  readings_.clear();
  std::vector<TransportId> asked;
  for (std::size_t i = 0; i < count; ++i) {
    next_read_ = (next_read_ + 1) % flows_.size();
    const TransportEntry* entry = table_.find(flows_[next_read_]);
    if (entry == nullptr || !entry->offloaded) continue;
    readings_.push_back({entry->offloaded->flow.local, false, {}});
    asked.push_back(flows_[next_read_]);
  }
  offload_->read(readings_);
  for (std::size_t i = 0; i < readings_.size(); ++i) {
    if (readings_[i].found) absorb(*table_.find(asked[i]), readings_[i].state);
  }
}

}  // namespace ferry
