// Run-time parameters of the daemon, as operators' interfaces read and set them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Control thread only. Names and forms of values are those of the options.
class ParameterAccess {
 public:
  struct Parameter {
    std::string_view name;
    std::string value;
    std::string at_start;
    std::string_view help;
  };
  virtual ~ParameterAccess() = default;
  /// Those that can be set while the daemon runs.
  [[nodiscard]] virtual std::vector<Parameter> list() const = 0;
  /// A sentence if it cannot be; else nothing.
  virtual std::string set(std::string_view name, std::string_view value) = 0;

  [[nodiscard]] std::optional<std::string> get(std::string_view name) const {
    for (const Parameter& each : list()) {
      if (each.name == name) return each.value;
    }
    return std::nullopt;
  }
};

}  // namespace ferry
