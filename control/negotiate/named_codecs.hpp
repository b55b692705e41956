// SPDX-License-Identifier: Apache-2.0
// Codecs by the names that a client gives, for offers of the relay's own (`create`). Pure; any thread.
#pragma once

#include "control/sdp/sdp.hpp"

#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// True if a client's name of a codec may become text of an SDP: at most 64 letters, digits and `-._/`.
[[nodiscard]] bool is_codec_name(std::string_view name);

/// Makes the RTP section of an offer: its type and its codecs, with payload types. `names` are
/// specifications `NAME[/clock[/channels[/...]]]` (docs/reference/ng.md#codecs); those for which
/// `is_codec_name` is false are skipped. If none is left, an audio section has PCMU and PCMA, and another
/// one H264. A name of RFC 3551 gets its static type. Others get 96, 97 and so on to 127, and those beyond
/// are skipped. Port, address and direction stay as in an empty section. The views of the result point into
/// `texts`.
[[nodiscard]] sdp::MediaSection named_section(std::string type, const std::vector<std::string>& names,
                                              std::deque<std::string>& texts);

}  // namespace ferry
