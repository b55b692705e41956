// SPDX-License-Identifier: Apache-2.0
#include "relay/base/random.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <sys/random.h>

namespace ferry {

std::uint64_t random_u64() {
  // One system call fills a stock of 64 values; each thread has its own. A value that is handed out is
  // replaced by zero, so that it cannot be read again.
  thread_local std::array<std::uint64_t, 64> stock;
  thread_local std::size_t left = 0;
  if (left == 0) {
    auto* bytes = reinterpret_cast<char*>(stock.data());
    std::size_t done = 0;
    while (done < sizeof stock) {
      const ssize_t n = getrandom(bytes + done, sizeof stock - done, 0);
      if (n < 0 && errno != EINTR) std::abort();  // cannot happen: flags are valid, the buffer is ours
      if (n > 0) done += static_cast<std::size_t>(n);
    }
    left = stock.size();
  }
  return std::exchange(stock[--left], 0);
}

void random_octets(MutableBytes to) {
  while (!to.empty()) {
    const std::uint64_t bits = random_u64();
    const std::size_t now = std::min(to.size(), sizeof bits);
    std::memcpy(to.data(), &bits, now);
    to = to.subspan(now);
  }
}

std::uint32_t random_below(std::uint32_t bound) {
  // Multiply and shift instead of a division. The bias is at most `bound` / 2^32, which helps nobody to guess
  // a port.
  return static_cast<std::uint32_t>(((random_u64() >> 32) * bound) >> 32);
}

std::string random_hex(std::size_t digits) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(digits);
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (i % 16 == 0) bits = random_u64();
    text.push_back(kDigits[bits & 15]);
    bits >>= 4;
  }
  return text;
}

}  // namespace ferry
