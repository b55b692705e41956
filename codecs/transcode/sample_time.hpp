// SPDX-License-Identifier: Apache-2.0
// Samples and clock units as time, and back.
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>

namespace ferry {

/// A longer step of the sequence number is no loss but another beginning.
inline constexpr std::int64_t kMostMissing = 100;

/// How long so many samples or clock units of a rate last. Whole seconds apart, so that the product does not
/// overflow in long calls. `rate_hz` is not 0.
constexpr Duration time_of(std::int64_t units, std::uint32_t rate_hz) {
  const std::int64_t rate = rate_hz;
  return std::chrono::seconds(units / rate) + Duration(units % rate * 1'000'000'000 / rate);
}

/// How many samples or clock units of a rate a span of time has; parts of one are left out.
constexpr std::int64_t units_in(Duration time, std::uint32_t rate_hz) {
  const std::int64_t rate = rate_hz;
  const std::int64_t seconds = time.count() / 1'000'000'000;
  return seconds * rate + time.count() % 1'000'000'000 * rate / 1'000'000'000;
}

/// The same span in units of another rate; parts of one are left out.
constexpr std::int64_t scaled_units(std::int64_t units, std::uint32_t from_hz, std::uint32_t to_hz) {
  const std::int64_t from = from_hz;
  return units / from * to_hz + units % from * to_hz / from;
}

}  // namespace ferry
