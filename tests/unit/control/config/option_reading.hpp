// SPDX-License-Identifier: Apache-2.0
// Reads single options as the configuration file has them.
#pragma once

#include "control/config/config.hpp"

#include <string>

#include <fmt/format.h>

namespace ferry::test {

/// What `name = value` says if it is wrong, without file and line; empty if it is right. `config` then has
/// the value.
inline std::string set_option(Config& config, std::string_view name, std::string_view value) {
  const auto taken = apply_ini(config, fmt::format("{} = {}\n", name, value), "f");
  if (taken) return {};
  const std::string start = fmt::format("f:1: {}: ", name);
  return taken.error().text.starts_with(start) ? taken.error().text.substr(start.size())
                                               : "not about the value: " + taken.error().text;
}

}  // namespace ferry::test
