// Offers without an answer (LAT-15) as plain values of a call's record, and back.
#pragma once

#include "control/session/call.hpp"

#include <memory>

#include <nlohmann/json.hpp>

namespace ferry {

/// Parties by their places in the call.
[[nodiscard]] nlohmann::json proposals_json(const Call& call, Instant now);
/// Its parties are there already. Throws if one of them is not.
void read_proposals(Call& call, const nlohmann::json& j, Instant now);

/// Null if there is none.
[[nodiscard]] nlohmann::json lapsed_json(const LapsedOffer* lapsed);
[[nodiscard]] std::unique_ptr<LapsedOffer> lapsed_from(const nlohmann::json& j);

}  // namespace ferry
