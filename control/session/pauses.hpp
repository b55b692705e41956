// SPDX-License-Identifier: Apache-2.0
// When the whole process stood still: a stopped process, or a paused virtual machine (C-13).
#pragma once

#include "relay/base/types.hpp"

#include <vector>

namespace ferry {

/// Remembers the time that counts as nobody's silence, because datagrams and commands may have waited, or
/// were not delivered at all. Monotonic time. Control thread only.
class Pauses {
 public:
  /// The most pauses that are kept. The oldest one is forgotten first.
  static constexpr std::size_t kKept = 32;
  /// How long after a pause nothing ends by time, so that what waited is handled first.
  static constexpr Duration kGrace = std::chrono::seconds(1);

  /// Notes that the process stood still from `began` to `ended`, which is later than all before.
  void add(Instant began, Instant ended);
  /// When `silence` has passed since `since`, pauses not counted.
  [[nodiscard]] Instant after(Instant since, Duration silence) const noexcept;

 private:
  struct Pause {
    Instant began;
    /// With the grace that follows.
    Instant ended;
  };
  /// In the order of time.
  std::vector<Pause> pauses_;
};

}  // namespace ferry
