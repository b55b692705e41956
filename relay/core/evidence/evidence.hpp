// SPDX-License-Identifier: Apache-2.0
// Record of what a transport refused and of what came back from the network, as far as an explanation of the
// call needs it. Plain values.
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

/// The newest packet that was refused for one reason, and how often that happened.
struct Refusal {
  DropReason reason = DropReason::kNone;
  /// 0 = the RTP port, 1 = the RTCP port.
  std::uint8_t component = 0;
  /// Type, SSRC and sequence number mean something only if the packet looked like RTP.
  PayloadType type;
  /// True if the packet was RTCP (RFC 5761 §4). `type` does not say so, because RTP may have a type of 64 to
  /// 95.
  bool is_rtcp = false;
  Endpoint from;
  Ssrc ssrc;
  SeqNo sequence;
  /// How often in a row from this source; 0 = the place is free.
  std::uint32_t times = 0;
  /// Time of the first and of the newest one.
  Instant first{};
  Instant last{};
  bool operator==(const Refusal&) const = default;
};

/// Failures to reach one peer, as the host or the network reported them.
struct SendFailure {
  SendError error = SendError::kNone;
  Endpoint to;
  /// Host that reported the failure; unset if it was this one.
  IpAddress reporter;
  /// How often about this peer; 0 = the place is free.
  std::uint32_t times = 0;
  /// Time of the first and of the newest failure.
  Instant first{};
  Instant last{};
  bool operator==(const SendFailure&) const = default;
};

/// A packet that is not authentic with the expected roll-over counter, but is with another one (RFC 3711
/// §3.3.1).
struct RollOverMismatch {
  /// The counter that was expected, and the one that the sender used.
  std::uint32_t expected = 0;
  std::uint32_t used = 0;
  Ssrc ssrc;
  /// When it was found; `Instant{}` = never.
  Instant last{};
  bool operator==(const RollOverMismatch&) const = default;
};

/// The newest refusal of each kind and the newest failures, in bounded memory. Owned by one transport.
struct Evidence {
  /// Reasons for refusals that are kept.
  static constexpr std::size_t kRefusals = 12;
  /// Kinds of failures that are kept.
  static constexpr std::size_t kFailures = 3;
  std::array<Refusal, kRefusals> refusals;
  std::array<SendFailure, kFailures> failures;
  RollOverMismatch roll_over;
  /// Payload types that were not negotiated and passed all the same (DMX-4).
  std::bitset<128> other_types;
  /// The newest packet of those types, and how many there were; `times` 0 = none. Its reason is kNone, as it
  /// was not refused.
  Refusal other;

  /// Notes a packet of a type that was not negotiated and passed.
  void note_other(const Endpoint& from, PayloadType type, Ssrc ssrc, SeqNo sequence, Instant now) noexcept {
    other_types.set(type.value & 127);
    other.type = type;
    other.from = from;
    other.ssrc = ssrc;
    other.sequence = sequence;
    if (other.times == 0) other.first = now;
    add_others(1, now);
  }
  /// Counts `times` more packets of types that are known already.
  void add_others(std::uint32_t times, Instant now) noexcept {
    other.times += times;
    other.last = std::max(other.last, now);
  }

  /// Notes a refused packet. The reason that occurred longest ago gives way. RTCP does not take the place of
  /// RTP that was refused for the same reason: the last packet of a stream says whether its sender pauses.
  ///
  /// A packet may be older than the kept one, because the relay reads the drops of the kernel late. It counts
  /// if it is from the same source, and changes nothing else.
  void note(const Refusal& refusal) noexcept {
    auto place = std::ranges::find(refusals, refusal.reason, &Refusal::reason);
    const bool ousts_rtcp = place != refusals.end() && place->is_rtcp && !refusal.is_rtcp;
    if (place != refusals.end() && place->times != 0 && refusal.is_rtcp && !place->is_rtcp) return;
    if (place == refusals.end()) place = std::ranges::min_element(refusals, {}, &Refusal::last);
    const bool known = place->reason == refusal.reason && place->from == refusal.from;
    if (refusal.last < place->last && !ousts_rtcp) {
      if (!known) return;
      place->times += std::max(refusal.times, 1u);
      place->first = std::min(place->first, refusal.last);
      return;
    }
    /// Another source starts the count of its reason over.
    const std::uint32_t times = known ? place->times : 0;
    const Instant first = known ? std::min(place->first, refusal.last) : refusal.last;
    *place = refusal;
    place->times = times + std::max(refusal.times, 1u);
    place->first = first;
  }
  /// Notes a failed packet. The kind that occurred longest ago gives way.
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
  /// The newest refusal for a reason; null if there was none.
  [[nodiscard]] const Refusal* find(DropReason reason) const noexcept {
    const auto found = std::ranges::find(refusals, reason, &Refusal::reason);
    return found == refusals.end() || found->times == 0 ? nullptr : &*found;
  }
  bool operator==(const Evidence&) const = default;
};

}  // namespace ferry
