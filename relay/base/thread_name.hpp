// SPDX-License-Identifier: Apache-2.0
// The name of a thread, as `top -H` and debuggers show it.
#pragma once

#include <string>

#include <pthread.h>

namespace ferry {

/// Names the calling thread; 15 characters are kept. A thread has to name itself: for another one the C
/// library writes to a file of /proc, and the daemon may open no such file (`relay/rights`).
inline void name_thread(const std::string& name) noexcept {
  constexpr std::size_t kLongest = 15;
  if (name.size() <= kLongest) {
    pthread_setname_np(pthread_self(), name.c_str());
    return;
  }
  char part[kLongest + 1] = {};
  name.copy(part, kLongest);
  pthread_setname_np(pthread_self(), part);
}

}  // namespace ferry
