// SPDX-License-Identifier: Apache-2.0
// Which conversions are not worth the way to a media thread.
#pragma once

#include "relay/core/audio/conversion.hpp"

namespace ferry {

/// True if all speech of the source and of the receiver is G.711, nobody listens for tones, nothing is mixed
/// and no modem is at work: each sample is looked up in a table then.
[[nodiscard]] bool is_light(const AudioConversion& conversion) noexcept;

}  // namespace ferry
