#include "relay/worker/worker.hpp"

#include "relay/base/ensure.hpp"
#include "relay/core/classify.hpp"
#include "relay/core/rtp/rtp.hpp"
#include "relay/worker/fetch_ahead.hpp"

#include <algorithm>
#include <new>

#include <unistd.h>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// Octets of a packet that its verdict is told with.
constexpr std::size_t kWitnessed = 64;

void overwrite_payload(MutableBytes rtp, std::uint8_t octet) noexcept {
  const auto view = parse_rtp(rtp);
  if (!view) return;
  std::ranges::fill(rtp.subspan(view->header_size, view->payload.size()), static_cast<std::byte>(octet));
}

void count_quality(QualityTotals& totals, const Transport::Report& report) noexcept {
  totals.mos.add(static_cast<double>(report.sample.mos_times_10) / 10.0);
  totals.jitter.add(static_cast<double>(report.sample.jitter_ms));
  totals.round_trip.add(static_cast<double>(report.sample.round_trip_us));
  totals.round_trip_leg.add(static_cast<double>(report.sample.round_trip_leg_us));
  totals.loss.add(static_cast<double>(report.sample.loss_percent));
  totals.jitter_measured.add(static_cast<double>(report.jitter_measured.count()) / 1e6);
}

}  // namespace

Worker::Worker(std::unique_ptr<PacketIo> io, std::shared_ptr<const OwnMedia> own,
               std::unique_ptr<FlowOffload> offload)
    : io_(std::move(io)), own_(std::move(own)) {
  if (offload)
    offloader_ = std::make_unique<Offloader>(std::move(offload), *io_, table_, totals_, flight_mode_);
}

Worker::~Worker() {
  // Held packets go back to the engine before it dies.
  table_.clear();
  for (auto& packet : received_) packet.reset();
  for (auto& packet : outgoing_) packet.reset();
}

bool Worker::post(WorkerCommand&& command) {
  if (!commands_.push(std::move(command))) return false;
  ++posted_;
  return true;
}

void Worker::wait_completed() const noexcept {
  std::uint64_t done = completed_.load(std::memory_order_acquire);
  while (done < posted_) {
    completed_.wait(done, std::memory_order_acquire);
    done = completed_.load(std::memory_order_acquire);
  }
}

void Worker::run(const std::atomic<bool>& stop) noexcept {
  totals_.thread_id.store(gettid(), std::memory_order_relaxed);
  io_->enter_thread();
  while (!stop.load(std::memory_order_relaxed)) {
    Instant latest = waiting_.empty() ? io_->now() + 1s : io_->now();
    if (!turns_.empty()) latest = std::min(latest, turns_.top().at);
    io_->wait(offloader_ ? offloader_->next_turn(latest) : latest);
    bump(totals_.wakeups);
    run_once();
  }
  run_commands();
  io_->leave_thread();
}

void Worker::run_until_idle() noexcept {
  run_commands();
  while (run_once() > 0 || !waiting_.empty()) {
  }
}

void Worker::run_commands() noexcept {
  std::uint64_t done = 0;
  for (WorkerCommand command; commands_.pop(command);) {
    std::visit([this](auto& c) { execute(c); }, command);
    ++done;
  }
  if (done == 0) return;
  completed_.fetch_add(done, std::memory_order_release);
  completed_.notify_all();
}

std::size_t Worker::run_once() noexcept {
  run_commands();
  const std::size_t count = io_->receive(received_);
  if (count > 0) {
    const Instant now = io_->now();
    if (batching_ != nullptr) open_batch(count, now);
    for (std::size_t i = 0; i < count; ++i) {
      if (batching_ == nullptr) fetch_ahead(table_, std::span(received_).first(count).subspan(i));
      const bool is_opened = batching_ != nullptr && opened_[i].origin.key != 0;
      on_packet(std::move(received_[i]), now, is_opened ? &opened_[i] : nullptr);
    }
    flush();
  }
  note_problems(io_->now());
  handshakes_ = 0;
  if (!waiting_.empty()) run_handshakes(io_->now());
  if (!turns_.empty()) play(io_->now());
  if (offloader_) {
    offloader_->install_offered(io_->now());
    offloader_->turn(io_->now());
  }
  const PacketIo::Stock stock = io_->stock();
  totals_.buffers.store(stock.total, std::memory_order_relaxed);
  totals_.buffers_free.store(stock.free, std::memory_order_relaxed);
  return count;
}

