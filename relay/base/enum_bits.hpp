// SPDX-License-Identifier: Apache-2.0
// Enumerators that are kept in a fixed number of bits: the compiler counts them.
#pragma once

#include <string_view>

namespace ferry {

/// Whether `kValue`, of an enum, has a name. GCC and clang write a value without one as a cast: `(State)4`.
template <auto kValue>
constexpr bool is_enumerator() noexcept {
  const std::string_view text = __PRETTY_FUNCTION__;
  return text.find("kValue = (") == std::string_view::npos;
}

/// Whether `Enum` has at most `kMost` enumerators. They must begin at 0 and leave no value out.
template <class Enum, unsigned kMost>
inline constexpr bool kHasAtMost = !is_enumerator<static_cast<Enum>(kMost)>();

}  // namespace ferry
