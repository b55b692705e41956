#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make deb: source package and Debian packages of this folder, in build/deb.
#
#   packaging/make_deb.sh [JOBS] [WORK]
#
# The source is what git tracks, as it lies here. Its time is that of packaging/debian/changelog, so that the same files make
# the same octets. WORK (build/deb) is where the source is unpacked and built; what is there is replaced, but for the .deb of
# other versions. Compilers run through ccache where it is installed, and a second build is quick. FERRY_TRIAL=1 compiles as
# `make build` does, so that ccache has the objects of build/release already: for trying out, not for release, because such
# programs lack Debian's hardening.
set -eu
cd "$(dirname "$0")/.."
jobs=${1:-$(nproc)}
work=$(realpath -m "${2:-build/deb}")
changelog=packaging/debian/changelog
version=$(dpkg-parsechangelog -l $changelog -S Version)
upstream=${version%-*}
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l $changelog -S Timestamp)
export SOURCE_DATE_EPOCH
export LC_ALL=C.UTF-8 TZ=UTC
source=$work/rtpferry-$upstream
orig=$work/rtpferry_$upstream.orig.tar.gz

mkdir -p "$work"
rm -rf "$source" "$work/rtpferry_$version"* "$orig"
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  git ls-files -z
else
  find . -path ./build -prune -o \( -type f -o -type l \) -printf '%P\0'
fi | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
  sort -z | tar --create --no-recursion --null --files-from=- --transform="s,^,rtpferry-$upstream/,rSh" \
    --mtime=@"$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=gnu |
  gzip -9n > "$orig"

mkdir "$source"
tar -xzf "$orig" -C "$work"
cp -rL packaging/debian "$source/debian"

# libtgowt-dev wants X11 and more installed, so that tools/setup.sh unpacks it. Where it is installed, that one is used.
profiles=()
unpacked=$(realpath -m build/packages)
if [ -e "$unpacked/usr/include/tg_owt" ]; then
  profiles=(--build-profiles=pkg.rtpferry.unpacked)
  export FERRY_UNPACKED=$unpacked
fi
if command -v ccache >/dev/null; then
  # The locale is part of what ccache compares, and debhelper sets LC_ALL.
  export CMAKE_C_COMPILER_LAUNCHER="env;-u;LC_ALL;ccache" CMAKE_CXX_COMPILER_LAUNCHER="env;-u;LC_ALL;ccache"
  # debhelper hides the home folder, where ccache's own file is. All is asked first, for CCACHE_DIR hides that file too.
  cache_dir=$(ccache --get-config cache_dir)
  base_dir=$(ccache --get-config base_dir)
  hash_dir=$(ccache --get-config hash_dir)
  max_size=$(ccache --get-config max_size)
  export CCACHE_DIR="$cache_dir" CCACHE_BASEDIR="${base_dir:-$work}" CCACHE_MAXSIZE="$max_size"
  [ "$hash_dir" = true ] || export CCACHE_NOHASHDIR=1
fi
what=--build=full
if [ -n "${FERRY_TRIAL:-}" ]; then
  what=--build=binary
  export DEB_BUILD_OPTIONS="noautodbgsym ${DEB_BUILD_OPTIONS:-}"
fi
log=$work/build.log
(cd "$source" && dpkg-buildpackage "${profiles[@]}" -us -uc $what "-j$jobs") >"$log" 2>&1 || {
  tail -n 40 "$log" >&2
  echo "the whole log is $log" >&2
  exit 1
}
ls "$work"/rtpferry*_"$version"_*.deb