void Worker::place(TransportId id, std::unique_ptr<TransportEntry> entry) {
  for (std::size_t local = 0; local < entry->locals(); ++local) serve(*entry, id, local);
  note_backend(entry->state.plan());
  if (entry->hears_prompt()) turns_.push({entry->output->player->next, id, entry->output->player->number});
  TransportEntry& placed = *entry;
  table_.put(id, std::move(entry));
  totals_.transports.store(table_.size(), std::memory_order_relaxed);
  if (placed.state.plan().dtls || placed.state.plan().ice) drive(placed, io_->now());
  pass_events(placed, io_->now());
}

void Worker::serve(TransportEntry& entry, TransportId id, std::size_t local) {
  for (const auto component : {Component::kRtp, Component::kRtcp}) {
    const LocalPort which{component, static_cast<std::uint8_t>(local)};
    const PortHandle port = entry.port(which);
    if (!port.is_open() || io_->attach(port, make_cookie(id, which))) continue;
    bump(totals_.unserved_ports);
    if (component == Component::kRtp && local == 0)
      entry.state.activity()->is_unserved.store(true, std::memory_order_relaxed);
    entry.state.note(TransportEvent::kPortNotServed);
  }
}

void Worker::execute(AddPorts& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr || entry->locals() >= kMaxLocals) return;
  entry->more_ports.push_back(command.ports);
  serve(*entry, command.id, entry->locals() - 1);
}

std::unique_ptr<TransportEntry> Worker::take(TransportId id) {
  TransportEntry* entry = table_.find(id);
  if (entry == nullptr) return nullptr;
  if (offloader_) offloader_->withdraw_all(*entry);
  flush();  // nothing queued may point to it afterwards
  for (std::size_t local = 0; local < entry->locals(); ++local) {
    for (const Component component : {Component::kRtp, Component::kRtcp}) {
      const PortHandle port = entry->port({component, static_cast<std::uint8_t>(local)});
      if (port.is_open()) io_->detach(port);
    }
  }
  entry->held.reset();  // buffers belong to this worker's engine
  entry->state.leave_worker();
  entry->due = {};
  auto taken = table_.take(id);
  totals_.transports.store(table_.size(), std::memory_order_relaxed);
  return taken;
}

void Worker::execute(InstallTransport& command) {
  auto entry = std::make_unique<TransportEntry>(command.id, std::move(command.plan),
                                                std::move(command.activity), io_->now(), command.barred);
  entry->ports = command.ports;
  entry->more_ports = std::move(command.more_ports);
  if (command.snapshot) entry->state.restore(*command.snapshot);
  place(command.id, std::move(entry));
}

void Worker::execute(UpdatePlan& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  if (offloader_) offloader_->before_plan(*entry, *command.plan);
  entry->state.set_plan(std::move(command.plan), io_->now());
  note_backend(entry->state.plan());
  if (entry->state.plan().dtls || entry->state.plan().ice) drive(*entry, io_->now());
  if (offloader_) offloader_->reconsider(*entry);
}

void Worker::execute(RemoveTransport& command) {
  const auto entry = take(command.id);
  if (entry) count_ended(*entry);
  if (entry && command.last != nullptr) *command.last = entry->state.snapshot();
  if (entry && command.flight != nullptr) *command.flight = entry->state.take_flight();
  if (entry && command.figures != nullptr) *command.figures = figures_of(*entry);
  if (entry && entry->hears_prompt()) tell({command.id, TransportEvent::kPromptEnded, {}});
  if (!entry || command.last_peer == nullptr) return;
  const Endpoint& learned = entry->state.latch(Component::kRtp).learned();
  if (learned.is_set()) *command.last_peer = learned;
}

void Worker::execute(ReadTransport& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  if (offloader_) offloader_->refresh(*entry);
  *command.into = entry->state.snapshot();
}

TransportFigures Worker::figures_of(TransportEntry& entry) {
  if (offloader_) offloader_->refresh(entry);
  TransportFigures figures = entry.state.figures();
  if (entry.output) {
    const OutputStage& output = *entry.output;
    figures.played = output.played;
    figures.joined = output.repacketized_in - std::min(output.repacketized_in, output.repacketized_out);
  }
  return figures;
}

void Worker::execute(ReadFigures& command) {
  if (TransportEntry* entry = table_.find(command.id)) *command.into = figures_of(*entry);
}

void Worker::execute(ReadFlight& command) {
  const TransportEntry* entry = table_.find(command.id);
  if (entry != nullptr && entry->state.flight() != nullptr) *command.into = *entry->state.flight();
}

