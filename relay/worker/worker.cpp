// The loop of one worker, and the way of a packet through it. `run_once` is one turn:
//
// 1. Commands of control, so that the packets of this turn meet the plans of now.
// 2. One batch of received packets, each carried to its end before the next one. `on_packet` finds the
//    transport by the cookie of the port. `take_in` gives handshakes to ICE and DTLS and takes SRTP off in
//    place. `judge` asks the transport for a verdict. `forward` walks the sinks; `queue_send` protects a
//    packet and collects it.
// 3. `flush` seals what a batching SRTP back end has left open and sends everything with one call.
// 4. Send errors that ICMP has reported since, then everything that is due by time (worker_turns.cpp).
//
// Traps:
// - `outgoing_meta_` points at transports. Whoever takes a transport out of the table calls `flush` before.
// - A packet is decrypted in place. After that it cannot be kept for the answer any more (LAT-14).
// - Counting follows the verdict: a transport counts what it refuses itself, the worker counts the rest with
//   `drop_arriving` or `drop_leaving`. Each refusal is counted once, and each sink refuses for itself.
// - With an offloader, a flow must be back in user space before a packet of it is judged. Otherwise kernel
//   and user space would both count for the stream.
#include "relay/worker/worker.hpp"

#include "relay/base/ensure.hpp"
#include "relay/base/memory.hpp"
#include "relay/core/rtcp/rtcp.hpp"
#include "relay/core/rtp/rtp.hpp"
#include "relay/worker/fetch_ahead.hpp"

#include <algorithm>

#include <unistd.h>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// Octets of a packet that are copied aside, so that taps and the flight recorder can be told the verdict
/// after the packet itself has left.
constexpr std::size_t kWitnessed = 64;
/// Longest accepted datagram of a handshake or connectivity check, in octets. DTLS keeps its records below
/// the path MTU (RFC 9147 §4.4), so a longer one is not genuine; and it may have to be copied and wait.
constexpr std::size_t kMaxHandshake = 2048;
/// A worker that wakes up this much later than it asked for was stopped: SIGSTOP, a paused virtual machine
/// (C-13).
constexpr Duration kPause = 1s;
/// Longest time after a pause during which waiting packets are taken in before any timer runs.
constexpr Duration kCatchUp = 1s;

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
  // Packets that are held go back to the engine before the engine is destroyed.
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
  Instant awake = io_->now();
  while (!stop.load(std::memory_order_relaxed)) {
    const Instant deadline = next_deadline();
    io_->wait(deadline);
    bump(totals_.wakeups);
    const Instant now = io_->now();
    // A late wake-up alone is no pause: the deadline says when this thread meant to be back.
    if (now - std::max(deadline, awake) >= kPause) {
      after_pause(now - awake);
      // The signal that ended the pause may have ended the wait too, before it looked at the ports.
      io_->wait(now);
    }
    awake = now;
    run_once();
  }
  run_commands();
  io_->leave_thread();
}

Instant Worker::next_deadline() const noexcept {
  const Instant now = io_->now();
  if (!waiting_.empty() || is_catching_up()) return now;
  // A worker with transports wakes up often enough to notice a pause (C-13); an idle one sleeps for a second.
  Instant latest = now + (table_.size() == 0 ? Duration{1s} : Duration{250ms});
  if (!turns_.empty()) latest = std::min(latest, turns_.top().at);
  if (find_turns_at_ != Instant{}) latest = std::min(latest, find_turns_at_);
  latest = mark_round_.due(latest);
  return offloader_ ? offloader_->next_turn(latest) : latest;
}

void Worker::after_pause(Duration pause) noexcept {
  const Instant now = io_->now();
  // No timer of a transport may take the pause for the silence of a peer.
  table_.for_each([&](TransportEntry& entry) { entry.state.skip(pause, now); });
  bump(totals_.pauses);
  catch_up_until_ = now + kCatchUp;
  // Packets that the kernel forwarded meanwhile count as heard, before anybody looks for silence.
  if (offloader_) offloader_->read_all();
}

