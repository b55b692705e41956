// What a transport saw and did not deliver, as far as an explanation of the call needs it. Plain values.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/send_error.hpp"
#include "relay/base/types.hpp"
#include "relay/core/forward/drop_reason.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>

namespace ferry {

/// The newest packet that was refused for one reason.
struct Refusal {
  DropReason reason = DropReason::kNone;
  /// 0 = the RTP port, 1 = the RTCP port.
  std::uint8_t component = 0;
  PayloadType type;
  Endpoint from;
  Ssrc ssrc;
  SeqNo sequence;
  std::uint32_t times = 0;
  Instant first{};
  Instant last{};
  bool operator==(const Refusal&) const = default;
};

/// What the host or the network said about packets to one peer.
struct SendFailure {
  SendError error = SendError::kNone;
  Endpoint to;
  /// Who said so; unset if it was this host.
  IpAddress reporter;
  std::uint32_t times = 0;
  Instant first{};
  Instant last{};
  bool operator==(const SendFailure&) const = default;
};

/// A packet that is not authentic at the roll-over counter expected, but is at another one (RFC 3711 §3.3.1).
struct RollOverMismatch {
  std::uint32_t expected = 0;
  std::uint32_t used = 0;
  Ssrc ssrc;
  Instant last{};  // unset: there was none
  bool operator==(const RollOverMismatch&) const = default;
};

/// Bounded: the newest kinds of refusals and failures. Owned by one transport.
struct Evidence {
  static constexpr std::size_t kRefusals = 12;
  static constexpr std::size_t kFailures = 3;
  std::array<Refusal, kRefusals> refusals;
  std::array<SendFailure, kFailures> failures;
  RollOverMismatch roll_over;
  /// DMX-4: payload types that were not negotiated and passed all the same.
  std::bitset<128> other_types;
  /// The newest packet of them, and how many there were: `times` 0 = none. It was no refusal, so that its
  /// reason is kNone.
  Refusal other;

  void note_other(const Endpoint& from, PayloadType type, Ssrc ssrc, SeqNo sequence, Instant now) noexcept {
    other_types.set(type.value & 127);
    other.type = type;
    other.from = from;
    other.ssrc = ssrc;
    other.sequence = sequence;
    if (other.times == 0) other.first = now;
    add_others(1, now);
  }
  /// `times` more, of types that are known already.
  void add_others(std::uint32_t times, Instant now) noexcept {
    other.times += times;
    other.last = std::max(other.last, now);
  }

  void note(const Refusal& refusal) noexcept {
    auto place = std::ranges::find(refusals, refusal.reason, &Refusal::reason);
    if (place == refusals.end()) place = std::ranges::min_element(refusals, {}, &Refusal::last);
    const bool known = place->reason == refusal.reason && place->from == refusal.from;
    const std::uint32_t times = known ? place->times : 0;
    const Instant first = known ? place->first : refusal.last;
    *place = refusal;
    place->times = times + std::max(refusal.times, 1u);
    place->first = first;
  }
  void note(const SendFailure& failure) noexcept {
    auto place = std::ranges::find(failures, failure.error, &SendFailure::error);
    if (place == failures.end()) place = std::ranges::min_element(failures, {}, &SendFailure::last);
    const bool known = place->error == failure.error && place->to == failure.to;
    const std::uint32_t times = known ? place->times : 0;
    const Instant first = known ? place->first : failure.last;
    *place = failure;
    place->times = times + 1;
    place->first = first;
  }
  [[nodiscard]] const Refusal* find(DropReason reason) const noexcept {
    const auto found = std::ranges::find(refusals, reason, &Refusal::reason);
    return found == refusals.end() || found->times == 0 ? nullptr : &*found;
  }
  bool operator==(const Evidence&) const = default;
};

}  // namespace ferry
