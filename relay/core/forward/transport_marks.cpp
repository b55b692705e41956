// The marks of a transport: every two seconds its worker has it keep what it has counted, so that a snapshot
// tells the last 10 to 12 s apart from the call. A coarse word of how it is off goes to control with it.

#include "relay/core/forward/transport.hpp"

#include <algorithm>
#include <array>

namespace ferry {

namespace {

/// Fewer packets than this tell no share.
constexpr std::uint32_t kEnough = 20;
/// A run of missing packets that is a hole in the sound, at 20 ms a packet.
constexpr std::uint32_t kHole = 10;
constexpr Duration kRoughJitter = std::chrono::milliseconds(50);

/// Values of a few bits, one behind the other. Bit 0 is always set.
class Word {
 public:
  void put(std::uint32_t value, unsigned bits) noexcept {
    value_ |= std::min(value, (1u << bits) - 1) << at_;
    at_ += bits;
  }
  [[nodiscard]] std::uint32_t value() const noexcept { return value_; }

 private:
  std::uint32_t value_ = 1;
  unsigned at_ = 1;
};

/// How many of `limits` the share reaches.
std::uint32_t class_of(double percent, std::array<double, 3> limits) noexcept {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(limits, [&](double limit) { return percent >= limit; }));
}

/// 0 none, 1 below 2 %, 2 below 10 %, 3 more, of all packets that came this way.
std::uint32_t class_of_drops(std::uint32_t dropped, std::uint32_t passed) noexcept {
  if (dropped == 0) return 0;
  const double percent = 100.0 * dropped / (static_cast<double>(dropped) + passed);
  return 1 + class_of(percent, {2, 10, 101});
}

/// Marks that a silence has lasted for: 0 to 3; 3 as well if nothing ever came.
std::uint32_t silent_marks(Instant last, Instant now) noexcept {
  if (last == Instant{}) return 3;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>((now - last) / kMarkInterval, 0, 3));
}

}  // namespace

void Transport::mark_counts() noexcept {
  for (SourceState& state : states_) {
    for (StreamStats& stream : state.ingress) stream.mark(mark_times_);
    for (SentStream& stream : state.egress) stream.mark(mark_times_);
  }
  drops_.mark(mark_times_);
}

void Transport::mark(Instant now) noexcept {
  mark_times_.add(now);
  mark_counts();
  activity_->standing.store(standing(now), std::memory_order_relaxed);
}

std::uint32_t Transport::standing(Instant now) const noexcept {
  std::uint32_t passed_in = 0;
  std::uint32_t passed_out = 0;
  double lost = 0;
  double reported = 0;
  bool has_hole = false;
  bool is_rough = false;
  Instant sent{};
  for (const SourceState& state : states_) {
    for (const StreamStats& stream : state.ingress) {
      const RecentStream recent = stream.recent(mark_times_, now);
      passed_in += recent.counts.packets;
      if (recent.counts.expected >= kEnough) lost = std::max(lost, recent.loss_percent());
      has_hole |= recent.longest_burst >= kHole;
      is_rough |= recent.jitter > kRoughJitter;
    }
    for (const SentStream& stream : state.egress) {
      passed_out += stream.recent(mark_times_, now).counts.packets;
      sent = std::max(sent, stream.counters().last_packet);
      const ListenerReport* report = stream.newest_report();
      if (report != nullptr && now - report->at < kRecentTime + kMarkInterval)
        reported = std::max(reported, report->recent_loss_percent());
    }
  }
  const Instant heard{Duration{activity_->last_rtp_ns.load(std::memory_order_relaxed)}};
  const bool is_paused = reachability_ && std::ranges::any_of(*reachability_, &Reachability::is_paused);
  Word word;
  word.put(silent_marks(heard, now), 2);
  word.put(silent_marks(sent, now), 2);
  word.put(class_of(lost, {1, 5, 10}), 2);
  word.put(class_of(reported, {1, 5, 10}), 2);
  word.put(class_of_drops(drops_.recent_of(DropSide::kArriving, mark_times_), passed_in), 2);
  word.put(class_of_drops(drops_.recent_of(DropSide::kLeaving, mark_times_), passed_out), 2);
  word.put(static_cast<std::uint32_t>(latch_[0].state()), 2);
  word.put(latch_[0].contested() || latch_[1].contested() ? 1 : 0, 1);
  word.put(is_paused ? 1 : 0, 1);
  word.put(verified_ ? 1 : 0, 1);
  word.put(ice_ ? 1 + static_cast<std::uint32_t>(ice_->state()) : 0, 3);
  word.put(dtls_ ? 1 + static_cast<std::uint32_t>(dtls_->channels[0].state()) : 0, 3);
  word.put(has_hole ? 1 : 0, 1);
  word.put(is_rough ? 1 : 0, 1);
  word.put(proposal_ ? 1 : 0, 1);
  return word.value();
}

}  // namespace ferry
