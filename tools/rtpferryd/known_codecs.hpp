// SPDX-License-Identifier: Apache-2.0
// Finds out which codecs this build can convert.
#pragma once

#include "control/call/codec_catalogue.hpp"

namespace ferry {

/// Tries every codec at every usual clock rate, so that control never promises what cannot be done. Takes
/// some milliseconds; call it once, at the start.
[[nodiscard]] CodecCatalogue known_codecs();

}  // namespace ferry