void Worker::execute(ExtractTransport& command) { *command.into = take(command.id); }

void Worker::execute(AdoptTransport& command) { place(command.id, std::move(command.entry)); }

void Worker::execute(AttachTap& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  entry->taps.push_back(command.tap);
  if (offloader_) offloader_->reconsider(*entry);
}

void Worker::execute(DetachTap& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  // It sees what was forwarded until now.
  if (offloader_) offloader_->collect();
  std::erase(entry->taps, command.tap);
  if (offloader_) offloader_->reconsider(*entry);
}

void Worker::execute(SendProbe& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr || entry->state.plan().sources.empty()) return;
  const SourcePlan& source = entry->state.plan().sources.front();
  const auto hop = entry->state.next_hop(Component::kRtp, io_->now());
  PacketBuffer packet = hop.reason == DropReason::kNone ? io_->allocate() : PacketBuffer{};
  if (!packet) return;
  const std::uint8_t type = source.payloads.empty() ? 0 : source.payloads.front().type.value;
  packet.set_data_size(kRtpFixedHeaderSize);
  const MutableBytes data = packet.data();
  std::ranges::fill(data, std::byte{0});
  data[0] = std::byte{0x80};
  data[1] = static_cast<std::byte>(type);
  write_u16(data, 2, command.sequence.value);
  write_u32(data, 8, command.ssrc.value);
  queue_send(*entry, hop, false, source.media, std::move(packet), nullptr, io_->now());
  flush();
}

void Worker::execute(StartPrompt& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  OutputStage& output = entry->made_output();
  if (!output.own_stream)
    output.own_stream.emplace(
        OwnStream{OutputTimeline(command.ssrc, command.sequence, command.timestamp), {}});
  if (output.player) tell({entry->state.id(), TransportEvent::kPromptEnded, {}});
  output.player = std::make_unique<Player>();
  Player& player = *output.player;
  player.prompt = std::move(command.prompt);
  player.rounds = command.rounds;
  player.number = next_player_++;
  player.next = io_->now();
  turns_.push({player.next, command.id, player.number});
  if (offloader_) offloader_->reconsider(*entry);
}

void Worker::execute(StopPrompt& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry != nullptr && entry->hears_prompt()) end_prompt(*entry);
}

void Worker::end_prompt(TransportEntry& entry) noexcept {
  entry.output->player.reset();
  tell({entry.state.id(), TransportEvent::kPromptEnded, {}});
  if (offloader_) offloader_->reconsider(entry);
}

void Worker::play(Instant now) noexcept {
  while (!turns_.empty() && turns_.top().at <= now) {
    const Turn turn = turns_.top();
    turns_.pop();
    TransportEntry* entry = table_.find(turn.id);
    if (turn.number == 0) {
      if (entry == nullptr || entry->due != turn.at) continue;  // an earlier one took its place
      entry->due = {};
      drive(*entry, now);
      continue;
    }
    if (entry == nullptr || !entry->hears_prompt() || entry->output->player->number != turn.number) continue;
    play_next(*entry, now);
    if (entry->hears_prompt()) turns_.push({entry->output->player->next, turn.id, turn.number});
  }
  flush();
}

void Worker::play_next(TransportEntry& entry, Instant now) noexcept {
  constexpr Duration kLatest = 200ms;  // behind: what was missed is not sent all at once
  OutputStage& output = *entry.output;
  Player& player = *output.player;
  const Prompt& prompt = *player.prompt;
  player.next = now - player.next > kLatest ? now + prompt.packet_time : player.next + prompt.packet_time;
  const auto hop = entry.state.next_hop(Component::kRtp, now);
  if (hop.reason != DropReason::kNone) return;  // it waits for the party's address
  PacketBuffer packet = io_->allocate();
  if (!packet) {
    drop(entry, DropReason::kNoBuffer);
    return;
  }
  OwnStream& stream = *output.own_stream;
  std::uint32_t units = prompt.units;
  if (player.is_first && stream.last != Instant{}) {
    units = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(now - stream.last).count() * kFrameClockPerMs);
  }
  const TimelinePosition at = stream.timeline.generate(units, player.is_first);
  stream.last = now;
  player.is_first = false;
  packet.set_data_size(kRtpFixedHeaderSize + prompt.packet_octets);
  write_rtp_header(packet.data(), prompt.type, at.marker, at.sequence, at.timestamp, at.ssrc);
  std::copy_n(prompt.payloads.begin() + static_cast<std::ptrdiff_t>(player.position), prompt.packet_octets,
              packet.data().begin() + kRtpFixedHeaderSize);
  bump(totals_.played_packets);
  ++output.played;
  queue_send(entry, hop, false, entry.state.plan().sources.front().media, std::move(packet), nullptr, now);
  player.position += prompt.packet_octets;
  if (player.position < prompt.payloads.size()) return;
  player.position = 0;
  if (player.rounds == Prompt::kForEver || --player.rounds > 0) return;
  end_prompt(entry);
}

