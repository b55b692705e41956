// SPDX-License-Identifier: Apache-2.0
// The events of a transport that wait for control.
#pragma once

#include "relay/base/types.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

namespace ferry {

/// Rare events that control should know. The worker passes each kind on at most once in 10 s (LIM-4).
enum class TransportEvent : std::uint8_t {
  kForeignSource,
  kContested,
  kUnknownPayloadType,
  kRateLimited,
  kLocked,
  kPortNotServed,
  kNotAuthentic,
  kKeyNearlyUsedUp,
  kDtmf,
  kPromptEnded,
  kDtlsReady,
  kDtlsMismatch,
  kDtlsFailed,
  kIceConnected,
  kIceFailed,
  kIceExpired,
  kOtherTypePasses,
  kCount
};

/// Keeps each kind of event until the worker takes it, and passes a kind on at most once in 10 s (LIM-4).
/// Noting costs one instruction; nothing is allocated before the first event is taken.
class EventQueue {
 public:
  /// Queues an event. A kind that waits already is not queued twice.
  void note(TransportEvent event) noexcept { waiting_ |= 1u << static_cast<unsigned>(event); }
  /// Takes the next queued event; nothing if there is none, or if its kind was passed on less than 10 s ago.
  [[nodiscard]] std::optional<TransportEvent> take(Instant now) noexcept;

 private:
  using Times = std::array<Instant, static_cast<std::size_t>(TransportEvent::kCount)>;
  /// One bit for each kind.
  std::uint32_t waiting_ = 0;
  static_assert(static_cast<int>(TransportEvent::kCount) <= std::numeric_limits<decltype(waiting_)>::digits,
                "every event has a bit of its own");
  /// When each kind was last passed on; made by the first one.
  std::unique_ptr<Times> passed_on_;
};

}  // namespace ferry
