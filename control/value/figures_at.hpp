// SPDX-License-Identifier: Apache-2.0
// Finds numbers in a dictionary of figures by a path.
#pragma once

#include "control/value/value.hpp"

#include <functional>
#include <optional>
#include <string_view>

namespace ferry {

/// The number that an integer is or that a text spells, as `statistics` writes them; nothing for other
/// values.
[[nodiscard]] std::optional<double> as_number(const Value& value);

/// Calls `visit` with each number at `path` below `value`: keys with `/` between them, and `*` for every
/// element of a list. `name` is the member `name` of the innermost element on the way; empty outside of
/// lists. What is not there is left out.
void each_figure(const Value& value, std::string_view path,
                 const std::function<void(double figure, std::string_view name)>& visit);

}  // namespace ferry
