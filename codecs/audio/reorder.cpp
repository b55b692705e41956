// SPDX-License-Identifier: Apache-2.0
#include "codecs/audio/reorder.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

namespace {

/// A step back of the sequence number that is no late packet but a new beginning, as SSR-4 has it.
constexpr std::int64_t kRestart = 100;
/// Packets whose room is kept; more wait only if a stream is hostile or was held up.
constexpr std::size_t kMostSpare = 64;

}  // namespace

Reorder::Outcome Reorder::add(const RtpView& rtp, Instant at, std::uint32_t tag) {
  std::int64_t sequence = rtp.sequence.value;
  std::int64_t timestamp = rtp.timestamp;
  // The nearest number to the highest one so far: unwrapped, they never jump back by 65,536.
  if (has_begun_) {
    sequence =
        highest_sequence_ + distance(rtp.sequence, SeqNo{static_cast<std::uint16_t>(highest_sequence_)});
    timestamp = highest_timestamp_ +
                static_cast<std::int32_t>(rtp.timestamp - static_cast<std::uint32_t>(highest_timestamp_));
  }
  if (!has_begun_ || sequence > highest_sequence_) {
    has_begun_ = true;
    highest_sequence_ = sequence;
    highest_timestamp_ = timestamp;
  }
  if (taken_ != kNone && sequence <= taken_ && !restarts(sequence, timestamp)) return Outcome::kLate;
  forget_taken();
  // Mostly the last place: the loop looks from behind.
  auto place = packets_.end();
  while (place != packets_.begin() && std::prev(place)->sequence >= sequence) --place;
  if (place != packets_.end() && place->sequence == sequence) return Outcome::kTwice;
  OrderedPacket packet{sequence, timestamp, at, rtp.payload_type, tag, {}};
  if (!spare_.empty()) {
    packet.payload = std::move(spare_.back());
    spare_.pop_back();
  }
  packet.payload.assign(rtp.payload.begin(), rtp.payload.end());
  packets_.insert(place, std::move(packet));
  return Outcome::kWaits;
}

bool Reorder::restarts(std::int64_t& sequence, std::int64_t timestamp) noexcept {
  // A sender that begins again under its SSRC: two packets in a row that are far behind (SSR-4).
  const std::int64_t behind = taken_ - sequence;
  const bool confirmed = behind > kRestart && sequence == restart_ + 1;
  restart_ = behind > kRestart ? sequence : kNone;
  if (!confirmed) return false;
  // Put behind everything that was taken, so that order still follows from the number.
  sequence += (behind / 65536 + 1) * 65536;
  if (sequence <= highest_sequence_) sequence += 65536;
  highest_sequence_ = sequence;
  highest_timestamp_ = timestamp;
  restart_ = kNone;
  return true;
}

void Reorder::forget_taken() {
  for (OrderedPacket& each : std::span(packets_).first(first_)) {
    if (spare_.size() < kMostSpare) spare_.push_back(std::move(each.payload));
  }
  packets_.erase(packets_.begin(), packets_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
}

std::size_t Reorder::due(Instant now) const noexcept {
  const auto waits = waiting();
  // Everything up to the last packet that has waited long enough; more if too many wait.
  std::size_t count = waits.size() > most_ ? waits.size() - most_ : 0;
  for (std::size_t i = count; i < waits.size(); ++i) {
    if (now == Instant::max() || now - waits[i].at >= hold_) count = i + 1;
  }
  return count;
}

std::int64_t Reorder::missing() const noexcept {
  return taken_ == kNone ? 0 : waiting().front().sequence - taken_ - 1;
}

void Reorder::take() noexcept {
  taken_ = packets_[first_].sequence;
  ++first_;
}

}  // namespace ferry