void Worker::repacketize(TransportEntry& entry, TransportEntry& out, const Sink& sink,
                         const Transport::NextHop& hop, Bytes datagram, Instant now) noexcept {
  const auto rtp = parse_rtp(datagram);
  if (!rtp) {
    drop(entry, DropReason::kMalformedRtp);
    return;
  }
  OutputStage& output = out.made_output();
  if (!output.repacketizer) {
    output.repacketizer = std::make_unique<Repacketizer>();
    if (offloader_) offloader_->reconsider(out);
  }
  bump(totals_.repacketizer_in);
  ++output.repacketized_in;
  const bool in_time = output.repacketizer->take(*rtp, sink.ptime_ms, [&](const Repacketizer::Out& next) {
    PacketBuffer packet = io_->allocate();
    if (!packet) {
      drop(out, DropReason::kNoBuffer);
      return;
    }
    packet.set_data_size(kRtpFixedHeaderSize + next.payload.size());
    const TimelinePosition& at = next.position;
    write_rtp_header(packet.data(), next.type, at.marker, at.sequence, at.timestamp, at.ssrc);
    std::ranges::copy(next.payload, packet.data().begin() + kRtpFixedHeaderSize);
    bump(totals_.repacketizer_out);
    ++output.repacketized_out;
    queue_send(out, hop, false, sink.to, std::move(packet), nullptr, now);
  });
  if (!in_time) drop(out, DropReason::kTooLate);
}

void Worker::count_ended(const TransportEntry& entry) noexcept {
  InterfaceTotals& totals = interface_of(entry);
  entry.state.for_each_stream([&](const SsrcCounters& stream) {
    bump(totals.lost, stream.lost());
    bump(totals.duplicates, stream.duplicates);
    bump(totals.reordered, stream.reordered);
    bump(totals.resets, stream.resets);
  });
}

void Worker::drop(TransportEntry& entry, DropReason reason) noexcept {
  entry.state.count_drop(reason);
  bump(interface_of(entry).ingress.errors);
  count_drops(totals_, reason);
}

void Worker::open_batch(std::size_t count, Instant now) noexcept {
  std::size_t works = 0;
  for (std::size_t i = 0; i < count; ++i) {
    fetch_ahead(table_, std::span(received_).first(count).subspan(i));
    opened_[i] = {};
    const PacketBuffer& packet = received_[i];
    const TransportEntry* entry = table_.at(slot_of(packet->cookie));
    if (entry == nullptr || packet->truncated || !is_batched(entry->state.plan())) continue;
    const auto component = port_of(packet->cookie).component;
    SrtpOpened opened;
    if (!entry->state.prepare_unprotect(component, packet->remote, packet.data(), now, work_[works], opened))
      continue;
    work_of_[works++] = i;
    opened_[i] = opened;
  }
  batching_->open_rtp({work_.data(), works});
  for (std::size_t n = 0; n < works; ++n) {
    SrtpOpened& opened = opened_[work_of_[n]];
    if (work_[n].done)
      opened.size = work_[n].size;
    else
      opened = {};  // another index or key, or a forgery: one by one
  }
}

void Worker::seal_batch() noexcept {
  if (work_count_ == 0) return;
  batching_->seal_rtp({work_.data(), work_count_});
  for (std::size_t n = 0; n < work_count_; ++n) {
    // Cannot happen: there was room. If it did, nothing plain would leave.
    if (!FERRY_ENSURE(work_[n].done)) std::ranges::fill(work_[n].space.first(work_[n].size), std::byte{0});
  }
  work_count_ = 0;
}