void Worker::run_until_idle() noexcept {
  run_commands();
  while (run_once() > 0 || !waiting_.empty()) {
  }
}

void Worker::run_commands() noexcept {
  std::uint64_t done = 0;
  for (WorkerCommand command; commands_.pop(command);) {
    // If memory runs out, the command has no effect and is counted; the other calls go on (C-12).
    if (!had_memory([&] { std::visit([this](auto& c) { execute(c); }, command); }))
      bump(totals_.without_memory);
    ++done;
  }
  if (done == 0) return;
  // Control may be blocked in `wait_completed`; `release` makes what the commands wrote visible to it.
  completed_.fetch_add(done, std::memory_order_release);
  completed_.notify_all();
}

std::size_t Worker::run_once() noexcept {
  run_commands();
  const std::size_t count = io_->receive(received_);
  if (count > 0) {
    const Instant now = io_->now();
    // A batching back end opens all packets before the first one is judged; `on_packet` then finds them open.
    if (batching_ != nullptr) open_batch(count, now);
    for (std::size_t i = 0; i < count; ++i) {
      if (batching_ == nullptr) fetch_ahead(table_, std::span(received_).first(count).subspan(i));
      const bool is_opened = batching_ != nullptr && opened_[i].origin.key != 0;
      on_packet(std::move(received_[i]), now, is_opened ? &opened_[i] : nullptr);
    }
    flush();
  }
  // Waiting packets are all taken in once a batch comes up empty. The time limit serves a port that never is.
  if (is_catching_up() && (count == 0 || io_->now() >= catch_up_until_)) catch_up_until_ = {};
  note_problems(io_->now());
  // During catch-up no timer runs: what waits in the ports may be just what the timer would miss (C-13).
  if (!is_catching_up()) run_turns();
  const PacketIo::Stock stock = io_->stock();
  totals_.buffers.store(stock.total, std::memory_order_relaxed);
  totals_.buffers_free.store(stock.free, std::memory_order_relaxed);
  totals_.buffers_touched.store(stock.touched, std::memory_order_relaxed);
  return count;
}

void Worker::run_turns() noexcept {
  handshakes_ = 0;
  if (!waiting_.empty()) run_handshakes(io_->now());
  if (find_turns_at_ != Instant{} && io_->now() >= find_turns_at_) find_turns(io_->now());
  if (!turns_.empty()) play(io_->now());
  mark_some(io_->now());
  if (!offloader_) return;
  // If memory runs out, user space forwards what was offered, and the flows are read a turn later.
  if (!had_memory([&] {
        offloader_->install_offered(io_->now());
        offloader_->turn(io_->now());
      }))
    bump(totals_.without_memory);
}

void Worker::repacketize(TransportEntry& entry, TransportEntry& out, const Sink& sink,
                         const Transport::NextHop& hop, Bytes datagram, Instant now) noexcept {
  const auto rtp = parse_rtp(datagram);
  if (!rtp) {
    drop_arriving(entry, DropReason::kMalformedRtp);
    return;
  }
  const bool is_new = !out.is_repacketized();
  if (is_new && !had_memory([&] { out.made_output().repacketizer = std::make_unique<Repacketizer>(); })) {
    drop_leaving(out, DropReason::kNoMemory, now);
    return;
  }
  // From now on the relay makes the stream of this party itself, so the kernel may not forward it any longer.
  if (is_new && offloader_) offloader_->reconsider(out);
  OutputStage& output = *out.output;
  bump(totals_.repacketizer_in);
  ++output.repacketized_in;
  const bool in_time = output.repacketizer->take(*rtp, sink.ptime_ms, [&](const Repacketizer::Out& next) {
    PacketBuffer packet = io_->allocate();
    if (!packet) {
      drop_leaving(out, DropReason::kNoBuffer, now);
      return;
    }
    packet.set_data_size(kRtpFixedHeaderSize + next.payload.size());
    const TimelinePosition& at = next.position;
    write_rtp_header(packet.data(), next.type, at.marker, at.sequence, at.timestamp, at.ssrc);
    std::ranges::copy(next.payload, packet.data().begin() + kRtpFixedHeaderSize);
    bump(totals_.repacketizer_out);
    ++output.repacketized_out;
    queue_send(out, hop, DatagramClass::kRtp, sink.to, std::move(packet), nullptr, now);
  });
  if (!in_time) drop_leaving(out, DropReason::kTooLate, now);
}

