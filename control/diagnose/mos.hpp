// SPDX-License-Identifier: Apache-2.0
// Mean opinion score (MOS) of the streams that the relay counts, by ITU-T G.107.
#pragma once

#include "relay/core/evidence/recent.hpp"
#include "relay/core/rtp/stream_stats.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// MOS of a stream (ITU-T G.107) from what arrived at the relay, without the way to the listener: the first
/// for the whole call, the second for the last seconds. Unset if too little came to say.
[[nodiscard]] double mos_of(const SsrcCounters& stream);
[[nodiscard]] std::optional<double> mos_of(const RecentStream& recent, std::uint8_t payload_type);

}  // namespace ferry
