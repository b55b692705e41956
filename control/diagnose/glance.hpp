// The verdicts of `explain` without their words: for calls that end, of which most are as they should be.
#pragma once

#include "control/diagnose/explain.hpp"

namespace ferry {

/// Causes alone: sentences and evidence stay empty.
[[nodiscard]] Explanation glance(const CallEvidence& call);

}  // namespace ferry