void Worker::drop_arriving(TransportEntry& entry, DropReason reason) noexcept {
  entry.state.count_arriving(reason);
  bump(interface_of(entry).ingress.errors);
  count_drops(totals_, reason);
}

void Worker::drop_leaving(TransportEntry& out, DropReason reason, Instant now) noexcept {
  out.state.count_leaving(reason, 1, now);
  bump(interface_of(out).ingress.errors);
  count_drops(totals_, reason);
}

void Worker::drop_for_prompt(TransportEntry& entry, TransportEntry& out, Instant now) noexcept {
  out.state.count_leaving(DropReason::kPromptPlaying, 1, now);
  bump(interface_of(entry).ingress.errors);
  count_drops(totals_, DropReason::kPromptPlaying);
}

void Worker::open_batch(std::size_t count, Instant now) noexcept {
  std::size_t works = 0;
  // A packet is opened ahead only if that is certain to be its way: a known transport of this back end, a
  // complete datagram, and an index that follows from what was received so far.
  for (std::size_t i = 0; i < count; ++i) {
    fetch_ahead(table_, std::span(received_).first(count).subspan(i));
    opened_[i] = {};
    const PacketBuffer& packet = received_[i];
    const TransportEntry* entry = table_.at(slot_of(packet->cookie));
    if (entry == nullptr || packet->truncated || !is_batched(entry->state.plan())) continue;
    const auto component = port_of(packet->cookie).component;
    // A packet that has to wait for the answer waits encrypted, as it came (LAT-14).
    if (entry->early[static_cast<std::size_t>(component)]) continue;
    SrtpOpened opened;
    if (!entry->state.prepare_unprotect(received(packet, now), work_[works], opened)) continue;
    work_of_[works++] = i;
    opened_[i] = opened;
  }
  batching_->open_rtp({work_.data(), works});
  for (std::size_t n = 0; n < works; ++n) {
    SrtpOpened& opened = opened_[work_of_[n]];
    if (work_[n].done)
      opened.size = work_[n].size;
    else
      // The index or the key was guessed wrong, or the packet is forged: `take_in` opens it by itself.
      opened = {};
  }
}

void Worker::seal_batch() noexcept {
  if (work_count_ == 0) return;
  batching_->seal_rtp({work_.data(), work_count_});
  for (std::size_t n = 0; n < work_count_; ++n) {
    // Cannot happen: `protect` has checked the room. If it did, zeros leave instead of plain media.
    if (!FERRY_ENSURE(work_[n].done)) std::ranges::fill(work_[n].space.first(work_[n].size), std::byte{0});
  }
  work_count_ = 0;
}

void Worker::on_packet(PacketBuffer packet, Instant now, const SrtpOpened* opened) noexcept {
  const auto slot = slot_of(packet->cookie);
  const auto component = port_of(packet->cookie).component;
  // Cannot fail: `take` detaches the ports of a transport before it leaves the table.
  TransportEntry* found = table_.at(slot);
  if (!FERRY_ENSURE(found != nullptr)) return;
  TransportEntry& entry = *found;
  if (packet->truncated) {
    drop_arriving(entry, DropReason::kTooLong);
    return;
  }
  packet->srtp_key = 0;
  // While early packets of this source go out, a newer one joins the end of the line (LAT-14).
  if (entry.early[static_cast<std::size_t>(component)] && waits_in_line(entry, component, packet, now))
    return;
  take_in(entry, std::move(packet), now, opened);
}

