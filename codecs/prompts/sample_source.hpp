// SPDX-License-Identifier: Apache-2.0
// Where the samples of a prompt come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ferry {

/// Samples of one sound of one channel, in order. One thread.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  [[nodiscard]] virtual std::uint32_t rate_hz() const noexcept = 0;
  /// Writes the next samples; fewer than there is room for only at the end.
  virtual std::size_t next(std::span<std::int16_t> out) = 0;
};

}  // namespace ferry
