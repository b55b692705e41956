// SPDX-License-Identifier: Apache-2.0
// The loop of one worker. `run_once` is one turn:
//
// 1. Commands of control, so that the packets of this turn meet the plans of now (`CommandRunner`).
// 2. What other workers have passed on, and what stages have made elsewhere.
// 3. One batch of received packets, each carried to its end before the next one (`Forwarder`). Everything
// that
//    they make leaves with one call of the engine (`SendBatch`).
// 4. Send errors that ICMP has reported since.
// 5. What is due by time: handshakes that waited, deadlines of transports, prompts and early packets, marks
// of
//    the last seconds, and the flows in the kernel (`Offloader`).
//
// The parts share the `WorkerContext`. All of them run on the worker's thread.
#include "relay/worker/worker.hpp"

#include "relay/base/memory.hpp"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// A worker that wakes up this much later than it asked for was stopped: SIGSTOP, a paused virtual machine
/// (C-13).
constexpr Duration kPause = 1s;
/// Longest time after a pause during which waiting packets are taken in before any timer runs.
constexpr Duration kCatchUp = 1s;

}  // namespace

Worker::Worker(std::unique_ptr<PacketIo> io, std::shared_ptr<const OwnMedia> own,
               std::unique_ptr<FlowOffload> offload)
    : context_(std::move(io), std::move(own)), offloader_(context_, std::move(offload)) {}

Worker::~Worker() {
  // Packets that are held go back to the engine, and early ones to their budget, before those are destroyed.
  context_.table.clear();
  for (auto& packet : received_) packet.reset();
  sends_.clear();
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
  context_.totals.thread_id.store(gettid(), std::memory_order_relaxed);
  context_.io->enter_thread();
  Instant awake = context_.io->now();
  while (!stop.load(std::memory_order_relaxed)) {
    const Instant deadline = next_deadline();
    context_.io->wait(deadline);
    bump(context_.totals.wakeups);
    const Instant now = context_.io->now();
    // A late wake-up alone is no pause: the deadline says when this thread meant to be back.
    if (now - std::max(deadline, awake) >= kPause) {
      after_pause(now - awake);
      // The signal that ended the pause may have ended the wait too, before it looked at the ports.
      context_.io->wait(now);
    }
    awake = now;
    run_once();
  }
  run_commands();
  context_.io->leave_thread();
}

Instant Worker::next_deadline() const noexcept {
  const Instant now = context_.io->now();
  if (turns_.has_waiting() || context_.is_catching_up()) return now;
  if (context_.exchange && context_.exchange->has_news()) return now;
  if (context_.stages && context_.stages->has_made()) return now;
  // The other worker empties its lane without telling.
  if (context_.exchange && context_.exchange->has_waiting()) return now + 1ms;
  // A worker with transports wakes up often enough to notice a pause (C-13); an idle one sleeps for a second.
  const Instant latest = now + (context_.table.size() == 0 ? Duration{1s} : Duration{250ms});
  return offloader_.next_turn(mark_round_.due(deadlines_.earliest(latest)));
}

void Worker::after_pause(Duration pause) noexcept {
  const Instant now = context_.io->now();
  // No timer of a transport may take the pause for the silence of a peer.
  context_.table.for_each([&](TransportEntry& entry) { entry.state.skip(pause, now); });
  bump(context_.totals.pauses);
  context_.catch_up_until = now + kCatchUp;
  // Packets that the kernel forwarded meanwhile count as heard, before anybody looks for silence.
  offloader_.read_all();
}

void Worker::run_until_idle() noexcept {
  run_commands();
  while (run_once() > 0 || turns_.has_waiting()) {
  }
}

void Worker::run_commands() noexcept {
  std::uint64_t done = 0;
  for (WorkerCommand command; commands_.pop(command);) {
    // If memory runs out, the command has no effect and is counted; the other calls go on (C-12).
    if (!had_memory([&] { runner_.run(command); })) bump(context_.totals.without_memory);
    ++done;
  }
  if (done == 0) return;
  // Control may be blocked in `wait_completed`; `release` makes what the commands wrote visible to it.
  completed_.fetch_add(done, std::memory_order_release);
  completed_.notify_all();
}

std::size_t Worker::run_once() noexcept {
  run_commands();
  const std::size_t passed_on = (context_.exchange ? exchange() : 0) + (context_.stages ? collect_made() : 0);
  const std::size_t count = context_.io->receive(received_);
  if (count > 0) forwarder_.take_batch(std::span(received_).first(count), context_.io->now());
  // Waiting packets are all taken in once a batch comes up empty. The time limit serves a port that never is.
  if (context_.is_catching_up() && (count == 0 || context_.io->now() >= context_.catch_up_until))
    context_.catch_up_until = {};
  note_problems(context_.io->now());
  // During catch-up no timer runs: what waits in the ports may be just what the timer would miss (C-13).
  if (!context_.is_catching_up()) run_turns();
  if (context_.stages) context_.stages->flush();
  const PacketIo::Stock stock = context_.io->stock();
  context_.totals.buffers.store(stock.total, std::memory_order_relaxed);
  context_.totals.buffers_free.store(stock.free, std::memory_order_relaxed);
  context_.totals.buffers_touched.store(stock.touched, std::memory_order_relaxed);
  return count + passed_on;
}

std::size_t Worker::collect_made() noexcept {
  const std::size_t made = own_packets_.collect_made(context_.io->now());
  if (made > 0) sends_.flush();
  return made;
}

