// SPDX-License-Identifier: Apache-2.0
// Runs a piece of a test in a process of its own: what it gives up is given up there alone.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

namespace ferry {

/// Status of waitpid for a child that runs `task` and ends with its result.
template <class Task>
int in_child(const Task& task) {
  const pid_t child = fork();
  if (child == 0) _exit([&]() noexcept { return task(); }());
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

/// The result of `task` in a child, or 256 and the signal that ended it.
template <class Task>
int result_of_child(const Task& task) {
  const int status = in_child(task);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

}  // namespace ferry