void Worker::on_packet(PacketBuffer packet, Instant now, const SrtpOpened* opened) noexcept {
  const auto slot = slot_of(packet->cookie);
  const auto component = port_of(packet->cookie).component;
  // Cannot fail: a port is detached before its transport leaves the table.
  TransportEntry* found = table_.at(slot);
  if (!FERRY_ENSURE(found != nullptr)) return;
  TransportEntry& entry = *found;
  if (packet->truncated) {
    drop(entry, DropReason::kTooLong);
    return;
  }
  packet->srtp_key = 0;
  if (entry.state.has_handshake(classify(packet.data()))) {
    on_handshake(entry, port_of(packet->cookie), packet->remote, packet.data(), now);
    return;
  }
  if (entry.state.is_protected()) {
    std::size_t size = 0;
    SrtpOrigin origin;
    const DropReason reason =
        entry.state.unprotect(component, packet->remote, packet.data(), size, origin, now, *own_, opened);
    if (reason != DropReason::kNone) {
      count_drops(totals_, reason);
      bump(interface_of(entry).ingress.errors);
      entry.state.note_refusal(component, packet->remote, packet.data(), reason, now);
      witness(entry, component, packet->remote, packet.data(), packet.data().size(), false, reason, now);
      pass_events(entry, now);
      return;
    }
    packet->length = static_cast<std::uint32_t>(size);
    packet->srtp_key = origin.key;
    packet->srtp_index = origin.index;
  }
  if (offloader_ && component == Component::kRtp) {
    offloader_->before_judgement(entry, packet->remote, packet.data(), now);
    const Endpoint peer = entry.state.latch(Component::kRtp).learned();
    forwarded_ssrc_.reset();
    judge(entry, component, std::move(packet), now, 0);
    if (peer != entry.state.latch(Component::kRtp).learned()) offloader_->reconsider(entry);
    if (forwarded_ssrc_) offloader_->offer(entry, *forwarded_ssrc_, now);
  } else {
    judge(entry, component, std::move(packet), now, 0);
  }
  pass_events(entry, now);
}

namespace {

/// Handshakes leave as packets of their own do, but for protection and statistics of media.
class FromEntry final : public PortOutput {
 public:
  FromEntry(PacketIo& io, const TransportEntry& entry) : io_(io), entry_(entry) {}
  void send(LocalPort via, const Endpoint& to, Bytes datagram) noexcept override {
    const PortHandle port = entry_.port(via);
    PacketBuffer packet = port.is_open() ? io_.allocate() : PacketBuffer{};
    if (!packet || datagram.size() > packet.space().size()) return;
    std::ranges::copy(datagram, packet.space().begin());
    packet.set_data_size(datagram.size());
    packet->remote = to;
    packet->via = port;
    packet->to_locked_peer = false;
    SendError error{};  // whoever waits for an answer asks again
    io_.send({&packet, 1}, {&error, 1});
  }

 private:
  PacketIo& io_;
  const TransportEntry& entry_;
};

}  // namespace

void Worker::on_handshake(TransportEntry& entry, LocalPort at, const Endpoint& from, Bytes datagram,
                          Instant now) noexcept {
  FromEntry out(*io_, entry);
  DropReason reason = DropReason::kNone;
  try {
    // Whoever may not speak costs next to nothing, and does not make the others wait.
    if (classify(datagram) == DatagramClass::kDtls && entry.state.may_speak(at, from, *own_)) {
      if (handshakes_ >= kHandshakesATurn) {
        if (waiting_.size() >= kMostWaiting) {
          drop(entry, DropReason::kNoBuffer);  // the peer sends again
          return;
        }
        waiting_.push_back({entry.state.id(), at, from, {datagram.begin(), datagram.end()}});
        return;
      }
      ++handshakes_;
    }
    reason = entry.state.on_handshake(at, from, datagram, {dtls_budget_, out, now, *own_});
  } catch (const std::bad_alloc&) {
    drop(entry, DropReason::kNoBuffer);  // the peer sends again (C-12)
    return;
  }
  if (reason != DropReason::kNone) {
    count_drops(totals_, reason);
    bump(interface_of(entry).ingress.errors);
    entry.state.note_refusal(at.component, from, datagram, reason, now);
  }
  witness(entry, at.component, from, datagram, datagram.size(), false, reason, now);
  if (reason == DropReason::kNone) drive(entry, now);
  pass_events(entry, now);
}

void Worker::run_handshakes(Instant now) noexcept {
  while (!waiting_.empty() && handshakes_ < kHandshakesATurn) {
    const Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    if (TransportEntry* entry = table_.find(next.id))
      on_handshake(*entry, next.at, next.from, next.datagram, now);
  }
}

