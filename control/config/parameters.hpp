// SPDX-License-Identifier: Apache-2.0
// Changes options while the daemon runs, by the same rows as the configuration.
#pragma once

#include "control/config/config.hpp"
#include "control/session/parameter_access.hpp"

#include <functional>

namespace ferry {

/// Keeps the configuration that is in force and that of the start. Only the options in its table may change.
/// Control thread only.
class Parameters final : public ParameterAccess {
 public:
  /// `apply` is called with each new configuration, and puts it in force.
  Parameters(const Config& config, std::function<void(const Config&)> apply)
      : now_(config), at_start_(config), apply_(std::move(apply)) {}
  [[nodiscard]] std::vector<Parameter> list() const override;
  std::string set(std::string_view name, std::string_view value) override;
  /// Sets all options that may change to their values at the start.
  void revert();
  /// Puts the changeable options of a file in force that was read again. They also become the values of the
  /// start.
  void take(const Config& config);

 private:
  Config now_;
  Config at_start_;
  std::function<void(const Config&)> apply_;
};

}  // namespace ferry
