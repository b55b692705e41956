// SPDX-License-Identifier: Apache-2.0
// A party's own SDP, read again.
#pragma once

#include "control/call/call.hpp"
#include "control/sdp/sdp.hpp"

namespace ferry {

/// The section of `session`, its leg's own last SDP, that a media belongs to. Null if there is none.
[[nodiscard]] const sdp::MediaSection* section_of(const sdp::Session& session, const Media& media);

}  // namespace ferry
