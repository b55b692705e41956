// SPDX-License-Identifier: Apache-2.0
#include "relay/core/forward/event_queue.hpp"

#include "relay/base/memory.hpp"

namespace ferry {

namespace {

// LIM-4: one kind of event is reported at most this often.
constexpr Duration kEventInterval = std::chrono::seconds(10);

}  // namespace

std::optional<TransportEvent> EventQueue::take(Instant now) noexcept {
  if (waiting_ == 0) return std::nullopt;
  if (!passed_on_) passed_on_ = make_unique_or_null<Times>();
  if (!passed_on_) return std::nullopt;
  Times& passed_on = *passed_on_;
  for (std::size_t i = 0; i < passed_on.size(); ++i) {
    if ((waiting_ >> i & 1) == 0) continue;
    waiting_ &= ~(1u << i);
    // An event that was reported less than 10 s ago is dropped, not delayed.
    if (passed_on[i] != Instant{} && now - passed_on[i] < kEventInterval) continue;
    passed_on[i] = now;
    return static_cast<TransportEvent>(i);
  }
  return std::nullopt;
}

}  // namespace ferry