void Worker::drive(TransportEntry& entry, Instant now) noexcept {
  constexpr Duration kAgain = 100ms;
  constexpr Duration kLeast = 1ms;
  FromEntry out(*io_, entry);
  std::optional<Instant> due;
  try {
    entry.state.drive({dtls_budget_, out, now, *own_});
    due = entry.state.due(now);
    pass_events(entry, now);
  } catch (const std::bad_alloc&) {
    due = now + kAgain;  // there may be memory then (C-12)
  }
  // One turn is waited for at a time; an earlier one comes before it. None is at once: `play` goes on until
  // there is none left.
  if (due) due = std::max(*due, now + kLeast);
  if (!due || (entry.due != Instant{} && entry.due <= *due)) return;
  entry.due = *due;
  turns_.push({*due, entry.state.id(), 0});
}

void Worker::judge(TransportEntry& entry, Component component, PacketBuffer packet, Instant now,
                   int depth) noexcept {
  const Verdict verdict = entry.state.on_datagram(component, packet->remote, packet.data(), now, *own_);
  switch (verdict.kind) {
    case Verdict::Kind::kForward: {
      // The packet leaves with whoever gets it.
      std::array<std::byte, kWitnessed> start;
      const Endpoint from = packet->remote;
      const std::size_t size = packet.data().size();
      const std::size_t kept = std::min(size, start.size());
      std::copy_n(packet.data().begin(), kept, start.begin());
      const DropReason outcome = forward(entry, component, verdict, std::move(packet), now);
      witness(entry, component, from, Bytes(start).first(kept), size, verdict.is_rtcp, outcome, now);
      return;
    }
    case Verdict::Kind::kDrop:
      count_drops(totals_, verdict.reason);
      bump(interface_of(entry).ingress.errors);
      entry.state.note_refusal(component, packet->remote, packet.data(), verdict.reason, now);
      witness(entry, component, packet->remote, packet.data(), packet.data().size(), verdict.is_rtcp,
              verdict.reason, now);
      return;
    case Verdict::Kind::kHold:
      hold(entry, verdict.slot, std::move(packet));
      return;
    case Verdict::Kind::kRelease: {
      // Cannot loop: a release locks the source or admits the SSRC, so the second judgement is another one.
      if (!FERRY_ENSURE(depth < 4)) return;
      if (entry.held && (*entry.held)[verdict.slot].packet) {
        judge(entry, component, std::move((*entry.held)[verdict.slot].packet), now, depth + 1);
      }
      judge(entry, component, std::move(packet), now, depth + 1);
      return;
    }
  }
}

void Worker::witness(TransportEntry& entry, Component component, const Endpoint& from, Bytes start,
                     std::size_t size, bool is_rtcp, DropReason reason, Instant now) noexcept {
  if (flight_mode_.load(std::memory_order_relaxed) != FlightMode::kOff)
    entry.state.record_flight(component, from, start, size, reason, false, now);
  if (entry.taps.empty()) return;
  const TapPacket seen{.transport = entry.state.id(),
                       .media = entry.state.plan().sources.front().media,
                       .is_rtcp = is_rtcp,
                       .port = component,
                       .from = from,
                       .to = {},
                       .datagram = start,
                       .size = size,
                       .received_at = now,
                       .worker = number_};
  for (PacketTap* tap : entry.taps) tap->on_judged(seen, reason);
}

void Worker::note_problems(Instant now) noexcept {
  std::array<PortProblem, 16> problems;
  for (std::size_t count = 0; (count = io_->take_problems(problems)) > 0;) {
    for (const PortProblem& each : std::span(problems).first(count)) {
      TransportEntry* entry = table_.at(slot_of(each.cookie));
      if (entry == nullptr) continue;
      bump(totals_.send_errors[static_cast<std::size_t>(each.error)]);
      entry->state.on_send_failed(port_of(each.cookie).component,
                                  {each.error, each.to, each.reporter, 1, now, now}, false);
    }
  }
}

void Worker::give_up(TransportEntry& entry, std::uint8_t slot) noexcept {
  const bool ssrc = slot >= Latch::kHoldSlots * 2;
  drop(entry, ssrc ? DropReason::kSsrcNotAdmitted : DropReason::kProbation);
  (*entry.held)[slot].packet.reset();
}