ReceivedPacket Worker::received(const PacketBuffer& packet, Instant now) const noexcept {
  ReceivedPacket made(port_of(packet->cookie), packet->remote, packet.data(), now);
  made.has_waited = is_catching_up();
  made.origin = {packet->srtp_index, packet->srtp_key};
  return made;
}

void Worker::take_in(TransportEntry& entry, PacketBuffer packet, Instant now,
                     const SrtpOpened* opened) noexcept {
  packet->srtp_key = 0;
  ReceivedPacket arrived = received(packet, now);
  const Component component = arrived.component();
  // STUN and DTLS, told apart by the first octet (RFC 7983), are never inside SRTP and never reach a sink.
  if (entry.state.has_handshake(arrived.kind)) {
    if (arrived.datagram.size() > kMaxHandshake) {
      drop_arriving(entry, DropReason::kTooLong);
      return;
    }
    on_handshake(entry, arrived);
    return;
  }
  if (entry.state.is_protected()) {
    const DropReason reason = entry.state.unprotect(arrived, *own_, opened);
    // The key comes with the answer. Nothing was counted and the datagram is unchanged.
    if (reason == DropReason::kEarlyMedia) {
      keep_early(entry, component, packet, now);
      return;
    }
    if (reason != DropReason::kNone) {
      count_drops(totals_, reason);
      bump(interface_of(entry).ingress.errors);
      entry.state.note_refusal(arrived, reason);
      witness(entry, component, packet->remote, packet.data(), packet.data().size(), false, reason, now);
      pass_events(entry, now);
      return;
    }
    packet->length = static_cast<std::uint32_t>(arrived.datagram.size());
    packet->srtp_key = arrived.origin.key;
    packet->srtp_index = arrived.origin.index;
  }
  if (offloader_ && component == Component::kRtp) {
    // The kernel gives up the stream before the transport judges the packet, so that one side counts at a
    // time. If the packet makes the latch move, the flows to this party need the new destination at once.
    offloader_->before_judgement(entry, arrived);
    const Endpoint peer = entry.state.latch(Component::kRtp).learned();
    forwarded_ssrc_.reset();
    judge(entry, arrived, std::move(packet), 0);
    if (peer != entry.state.latch(Component::kRtp).learned()) offloader_->reconsider(entry);
    if (forwarded_ssrc_) offloader_->offer(entry, *forwarded_ssrc_, now);
  } else {
    judge(entry, arrived, std::move(packet), 0);
  }
  pass_events(entry, now);
}

