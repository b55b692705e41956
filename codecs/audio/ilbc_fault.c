/* SPDX-License-Identifier: Apache-2.0 */
/* What WebRTC's code calls where one of its own assumptions is broken. Its own version writes by C++ streams. */
#include <stdio.h>
#include <stdlib.h>

void rtc_FatalMessage(const char* file, int line, const char* message);

void rtc_FatalMessage(const char* file, int line, const char* message) {
  fprintf(stderr, "iLBC: %s:%d: %s\n", file, line, message);
  abort();
}
