// SPDX-License-Identifier: Apache-2.0
// Prints replies of the daemon as tables for people.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

namespace ferry::ctl {

/// Prints the reply to `command`, with colours only on a terminal. False if there is no table for the
/// command; nothing is printed then.
bool print_reply(std::string_view command, const nlohmann::json& reply);

}  // namespace ferry::ctl