void Worker::judge(TransportEntry& entry, ReceivedPacket& arrived, PacketBuffer packet, int depth) noexcept {
  const Component component = arrived.component();
  const Instant now = arrived.at;
  const Verdict verdict = entry.state.on_datagram(arrived, *own_);
  switch (verdict.kind) {
    case Verdict::Kind::kForward: {
      // The packet leaves with the last sink, so its start is copied for whoever witnesses the outcome.
      std::array<std::byte, kWitnessed> start;
      const std::size_t size = packet.data().size();
      const std::size_t kept = std::min(size, start.size());
      std::copy_n(packet.data().begin(), kept, start.begin());
      // This source is heard now. What was kept of it before would come out too late.
      if (auto& early = entry.early[static_cast<std::size_t>(component)]; early && !early->is_releasing()) {
        early->forget(arrived.from);
        count_early(entry, component, early->take_dropped());
      }
      const DropReason outcome = forward(entry, arrived, verdict, std::move(packet));
      witness(entry, component, arrived.from, Bytes(start).first(kept), size, verdict.is_rtcp, outcome, now);
      return;
    }
    case Verdict::Kind::kDrop:
      count_drops(totals_, verdict.reason);
      bump(interface_of(entry).ingress.errors);
      entry.state.note_refusal(arrived, verdict.reason);
      witness(entry, component, packet->remote, packet.data(), packet.data().size(), verdict.is_rtcp,
              verdict.reason, now);
      return;
    case Verdict::Kind::kKeep:
      keep_early(entry, component, packet, now);
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
        ReceivedPacket before = received(held, now);
        judge(entry, before, std::move(held), depth + 1);
      }
      judge(entry, arrived, std::move(packet), depth + 1);
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
      const Component component = port_of(each.cookie).component;
      entry->state.on_send_failed(component, {each.error, each.to, each.reporter, 1, now, now}, false);
      // Only these two say that nobody listens at the address; the others are faults on the way (LAT-12a).
      if (each.error != SendError::kPortUnreachable && each.error != SendError::kHostUnreachable) continue;
      // An error only counts if something was sent there a moment ago. The transport does not see what the
      // kernel sends, so the offloader is asked.
      const bool is_fed_below = offloader_ && component == Component::kRtp && offloader_->feeds(*entry);
      if (entry->state.on_unreachable(component, each.to, is_fed_below, now) && offloader_)
        offloader_->reconsider(*entry);
    }
  }
}

void Worker::give_up(TransportEntry& entry, std::uint8_t slot) noexcept {
  const bool ssrc = Transport::is_ssrc_slot(slot);
  drop_arriving(entry, ssrc ? DropReason::kSsrcNotAdmitted : DropReason::kProbation);
  (*entry.held)[slot].packet.reset();
}

void Worker::hold(TransportEntry& entry, std::uint8_t slot, PacketBuffer packet) noexcept {
  if (!entry.held)
    entry.held = make_unique_or_null<std::array<TransportEntry::Held, Transport::kHoldSlots>>();
  if (!entry.held) {
    drop_arriving(entry, DropReason::kNoMemory);
    return;
  }
  if ((*entry.held)[slot].packet) give_up(entry, slot);
  // The ring of all held packets: the place that comes up next belongs to the packet that has waited longest.
  // It gives way if it is still there, which its serial tells.
  HeldAt& place = held_[next_held_ % kMaxHeld];
  if (TransportEntry* oldest = table_.find(place.id); oldest != nullptr && oldest->held) {
    const auto& waiting = (*oldest->held)[place.slot];
    if (waiting.packet && waiting.serial == place.serial) give_up(*oldest, place.slot);
  }
  place = {entry.state.id(), slot, next_held_};
  (*entry.held)[slot] = {std::move(packet), next_held_++};
}

