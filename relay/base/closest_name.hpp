// SPDX-License-Identifier: Apache-2.0
// Suggests the name that a user probably meant when he misspelt one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

namespace ferry {

/// Number of letters to insert, delete or replace to turn `a` into `b` (Levenshtein distance).
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() +
                               1);  // a single row of the distance table, overwritten for each letter of `a`
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

/// The name among `rows` that is closest to `word`, if it is at most two letters away; else empty. `name_of`
/// is called with a row and returns its name as a view that outlives the call.
template <class Rows, class NameOf>
std::string_view closest_name(std::string_view word, const Rows& rows, NameOf name_of) {
  std::string_view best;
  std::size_t best_distance = 3;
  for (const auto& row : rows) {
    const std::string_view name = std::invoke(name_of, row);
    const std::size_t distance = edit_distance(name, word);
    if (distance < best_distance && distance < name.size()) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

}  // namespace ferry
