// SPDX-License-Identifier: Apache-2.0
// What `rtpferryd --codecs` prints.
#pragma once

#include "codecs/audio/codec_table.hpp"

#include <span>
#include <string>

namespace ferry {

/// A line for each codec, and for what travels around codecs: whether it can be decoded and encoded, and why
/// not.
[[nodiscard]] std::string codec_table_text(std::span<const CodecAbility> codecs);

}  // namespace ferry
