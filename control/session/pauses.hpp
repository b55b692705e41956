// When nobody ran: a stopped process, a paused virtual machine (C-13).
#pragma once

#include "relay/base/types.hpp"

#include <vector>

namespace ferry {

/// Time that counts as nobody's silence: datagrams and commands may have waited, or were not delivered at
/// all. Monotonic time; control thread only.
class Pauses {
 public:
  /// At most so many pauses are kept; the oldest one is forgotten first.
  static constexpr std::size_t kKept = 32;
  /// After a pause nothing ends by time for so long: what waited is looked at first.
  static constexpr Duration kGrace = std::chrono::seconds(1);

  /// Nobody ran between `began` and `ended`, which is later than all before.
  void add(Instant began, Instant ended);
  /// When `silence` has passed since `since`, not counting pauses.
  [[nodiscard]] Instant after(Instant since, Duration silence) const noexcept;

 private:
  struct Pause {
    Instant began;
    Instant ended;  // with its grace
  };
  std::vector<Pause> pauses_;  // in order
};

}  // namespace ferry
