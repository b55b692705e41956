// SPDX-License-Identifier: Apache-2.0
// Stages that run in the worker.
#pragma once

#include "relay/media/denormals.hpp"
#include "relay/media/stage_host.hpp"

#include <memory>
#include <utility>

namespace ferry {

/// Makes stages that run on the worker's own thread: without media threads, in tests and simulations.
class DirectStages final : public StageMaker {
 public:
  explicit DirectStages(MakeStage make) : make_(std::move(make)) {}
  [[nodiscard]] std::unique_ptr<OutputStage> make(const StageOwner& owner) override {
    flush_denormals();
    return make_(owner);
  }

 private:
  MakeStage make_;
};

}  // namespace ferry
