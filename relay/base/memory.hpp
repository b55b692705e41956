// Doing without memory where packets pass: a call goes on although there is none left (C-12).
#pragma once

#include <memory>
#include <new>
#include <utility>

namespace ferry {

/// Runs `step`, which may allocate. False: there was no memory, and `step` may have done a part of its
/// work. Any thread.
template <class Step>
[[nodiscard]] bool had_memory(Step&& step) noexcept {
  try {
    std::forward<Step>(step)();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

/// Null: there was no memory.
template <class T>
[[nodiscard]] std::unique_ptr<T> make_unique_or_null() noexcept {
  return std::unique_ptr<T>(new (std::nothrow) T);
}

}  // namespace ferry
