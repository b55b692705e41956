// SPDX-License-Identifier: Apache-2.0
// Sequences of requests on one session manager in virtual time: every octet chooses a part of a step, and
// what must hold is looked at after each one (tests/support/session_script.hpp).
#include "tests/fuzz/facts.hpp"
#include "tests/support/session_script.hpp"

#include <cstdio>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  ferry::test::SessionScript script;
  const std::string fault = script.run({data, size}, 60);
  if (!fault.empty()) std::fprintf(stderr, "%s\n", fault.c_str());
  fact(fault.empty());
  return 0;
}
