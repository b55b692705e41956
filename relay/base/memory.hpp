// SPDX-License-Identifier: Apache-2.0
// Allocation on the packet path. If memory runs out, one step fails and the call goes on (C-12).
#pragma once

#include <memory>
#include <new>
#include <utility>

namespace ferry {

/// Runs `step`, which may allocate. False if memory ran out; `step` may then have done a part of its work.
/// Safe on any thread.
template <class Step>
[[nodiscard]] bool had_memory(Step&& step) noexcept {
  try {
    std::forward<Step>(step)();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

/// Makes a `T`, or returns null if there is no memory.
template <class T, class... Arguments>
[[nodiscard]] std::unique_ptr<T> make_unique_or_null(Arguments&&... arguments) noexcept {
  return std::unique_ptr<T>(new (std::nothrow) T(std::forward<Arguments>(arguments)...));
}

}  // namespace ferry
