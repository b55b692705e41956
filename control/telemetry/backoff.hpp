// SPDX-License-Identifier: Apache-2.0
// How long to wait before a server is tried again.
#pragma once

#include <algorithm>
#include <chrono>

namespace ferry::telemetry {

/// Pure. After the first failure `first`, twice as long after each further one, `longest` at most.
class Backoff {
 public:
  using Pause = std::chrono::milliseconds;
  explicit Backoff(Pause first = std::chrono::seconds(1), Pause longest = std::chrono::minutes(1)) noexcept
      : first_(first), longest_(longest), next_(first) {}

  /// Notes a failure; returns how long to wait.
  Pause failed() noexcept {
    const Pause wait = next_;
    next_ = std::min(next_ * 2, longest_);
    return wait;
  }
  /// Notes that the server took something.
  void succeeded() noexcept { next_ = first_; }

 private:
  Pause first_;
  Pause longest_;
  Pause next_;
};

}  // namespace ferry::telemetry
