// SPDX-License-Identifier: Apache-2.0
// Keeps tiny numbers from costing much.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <cstdint>

namespace ferry {

/// From now on numbers too small for a normal float count as zero on this thread. Codecs that fade to silence
/// would else become ten times as slow, since many processors compute with such numbers in microcode.
inline void flush_denormals() noexcept {
#if defined(__x86_64__)
  constexpr unsigned kFlushToZeroAndDenormalsAreZero = 0x8040;
  _mm_setcsr(_mm_getcsr() | kFlushToZeroAndDenormalsAreZero);
#elif defined(__aarch64__)
  std::uint64_t control = 0;
  asm volatile("mrs %0, fpcr" : "=r"(control));
  asm volatile("msr fpcr, %0" : : "r"(control | (std::uint64_t{1} << 24)));
#endif
}

}  // namespace ferry
