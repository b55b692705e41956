// SPDX-License-Identifier: Apache-2.0
// How calls were over their whole life, for a chart: a bounded number of samples for each call.
#pragma once

#include "control/diagnose/causes.hpp"
#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>

namespace ferry {

/// What one look at a call found.
struct TrailSample {
  /// Time since the call began.
  std::chrono::milliseconds at{0};
  /// Lowest MOS; unset = not known.
  std::optional<double> mos{};
  double loss_percent = 0;
  double jitter_ms = 0;
  Severity severity = Severity::kFine;
  Cause cause = Cause::kFine;
};

/// The samples of one call, oldest first. If there is no room left, it drops every second sample that is
/// older than the newest quarter: so it covers the whole call, the last minutes more finely. Plain values.
class Trail {
 public:
  static constexpr std::size_t kSamples = 128;
  void add(const TrailSample& sample);
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// The sample with this place; 0 is the oldest. MOS is kept to 1/50, loss to half a percent, jitter to a
  /// millisecond.
  [[nodiscard]] TrailSample operator[](std::size_t place) const;

 private:
  /// A sample in 12 octets. `mos` 0 = not known.
  struct Packed {
    std::uint32_t at_ms = 0;
    std::uint16_t jitter_ms = 0;
    std::uint8_t mos_by_50 = 0;
    std::uint8_t loss_by_2 = 0;
    Severity severity = Severity::kFine;
    Cause cause = Cause::kFine;
  };
  std::array<Packed, kSamples> samples_{};
  std::size_t size_ = 0;
};

/// The trails of calls, by `Call::serial`. Bounded: calls beyond `kTrails` have none. Control thread only.
class CallTrails {
 public:
  /// 1.5 kB each.
  static constexpr std::size_t kTrails = 4096;
  /// Adds a sample. False if the call has no trail and there is no room for another.
  bool add(std::uint64_t serial, const TrailSample& sample);
  /// The trail of a call. Null if it has none.
  [[nodiscard]] const Trail* find(std::uint64_t serial) const;
  /// Forgets calls for which `is_gone` is true.
  template <class IsGone>
  void forget(IsGone is_gone) {
    std::erase_if(trails_, [&](const auto& each) { return is_gone(each.first); });
  }
  [[nodiscard]] std::size_t size() const noexcept { return trails_.size(); }

 private:
  std::unordered_map<std::uint64_t, Trail> trails_;
};

}  // namespace ferry
