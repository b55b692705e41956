// SPDX-License-Identifier: Apache-2.0
// What static payload types say of audio. `relay/core/audio/format_parameters.hpp` reads `a=fmtp`.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/audio/codec.hpp"
#include "relay/core/audio/format_parameters.hpp"

#include <optional>

namespace ferry {

/// The format of a static payload type that is audio (RFC 3551 §6). Nothing for dynamic and unassigned ones,
/// and for video.
[[nodiscard]] std::optional<AudioFormat> static_audio_format(PayloadType type);

}  // namespace ferry