DropReason Worker::forward(TransportEntry& entry, const ReceivedPacket& arrived, const Verdict& verdict,
                           PacketBuffer packet) noexcept {
  const Instant now = arrived.at;
  // A packet with several sinks may be taken by one and refused by another. The verdict that witnesses hear
  // is "forwarded" if anybody takes it, else the reason of the last refusal.
  bool is_taken = false;
  DropReason last = DropReason::kNoSink;
  const auto refuse = [&](DropReason reason) {
    drop_arriving(entry, reason);
    last = reason;
  };
  const auto refuse_leaving = [&](TransportEntry& out, DropReason reason) {
    drop_leaving(out, reason, now);
    last = reason;
  };
  bump(totals_.packets);
  bump(totals_.bytes, packet.data().size());
  InterfaceTotals::Direction& ingress = interface_of(entry).ingress;
  bump(ingress.packets);
  bump(ingress.bytes, packet.data().size());
  // Taps that want what arrives see the packet before it is changed for any sink.
  const SourcePlan& source = entry.state.plan().sources[verdict.source];
  if (!entry.taps.empty()) {
    const TapPacket seen{.transport = entry.state.id(),
                         .media = source.media,
                         .is_rtcp = verdict.is_rtcp,
                         .port = arrived.component(),
                         .from = arrived.from,
                         .to = {},
                         .datagram = packet.data(),
                         .size = packet.data().size(),
                         .received_at = now,
                         .worker = number_};
    for (PacketTap* tap : entry.taps) {
      if (!tap->wants_egress()) tap->on_packet(seen);
    }
  }
  // Quality is that of the whole way, so the round trip to the far party is added to this party's report.
  if (verdict.is_rtcp && !source.sinks.empty()) {
    if (const TransportEntry* far = table_.find(source.sinks.front().via)) {
      if (const auto report = entry.state.complete_report(far->state.round_trip(), now))
        count_quality(interface_of(entry).quality, *report);
    }
  }
  // From here on "component" says what the packet is, which under rtcp-mux is not the port that it came to.
  const Component component = verdict.is_rtcp ? Component::kRtcp : Component::kRtp;
  const PayloadEntry* payload = nullptr;
  if (!verdict.is_rtcp && (source.inspects_payload || source.has_events)) {
    payload = source.payload_of(packet.data());
    if (payload != nullptr && source.has_events) follow_presses(entry, verdict.source, *payload, arrived);
  }
  const bool is_rtp = !verdict.is_rtcp && arrived.has_rtp_header();
  const DatagramClass kind = verdict.is_rtcp ? DatagramClass::kRtcp
                             : is_rtp        ? DatagramClass::kRtp
                                             : DatagramClass::kUnknown;
  if (is_rtp) forwarded_ssrc_ = Ssrc{read_u32(packet.data(), 8)};
  if (!verdict.is_negotiated) bump(totals_.other_type_packets);
  // Kept, because the packet itself may have moved on when the next sink needs them.
  const SrtpOrigin srtp_origin = arrived.origin;
  // The order of these checks decides which reason a refused packet is counted for: first what signalling
  // says of the sink, then whether its transport exists and has an address, then what the relay does there.
  std::size_t left = source.sinks.size();
  if (left == 0) refuse(DropReason::kNoSink);
  for (const Sink& sink : source.sinks) {
    --left;
    const DropReason refused =
        verdict.is_rtcp ? DropReason::kNone : refuses(sink, payload, verdict.is_negotiated);
    if (refused != DropReason::kNone) {
      refuse(refused);
      continue;
    }
    TransportEntry* out = table_.find(sink.via);
    if (out == nullptr) {
      refuse(DropReason::kNoSink);
      continue;
    }
    const auto hop = out->state.next_hop(component, now);
    if (hop.reason != DropReason::kNone) {
      refuse_leaving(*out, hop.reason);
      continue;
    }
    if (!verdict.is_rtcp && out->hears_prompt()) {
      drop_for_prompt(entry, *out, now);
      last = DropReason::kPromptPlaying;
      continue;
    }
    // Another packet time makes packets of our own; the incoming one is copied into them and ends here.
    if (is_rtp && (sink.ptime_ms != 0 || out->is_repacketized())) {
      // A payload of unknown kind cannot be joined or split (DMX-4).
      if (!verdict.is_negotiated) {
        refuse_leaving(*out, DropReason::kUnknownPayloadType);
      } else if (out->state.relays_key_of(entry.state)) {
        refuse_leaving(*out, DropReason::kSharedKey);
      } else {
        repacketize(entry, *out, sink, hop, packet.data(), now);
        is_taken = true;
      }
      continue;
    }
    PacketBuffer outgoing;
    // The last sink takes the packet itself; the others get a copy.
    if (left == 0) {
      outgoing = std::move(packet);  // NOLINT(bugprone-use-after-move)
    } else {
      outgoing = io_->allocate();
      if (!outgoing) {
        refuse_leaving(*out, DropReason::kNoBuffer);
        continue;
      }
      const MutableBytes data = packet.data();
      std::ranges::copy(data, outgoing.space().begin());
      outgoing.set_data_size(data.size());
      outgoing->srtp_key = srtp_origin.key;
      outgoing->srtp_index = srtp_origin.index;
    }
    // Changes that this sink needs: silence instead of the payload, other header extensions (RFC 8285), or no
    // RTCP feedback that its party's profile does not have (RFC 4585).
    const bool silences = sink.silenced && payload != nullptr && !payload->is_event && !verdict.is_rtcp;
    const bool rewrites = is_rtp && sink.extensions.changes(outgoing.data());
    const bool cuts = verdict.is_rtcp && !sink.takes_feedback && has_feedback(outgoing.data());
    // Both parties share one SRTP key, so the packet must keep its index. Changed contents under an old index
    // would be sealed with the same key stream as the original ones (RFC 3711 §9.1), so it is dropped
    // instead.
    if ((silences || rewrites || cuts) && out->state.relays_key_of(entry.state)) {
      refuse_leaving(*out, DropReason::kSharedKey);
      continue;
    }
    if (silences) overwrite_payload(outgoing.data(), payload->silence);
    if (rewrites) outgoing->length = static_cast<std::uint32_t>(sink.extensions.apply(outgoing.data()));
    if (cuts) outgoing->length = static_cast<std::uint32_t>(cut_feedback(outgoing.data()));
    // Nothing but feedback was in it.
    if (cuts && outgoing.data().empty()) {
      refuse(DropReason::kFeedbackNotAgreed);
      continue;
    }
    // Last, because it needs the packet in its final form: the receiver may know the stream by another SSRC.
    const DropReason untranslated =
        out->state.translate_ssrcs(entry.state, source.media, verdict, kind, outgoing.data());
    if (untranslated != DropReason::kNone) {
      refuse_leaving(*out, untranslated);
      continue;
    }
    queue_send(*out, hop, kind, sink.to, std::move(outgoing), &entry.state, now);
    is_taken = true;
  }
  return is_taken ? DropReason::kNone : last;
}

