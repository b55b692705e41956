#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make image: packaging/oci/Containerfile with the first builder that works here, as localhost/rtpferry:VERSION.
#
#   packaging/make_image.sh [NAME]      BASE=IMAGE in the environment names another base than Debian's
set -eu
cd "$(dirname "$0")/.."
version=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)
name=${1:-localhost/rtpferry:$version}
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp "build/deb/rtpferry_${version}_$(dpkg --print-architecture).deb" "$context/" 2>/dev/null || {
  echo "there is no package of version $version in build/deb: make deb" >&2
  exit 1
}
options=(--file packaging/oci/Containerfile --tag "$name" ${BASE:+--build-arg "BASE=$BASE"})
if command -v podman >/dev/null; then
  podman build "${options[@]}" "$context"
elif command -v buildah >/dev/null; then
  buildah build ${ISOLATION:+--isolation "$ISOLATION"} "${options[@]}" "$context"
elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then
  docker build "${options[@]}" "$context"
else
  echo "no builder of images works here: podman, buildah or docker" >&2
  exit 1
fi
