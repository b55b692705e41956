// SPDX-License-Identifier: Apache-2.0
// The parameters of the daemon that operators' interfaces read and set while it runs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Reads and sets parameters. Names and forms of values are those of the options. Control thread only.
class ParameterAccess {
 public:
  /// One parameter: its value now and at the start, and what it does.
  struct Parameter {
    std::string_view name;
    std::string value;
    std::string at_start;
    std::string_view help;
  };
  virtual ~ParameterAccess() = default;
  /// All parameters that can be set.
  [[nodiscard]] virtual std::vector<Parameter> list() const = 0;
  /// Sets one. Empty if that was done; otherwise a sentence that says why not.
  virtual std::string set(std::string_view name, std::string_view value) = 0;

  /// The value of one. Nothing if there is no such parameter.
  [[nodiscard]] std::optional<std::string> get(std::string_view name) const {
    for (const Parameter& each : list()) {
      if (each.name == name) return each.value;
    }
    return std::nullopt;
  }
};

}  // namespace ferry