void Worker::hold(TransportEntry& entry, std::uint8_t slot, PacketBuffer packet) noexcept {
  if (!entry.held) entry.held = std::make_unique<std::array<TransportEntry::Held, Transport::kHoldSlots>>();
  if ((*entry.held)[slot].packet) give_up(entry, slot);
  HeldAt& place = held_[next_held_ % kMaxHeld];
  if (TransportEntry* oldest = table_.find(place.id); oldest != nullptr && oldest->held) {
    const auto& waiting = (*oldest->held)[place.slot];
    if (waiting.packet && waiting.serial == place.serial) give_up(*oldest, place.slot);
  }
  place = {entry.state.id(), slot, next_held_};
  (*entry.held)[slot] = {std::move(packet), next_held_++};
}

DropReason Worker::forward(TransportEntry& entry, Component arrived_at, const Verdict& verdict,
                           PacketBuffer packet, Instant now) noexcept {
  bool is_taken = false;
  DropReason last = DropReason::kNoSink;
  const auto refuse = [&](TransportEntry& where, DropReason reason) {
    drop(where, reason);
    last = reason;
  };
  bump(totals_.packets);
  bump(totals_.bytes, packet.data().size());
  InterfaceTotals::Direction& ingress = interface_of(entry).ingress;
  bump(ingress.packets);
  bump(ingress.bytes, packet.data().size());
  const SourcePlan& source = entry.state.plan().sources[verdict.source];
  if (!entry.taps.empty()) {
    const TapPacket seen{.transport = entry.state.id(),
                         .media = source.media,
                         .is_rtcp = verdict.is_rtcp,
                         .port = arrived_at,
                         .from = packet->remote,
                         .to = {},
                         .datagram = packet.data(),
                         .size = packet.data().size(),
                         .received_at = now,
                         .worker = number_};
    for (PacketTap* tap : entry.taps) {
      if (!tap->wants_egress()) tap->on_packet(seen);
    }
  }
  if (verdict.is_rtcp && !source.sinks.empty()) {
    if (const TransportEntry* far = table_.find(source.sinks.front().via)) {
      if (const auto report = entry.state.complete_report(far->state.round_trip(), now))
        count_quality(interface_of(entry).quality, *report);
    }
  }
  const Component component = verdict.is_rtcp ? Component::kRtcp : Component::kRtp;
  const PayloadEntry* payload = nullptr;
  if (!verdict.is_rtcp && (source.inspects_payload || source.has_events)) {
    payload = source.payload_of(packet.data());
    if (payload != nullptr && payload->is_event) {
      if (const auto dtmf = entry.state.dtmf_of(verdict.source, *payload, packet->remote, packet.data()))
        tell({entry.state.id(), TransportEvent::kDtmf, *dtmf});
    }
  }
  const bool is_rtp = !verdict.is_rtcp && packet.data().size() >= kRtpFixedHeaderSize &&
                      classify(packet.data()) == DatagramClass::kRtp;
  if (is_rtp) forwarded_ssrc_ = Ssrc{read_u32(packet.data(), 8)};
  const SrtpOrigin srtp_origin{packet->srtp_index, packet->srtp_key};
  std::size_t left = source.sinks.size();
  if (left == 0) refuse(entry, DropReason::kNoSink);
  for (const Sink& sink : source.sinks) {
    --left;
    const DropReason refused = verdict.is_rtcp ? DropReason::kNone : refuses(sink, payload);
    if (refused != DropReason::kNone) {
      refuse(entry, refused);
      continue;
    }
    TransportEntry* out = table_.find(sink.via);
    if (out == nullptr) {
      refuse(entry, DropReason::kNoSink);
      continue;
    }
    const auto hop = out->state.next_hop(component, now);
    if (hop.reason != DropReason::kNone) {
      refuse(*out, hop.reason);
      continue;
    }
    if (!verdict.is_rtcp && out->hears_prompt()) {
      refuse(entry, DropReason::kPromptPlaying);
      continue;
    }
    if (is_rtp && (sink.ptime_ms != 0 || out->is_repacketized())) {
      if (out->state.relays_key_of(entry.state)) {
        refuse(*out, DropReason::kSharedKey);
      } else {
        repacketize(entry, *out, sink, hop, packet.data(), now);
        is_taken = true;
      }
      continue;
    }
    PacketBuffer outgoing;
    if (left == 0) {                 // the last sink takes the packet itself
      outgoing = std::move(packet);  // NOLINT(bugprone-use-after-move)
    } else {
      outgoing = io_->allocate();
      if (!outgoing) {
        refuse(*out, DropReason::kNoBuffer);
        continue;
      }
      const MutableBytes data = packet.data();
      std::ranges::copy(data, outgoing.space().begin());
      outgoing.set_data_size(data.size());
      outgoing->srtp_key = srtp_origin.key;
      outgoing->srtp_index = srtp_origin.index;
    }
    const bool silences = sink.silenced && payload != nullptr && !payload->is_event && !verdict.is_rtcp;
    const bool blanks = sink.masked_extensions != 0 && !verdict.is_rtcp;
    if ((silences || blanks) && out->state.relays_key_of(entry.state)) {
      refuse(*out, DropReason::kSharedKey);
      continue;
    }
    if (silences) overwrite_payload(outgoing.data(), payload->silence);
    if (blanks) blank_extensions(outgoing.data(), sink.masked_extensions);
    queue_send(*out, hop, verdict.is_rtcp, sink.to, std::move(outgoing), &entry.state, now);
    is_taken = true;
  }
  return is_taken ? DropReason::kNone : last;
}

