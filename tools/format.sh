#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-format 14 over the sources: format.sh check|fix
set -eu
cd "$(git rev-parse --show-toplevel)"
mapfile -t files < <(git ls-files '*.hpp' '*.cpp')
if [ "${1:-check}" = fix ]; then
  clang-format -i "${files[@]}"
else
  clang-format --dry-run --Werror "${files[@]}" && echo "format: ${#files[@]} files are formatted"
fi
