#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything: both compilers, address, undefined-behaviour and thread sanitizers, clang-tidy, fuzzing.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh build test bench fuzz tidy
launcher=$(command -v ccache >/dev/null && echo -DCMAKE_CXX_COMPILER_LAUNCHER=ccache || true)
for preset in debug clang asan tsan; do
  echo "== $preset"
  cmake --preset $preset -DFERRY_WERROR=ON $launcher >/dev/null
  cmake --build build/$preset
  ctest --test-dir build/$preset --output-on-failure -L 'unit|sim'
done
echo "== clang-tidy"
git ls-files '*.cpp' | grep -vE '^(tests|bench)/' | xargs clang-tidy -p build/clang --quiet
echo "== fuzz"
cmake --preset fuzz $launcher >/dev/null && cmake --build build/fuzz --target fuzz_targets && tests/fuzz/run.sh build/fuzz/bin "${FUZZ_SECONDS:-120}"
