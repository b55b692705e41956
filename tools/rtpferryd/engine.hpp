// SPDX-License-Identifier: Apache-2.0
// Chooses the engine. This is the one place that knows which engines the build has.
#pragma once

#include "control/config/config.hpp"
#include "relay/base/result.hpp"
#include "relay/io/engine.hpp"

#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// An engine, and how it is described.
struct ChosenEngine {
  std::unique_ptr<Engine> engine;
  /// Returns the members of the reply to `engines`: `engine`, `reason` and those of the engine itself. May be
  /// called while `engine` lives.
  std::function<nlohmann::json()> describe;
};

/// Makes the engine that the configuration asks for. Fails with a sentence for the operator.
Result<ChosenEngine, std::string> make_engine(const Config& config, const InterfaceSet& interfaces);

/// Returns why this build lacks the engine that the configuration asks for; empty if it has it.
std::string missing_engine(const Config& config);

}  // namespace ferry
