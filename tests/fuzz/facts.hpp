// SPDX-License-Identifier: Apache-2.0
// A fact that must hold for any input; a broken one is a finding.
#pragma once

#include <cstdlib>
#include <string_view>

inline void fact(bool holds) {
  if (!holds) std::abort();
}

/// True if `part` lies inside `whole` (an empty part may lie anywhere).
inline bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}
