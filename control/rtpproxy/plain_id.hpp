// The Call-ID of a call as the proxy and its log know it.
#pragma once

#include "control/call/call.hpp"
#include "control/rtpproxy/session.hpp"

#include <string_view>

namespace ferry {

/// The Call-ID without the tag that ids of rtpproxy sessions have behind it. Borrowed from the call.
[[nodiscard]] inline std::string_view plain_id(const Call& call) {
  return call.rtpproxy() != nullptr ? call.rtpproxy()->call_id : std::string_view(call.id);
}

}  // namespace ferry
