// SPDX-License-Identifier: Apache-2.0
// Decides what a fax gateway makes of one media for another. Pure. Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "relay/core/audio/conversion.hpp"

#include <optional>

namespace ferry {

/// What becomes of the media of `from` for `to`. Nothing unless a gateway stands between them. `former`: the
/// conversion so far, whose parts go on as long as they are the same; may be null.
[[nodiscard]] std::optional<AudioConversion> convert_fax(const MediaTerms& from, const MediaTerms& to,
                                                         const AudioConversion* former);

}  // namespace ferry
