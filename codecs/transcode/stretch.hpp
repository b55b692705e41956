// SPDX-License-Identifier: Apache-2.0
// Makes speech a little longer or shorter without a click, by one period of its pitch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// Repeats or leaves out one pitch period of `samples` (mono), with the ends faded into each other. In speech
/// that is not heard as a change of pitch or a gap.
///
/// `most`: samples that may be added (positive) or left out (negative). `is_quiet`: the samples are silence,
/// so that any length will do for a period. Periods of 2.5 to 20 ms, up to half of the samples, are looked
/// for. Returns how many samples were added or left out; 0 if no period is that short, or nothing repeats.
/// Allocates only if `samples` has no room.
std::ptrdiff_t stretch(std::vector<std::int16_t>& samples, std::uint32_t rate_hz, std::ptrdiff_t most,
                       bool is_quiet);

}  // namespace ferry
