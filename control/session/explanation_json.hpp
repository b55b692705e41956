// SPDX-License-Identifier: Apache-2.0
// Explanations and flight recorders as JSON.
#pragma once

#include "control/diagnose/hearing.hpp"
#include "control/diagnose/verdict.hpp"
#include "relay/base/types.hpp"
#include "relay/core/evidence/flight_ring.hpp"

#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

namespace ferry {

/// The explanation as JSON, as `rtpferryctl explain` and the web interface show it.
[[nodiscard]] nlohmann::json to_json(const Explanation& explanation);
/// The packets that one flight recorder has, oldest first, with the party, media and port that it belongs to.
[[nodiscard]] nlohmann::json flight_json(std::string_view leg, unsigned media, const Endpoint& local,
                                         const FlightRing& ring);
/// The time in milliseconds since 1970.
[[nodiscard]] std::int64_t unix_ms(WallTime time);

}  // namespace ferry