namespace {

/// The proof in news of an endpoint; nothing if the other worker has it no more.
std::optional<BindingProof> proof_of(const Exchange::Item& item) noexcept {
  if (item.kind == Exchange::Kind::kEndpointGone) return std::nullopt;
  if (item.kind == Exchange::Kind::kEndpointMoved) return BindingProof::kMove;
  return item.is_known ? BindingProof::kAnswer : BindingProof::kCheck;
}

}  // namespace

std::size_t Worker::exchange() noexcept {
  const Instant now = context_.io->now();
  std::size_t filled = 0;
  const auto take_batch = [&] {
    forwarder_.take_batch(std::span(received_).first(std::exchange(filled, 0)), now);
  };
  const std::size_t taken = context_.exchange->drain([&](WorkerNumber from, const Exchange::Item& item) {
    switch (item.kind) {
      case Exchange::Kind::kDatagram: {
        PacketBuffer packet = context_.io->allocate();
        if (!packet || item.octets.size() > packet.space().size()) {
          count_drops(context_.totals, DropReason::kNoBuffer);
          return;
        }
        std::ranges::copy(item.octets, packet.space().begin());
        packet.set_data_size(item.octets.size());
        packet->remote = item.remote;
        packet->cookie = make_cookie(item.port, from, item.is_known);
        received_[filled++] = std::move(packet);
        if (filled == received_.size()) take_batch();
        return;
      }
      case Exchange::Kind::kUfrag:
      case Exchange::Kind::kUfragGone: {
        const std::string_view ufrag(reinterpret_cast<const char*>(item.octets.data()), item.octets.size());
        if (!had_memory([&] {
              context_.ports.set_ufrag_of_other(item.port, ufrag, from, item.kind == Exchange::Kind::kUfrag);
            }))
          bump(context_.totals.without_memory);
        return;
      }
      case Exchange::Kind::kEndpoint:
      case Exchange::Kind::kEndpointMoved:
      case Exchange::Kind::kEndpointGone:
        context_.ports.set_endpoint_of_other(item.port, item.remote, from, proof_of(item), now);
        // What came from there before this worker knew whose it is (DTL-3).
        forwarder_.release_hellos(item.port, item.remote, now);
        return;
    }
  });
  if (filled > 0) take_batch();
  return taken + context_.exchange->tell_waiting();
}

void Worker::run_turns() noexcept {
  turns_.begin_turn(context_.io->now());
  serve_deadlines(context_.io->now());
  mark_some(context_.io->now());
  forwarder_.forget_old_hellos(context_.io->now());
  if (!offloader_.is_on()) return;
  // If memory runs out, user space forwards what was offered, and the flows are read a turn later.
  if (!had_memory([&] {
        offloader_.install_offered(context_.io->now());
        offloader_.turn(context_.io->now());
      }))
    bump(context_.totals.without_memory);
}

void Worker::serve_deadlines(Instant now) noexcept {
  if (deadlines_.take_lost(now)) {
    context_.table.for_each([&](TransportEntry& entry) {
      // What is queued already is ignored from now on: its time matches nothing any more.
      entry.due.fill({});
      turns_.await(entry, now);
      early_.await(entry);
      own_packets_.await(entry, now);
      reports_.await(entry, now);
      keep_alive_.await(entry, now);
    });
  }
  bool has_served = false;
  while (const auto due = deadlines_.next(now)) {
    has_served = true;
    switch (due->kind) {
      case DeadlineKind::kEarly:
        early_.let_out(*due->entry, forwarder_, now);
        break;
      case DeadlineKind::kOutput:
        own_packets_.drive(*due->entry, now);
        break;
      case DeadlineKind::kReport:
        reports_.drive(*due->entry, now);
        break;
      case DeadlineKind::kSilence:
        keep_alive_.drive(*due->entry, now);
        break;
      default:
        turns_.drive(*due->entry, now);
        break;
    }
  }
  if (has_served) sends_.flush();
}

void Worker::mark_some(Instant now) noexcept {
  mark_round_.turn(context_.table.size() == 0 ? 0 : context_.table.slots(), now, [&](std::size_t slot) {
    TransportEntry* entry = context_.table.at(slot);
    if (entry == nullptr) return;
    // A mark compares what was sent with what was received, so the counts of the kernel must be of this
    // moment. The offloader reads them and marks such a transport itself.
    if (!offloader_.is_on() || !offloader_.marks(*entry, now)) entry->state.mark(now);
  });
}

void Worker::note_problems(Instant now) noexcept {
  std::array<PortProblem, 16> problems;
  for (std::size_t count = 0; (count = context_.io->take_problems(problems)) > 0;) {
    for (const PortProblem& each : std::span(problems).first(count)) {
      TransportEntry* entry = context_.ports.find_bound(each.cookie, each.to);
      if (entry == nullptr) continue;
      bump(context_.totals.send_errors[static_cast<std::size_t>(each.error)]);
      const Component component = port_of(each.cookie).component;
      entry->state.account().on_send_failed(component, {each.error, each.to, each.reporter, 1, now, now},
                                            false);
      // Only these two say that nobody listens at the address; the others are faults on the way (LAT-12a).
      if (each.error != SendError::kPortUnreachable && each.error != SendError::kHostUnreachable) continue;
      // An error only counts if something was sent there a moment ago. The transport does not see what the
      // kernel sends, so the offloader is asked.
      const bool is_fed_by_kernel = component == Component::kRtp && offloader_.feeds(*entry);
      if (entry->state.on_unreachable(component, each.to, is_fed_by_kernel, now))
        offloader_.reconsider(*entry);
    }
  }
}

}  // namespace ferry