void Worker::queue_send(TransportEntry& out, const Transport::NextHop& hop, bool is_rtcp, MediaId to,
                        PacketBuffer packet, const Transport* source, Instant now) noexcept {
  const PortHandle port = out.port({hop.via, hop.local});
  if (!port.is_open()) {
    drop(out, DropReason::kNoDestination);
    return;
  }
  if (!out.taps.empty()) {
    const TapPacket seen{.transport = out.state.id(),
                         .media = to,
                         .is_rtcp = is_rtcp,
                         .port = hop.via,
                         .from = {},
                         .to = hop.to,
                         .datagram = packet.data(),
                         .size = packet.data().size(),
                         .received_at = now,
                         .worker = number_};
    for (PacketTap* tap : out.taps) {
      if (tap->wants_egress()) tap->on_packet(seen);
    }
  }
  packet->remote = hop.to;
  packet->via = port;
  // RTCP is rare: a path of its own would cost more than it saves.
  packet->to_locked_peer = hop.locked && hop.via == Component::kRtp;
  const std::size_t plain = packet.data().size();
  // What RTCP says is read before it is encrypted; of RTP the header stays readable, and a copy may be
  // refused.
  if (is_rtcp) out.state.on_sent(hop.via, is_rtcp, packet.data(), to, now);
  if (out.state.is_protected()) {
    std::size_t size = plain;
    SrtpWork* later = !is_rtcp && is_batched(out.state.plan()) ? &work_[work_count_] : nullptr;
    const DropReason reason = out.state.protect(is_rtcp, packet.data_and_tailroom(), size, source,
                                                {packet->srtp_index, packet->srtp_key}, later);
    if (reason != DropReason::kNone) {
      drop(out, reason);
      return;
    }
    if (later != nullptr) ++work_count_;
    packet->length = static_cast<std::uint32_t>(size);
  }
  if (!is_rtcp) out.state.on_sent(hop.via, is_rtcp, packet.data().first(plain), to, now);
  InterfaceTotals::Direction& egress = interface_of(out).egress;
  bump(egress.packets);
  bump(egress.bytes, packet.data().size());
  outgoing_meta_[outgoing_count_] = {&out, hop.via};
  outgoing_[outgoing_count_++] = std::move(packet);
  if (outgoing_count_ == kBatch) flush();
}

void Worker::flush() noexcept {
  seal_batch();
  if (outgoing_count_ == 0) return;
  std::array<SendError, kBatch> errors{};
  std::array<Endpoint, kBatch> to;
  for (std::size_t i = 0; i < outgoing_count_; ++i) to[i] = outgoing_[i]->remote;
  io_->send({outgoing_.data(), outgoing_count_}, {errors.data(), outgoing_count_});
  for (std::size_t i = 0; i < outgoing_count_; ++i) {
    if (errors[i] == SendError::kNone) continue;
    bump(totals_.send_errors[static_cast<std::size_t>(errors[i])]);
    const Instant now = io_->now();
    outgoing_meta_[i].entry->state.on_send_failed(outgoing_meta_[i].via, {errors[i], to[i], {}, 1, now, now},
                                                  true);
    drop(*outgoing_meta_[i].entry, DropReason::kSendFailed);
    bump(interface_of(*outgoing_meta_[i].entry).egress.errors);
  }
  outgoing_count_ = 0;
}

void Worker::pass_events(TransportEntry& entry, Instant now) noexcept {
  while (const auto event = entry.state.take_event(now)) {
    tell({entry.state.id(), *event, {}});
  }
}

void Worker::tell(WorkerEvent event) noexcept {
  // A full ring loses the notice, not the counter behind it.
  events_.push(std::move(event));
  if (bell_ != nullptr) bell_->ring();
}

}  // namespace ferry
