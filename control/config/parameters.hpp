// Options that can be changed while the daemon runs: the same rows, one after the other.
#pragma once

#include "control/config/config.hpp"
#include "control/session/parameter_access.hpp"

#include <functional>

namespace ferry {

/// Keeps the configuration in force and that of the start. Control thread only.
class Parameters final : public ParameterAccess {
 public:
  /// `apply` is called with each new configuration.
  Parameters(const Config& config, std::function<void(const Config&)> apply)
      : now_(config), at_start_(config), apply_(std::move(apply)) {}
  [[nodiscard]] std::vector<Parameter> list() const override;
  std::string set(std::string_view name, std::string_view value) override;
  /// Everything is as at the start again.
  void revert();
  /// The file was read again: what is changeable of it is in force now.
  void take(const Config& config);

 private:
  Config now_;
  Config at_start_;
  std::function<void(const Config&)> apply_;
};

}  // namespace ferry