void Worker::queue_send(TransportEntry& out, const Transport::NextHop& hop, DatagramClass kind, MediaId to,
                        PacketBuffer packet, const Transport* source, Instant now) noexcept {
  const bool is_rtcp = kind == DatagramClass::kRtcp;
  const PortHandle port = out.port({hop.via, hop.local});
  if (!port.is_open()) {
    drop_leaving(out, DropReason::kNoDestination, now);
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
  // RTCP is rare: a connected socket of its own would cost more than it saves (ADR 0002).
  packet->to_locked_peer = hop.locked && hop.via == Component::kRtp;
  const std::size_t plain = packet.data().size();
  // RTCP is counted by its contents, which must be read before they are encrypted. RTP is counted by its
  // header, which stays readable, and only after `protect`, which may refuse a packet that was sent already.
  if (is_rtcp) out.state.on_sent(hop.via, kind, packet.data(), to, now);
  if (out.state.is_protected()) {
    std::size_t size = plain;
    // A batching back end seals the packet in `flush`; its final size is known now.
    SrtpWork* later = !is_rtcp && is_batched(out.state.plan()) ? &work_[work_count_] : nullptr;
    const DropReason reason = out.state.protect(is_rtcp, packet.data_and_tailroom(), size, source,
                                                {packet->srtp_index, packet->srtp_key}, later);
    if (reason != DropReason::kNone) {
      drop_leaving(out, reason, now);
      return;
    }
    if (later != nullptr) ++work_count_;
    packet->length = static_cast<std::uint32_t>(size);
  }
  if (!is_rtcp) out.state.on_sent(hop.via, kind, packet.data().first(plain), to, now);
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
    drop_leaving(*outgoing_meta_[i].entry, DropReason::kSendFailed, now);
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
  // If the ring is full, the notice is lost; the counter behind it is not.
  events_.push(std::move(event));
  if (bell_ != nullptr) bell_->ring();
}

}  // namespace ferry
