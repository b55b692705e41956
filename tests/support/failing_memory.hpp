// SPDX-License-Identifier: Apache-2.0
// Replaces `operator new` of a test program by one that fails when it is told to. One source of a program
// includes it.
#pragma once

#include <cstdlib>
#include <new>

namespace ferry::test {

/// How the next allocations go. One thread alone may allocate while some are to fail.
struct FailingMemory {
  /// Allocations until one fails; negative: none does.
  static inline long left = -1;
  /// How many fail from then on.
  static inline long failures = 0;
  /// Smaller allocations neither fail nor count; in octets.
  static inline std::size_t least = 0;
  /// How many have failed so far.
  static inline long failed = 0;

  static void* allocate(std::size_t size) {
    if (size >= least && left >= 0 && left-- == 0) {
      ++failed;
      left = --failures > 0 ? 0 : -1;
      throw std::bad_alloc();
    }
    void* memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
};

}  // namespace ferry::test

// gcc takes `free` in one of these for a mismatch when it inlines the others.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) { return ferry::test::FailingMemory::allocate(size); }
void* operator new[](std::size_t size) { return ferry::test::FailingMemory::allocate(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return ferry::test::FailingMemory::allocate(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
#pragma GCC diagnostic pop
