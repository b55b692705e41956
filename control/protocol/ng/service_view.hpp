// SPDX-License-Identifier: Apache-2.0
// What the NG service tells of itself to whoever only shows it.
#pragma once

#include "control/protocol/ng/figures.hpp"
#include "control/session/parameter_access.hpp"
#include "control/value/value.hpp"

namespace ferry::ng {

/// The part of the NG service that text commands read, so that they need not know how it executes commands.
/// `NgService` implements it. Control thread only.
class ServiceView {
 public:
  virtual ~ServiceView() = default;
  /// The rates of the last second.
  [[nodiscard]] virtual const TrafficRates& rates() const = 0;
  /// The parameters of the daemon that may be read and set. Not owned; null = there are none.
  [[nodiscard]] virtual ParameterAccess* parameters() const = 0;
  /// Returns the dictionary of the command `statistics` (docs/reference/ng.md#statistics).
  [[nodiscard]] virtual Dict statistics() const = 0;
};

}  // namespace ferry::ng
