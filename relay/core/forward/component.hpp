// RTP and RTCP of one media (RFC 8445 §13).
#pragma once

#include <cstdint>

namespace ferry {

enum class Component : std::uint8_t { kRtp, kRtcp };

}  // namespace ferry
