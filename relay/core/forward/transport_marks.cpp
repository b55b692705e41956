// SPDX-License-Identifier: Apache-2.0
// Marks of the last seconds. Every two seconds the worker has a transport keep what it has counted, so that a
// snapshot can tell the last 10 to 12 s apart from the whole call.
//
// With each mark the transport also writes its `standing`: a 32-bit word of coarse classes. Control compares
// it with the word before, and only looks closer if it changed. Classes are coarse on purpose; fine ones
// would change at every mark.

#include "relay/base/enum_bits.hpp"
#include "relay/core/forward/transport.hpp"

#include <algorithm>
#include <array>

namespace ferry {

namespace {

/// With fewer packets than this a share means nothing.
constexpr std::uint32_t kEnough = 20;
/// So many packets lost in a row are a hole in the sound: 200 ms at 20 ms a packet.
constexpr std::uint32_t kHole = 10;
// More jitter than this makes speech rough.
constexpr Duration kRoughJitter = std::chrono::milliseconds(50);

/// Packs small values into a word. Bit 0 is always set, because 0 means "no mark yet".
class Word {
 public:
  // A value that does not fit becomes the largest one that does.
  void put(std::uint32_t value, unsigned bits) noexcept {
    value_ |= std::min(value, (1u << bits) - 1) << at_;
    at_ += bits;
  }
  [[nodiscard]] std::uint32_t value() const noexcept { return value_; }

 private:
  std::uint32_t value_ = 1;
  unsigned at_ = 1;
};

// `put` writes the highest number that fits instead of one that does not.
static_assert(kHasAtMost<Latch::State, 4>, "a latch's state has 2 bits of the word");
static_assert(kHasAtMost<IceAgent::State, 7>, "ICE has 3 bits of the word, and 0 says that there is none");
static_assert(kHasAtMost<DtlsChannel::State, 7>,
              "DTLS has 3 bits of the word, and 0 says that there is none");

/// How many of `limits` the share reaches: 0 to 3.
std::uint32_t class_of(double percent, std::array<double, 3> limits) noexcept {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(limits, [&](double limit) { return percent >= limit; }));
}

/// Class of the drops among all packets that came this way: 0 = none, 1 = below 2 %, 2 = below 10 %, 3 =
/// more.
std::uint32_t class_of_drops(std::uint32_t dropped, std::uint32_t passed) noexcept {
  if (dropped == 0) return 0;
  const double percent = 100.0 * dropped / (static_cast<double>(dropped) + passed);
  return 1 + class_of(percent, {2, 10, 101});
}

/// How many marks a silence has lasted for: 0 to 3; also 3 if nothing ever came.
std::uint32_t silent_marks(Instant last, Instant now) noexcept {
  if (last == Instant{}) return 3;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>((now - last) / kMarkInterval, 0, 3));
}

}  // namespace

void Transport::mark(Instant now) noexcept {
  const bool has_mark = account_.mark(now, streams_.has_streams());
  if (has_mark) streams_.mark(account_.mark_times());
  // Most calls wait some seconds for their first packet, and there is nothing to look closer at meanwhile.
  const bool is_new = !has_mark && activity_->standing.load(std::memory_order_relaxed) == 0;
  if (is_new && !plan_->ice && !plan_->dtls) return;
  activity_->standing.store(standing(now), std::memory_order_relaxed);
}

std::uint32_t Transport::standing(Instant now) const noexcept {
  const MarkTimes times = account_.mark_times();
  // The worst stream of each direction stands for all: one bad stream is enough to look closer.
  std::uint32_t passed_in = 0;
  std::uint32_t passed_out = 0;
  double lost = 0;
  double reported = 0;
  bool has_hole = false;
  bool is_rough = false;
  Instant sent{};
  streams_.for_each_ingress([&](const StreamStats& stream) {
    const RecentStream recent = stream.recent(times, now);
    passed_in += recent.counts.packets;
    if (recent.counts.expected >= kEnough) lost = std::max(lost, recent.loss_percent());
    has_hole |= recent.longest_burst >= kHole;
    is_rough |= recent.jitter > kRoughJitter;
  });
  streams_.for_each_egress([&](const SentStream& stream) {
    passed_out += stream.recent(times, now).counts.packets;
    sent = std::max(sent, stream.counters().last_packet);
    const ListenerReport* report = stream.newest_report();
    // A report older than this says nothing about now.
    if (report != nullptr && now - report->at < kRecentTime + kMarkInterval)
      reported = std::max(reported, report->recent_loss_percent());
  });
  // Silence is measured on media, as RTCP goes on while nobody speaks.
  const Instant heard{Duration{activity_->last_rtp_ns.load(std::memory_order_relaxed)}};
  const bool is_paused = presence_.is_paused(Component::kRtp) || presence_.is_paused(Component::kRtcp);
  const auto ice = handshakes_.ice_state();
  const auto dtls = handshakes_.dtls_state();
  // The order and the widths are free, as only equality counts. They have to fit 32 bits.
  Word word;
  word.put(silent_marks(heard, now), 2);
  word.put(silent_marks(sent, now), 2);
  word.put(class_of(lost, {1, 5, 10}), 2);
  word.put(class_of(reported, {1, 5, 10}), 2);
  word.put(class_of_drops(account_.recent_drops(DropSide::kArriving, times), passed_in), 2);
  word.put(class_of_drops(account_.recent_drops(DropSide::kLeaving, times), passed_out), 2);
  word.put(static_cast<std::uint32_t>(latch_[0].state()), 2);
  word.put(latch_[0].contested() || latch_[1].contested() ? 1 : 0, 1);
  word.put(is_paused ? 1 : 0, 1);
  word.put(presence_.is_heard() ? 1 : 0, 1);
  word.put(ice ? 1 + static_cast<std::uint32_t>(*ice) : 0, 3);
  word.put(dtls ? 1 + static_cast<std::uint32_t>(*dtls) : 0, 3);
  word.put(has_hole ? 1 : 0, 1);
  word.put(is_rough ? 1 : 0, 1);
  word.put(proposal_ ? 1 : 0, 1);
  return word.value();
}

}  // namespace ferry
