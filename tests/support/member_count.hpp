// SPDX-License-Identifier: Apache-2.0
// How many members an aggregate has: counted by the compiler, so that nobody has to.
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace ferry::test {

/// Stands for the initializer of any member, but not for an `Owner` that is to be copied.
template <class Owner>
struct AnyMember {
  template <class Member>
  requires(!std::same_as<std::remove_cvref_t<Member>, Owner>) operator Member&&()
      const&&;  // NOLINT(google-explicit-constructor)
};

template <class T, std::size_t... kIndex>
consteval bool takes(std::index_sequence<kIndex...>) {
  return requires { T{(static_cast<void>(kIndex), std::declval<AnyMember<T>>())...}; };
}

/// Members of `T` itself; each base class counts as one.
template <class T, std::size_t kMost = 40>
consteval std::size_t member_count() {
  static_assert(std::is_aggregate_v<T>);
  if constexpr (takes<T>(std::make_index_sequence<kMost>()))
    return kMost;
  else
    return member_count<T, kMost - 1>();
}

}  // namespace ferry::test
