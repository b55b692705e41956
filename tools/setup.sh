#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that a purpose needs: setup.sh run|build|test|bench|fuzz|tidy|package …
# Quick when nothing is missing. Without the rights it says what to install and fails.
set -eu

# The programs without what is optional.
run=(g++ cmake ninja-build make pkg-config ccache libevent-dev libexpected-dev libfmt-dev libspdlog-dev nlohmann-json3-dev
     libssl-dev libwslay-dev libbpf-dev libmnl-dev libcap-dev libseccomp-dev libsystemd-dev libsrtp2-dev libsndfile1-dev libpcap-dev
     libopus-dev libspeex-dev libspeexdsp-dev libopencore-amrnb-dev libopencore-amrwb-dev libvo-amrwbenc-dev
     libcurl4-openssl-dev prometheus-cpp-dev libncurses-dev zlib1g-dev clang bpftool libspandsp-dev libmosquitto-dev)
# With the engine dpdk, codec plug-ins and what the tests are built with.
build=("${run[@]}" libdpdk-dev libbcg729-dev libavcodec-dev libavutil-dev libgtest-dev libgmock-dev
       librapidcheck-dev python3)
test=(systemd apparmor python3-yaml openssl kamailio kamailio-extra-modules kamailio-websocket-modules sip-tester baresip-core ffmpeg sox tmux prometheus man-db tshark tcpdump nftables iproute2 iputils-ping ethtool procps clang-format util-linux python3-cryptography faketime chromium python3-aiortc mosquitto mosquitto-clients)
# What drives Chromium: another source of Node.js than Debian's will do, and brings its own npm.
command -v node >/dev/null && command -v npm >/dev/null || test+=(nodejs npm)
bench=(rtpengine-daemon dpdk-dev util-linux iproute2 ethtool procps)
fuzz=(clang libclang-rt-14-dev)
tidy=(clang-tidy)
package=(debhelper dh-apparmor dpkg-dev fakeroot lintian mmdebstrap apparmor patchelf strace)

# Where it exists: an SRTP back end more.
[ "$(dpkg --print-architecture)" != amd64 ] || build+=(libipsec-mb-dev)

# iLBC: one archive and one header of libtgowt-dev, unpacked below build/ instead of installed, for the package wants X11,
# FFmpeg and more (docs/adr/0014-ilbc-from-an-archive.md). A build without them does not encode iLBC.
unpack_ilbc() {
  case " $* " in *" build "*) ;; *) return 0 ;; esac
  local header=usr/include/tg_owt/modules/audio_coding/codecs/ilbc/ilbc.h
  local at
  at=$(realpath -m "$(dirname "$0")/../build/packages")
  [ ! -e "/$header" ] && [ ! -e "$at/$header" ] || return 0
  echo "unpacking libtgowt-dev"
  mkdir -p "$at"
  (
    cd "$at"
    { apt-get download libtgowt-dev || { ${root[@]+"${root[@]}"} apt-get update && apt-get download libtgowt-dev; }; } &&
      dpkg-deb --fsys-tarfile libtgowt-dev_*.deb |
      tar -x --wildcards '*/libtg_owt.a' '*/codecs/ilbc/ilbc.h' '*/libtgowt-dev/copyright' &&
      rm -f libtgowt-dev_*.deb
  ) >/dev/null 2>&1 || echo "libtgowt-dev is not to be had here: the build will not encode iLBC"
}

wanted=()
for purpose in "$@"; do
  declare -n list="$purpose"
  wanted+=("${list[@]}")
done

missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || { unpack_ilbc "$@"; exit 0; }

if [ "$(id -u)" = 0 ]; then
  root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  root=(sudo)
else
  echo "These packages are missing: ${missing[*]}" >&2
  echo "Install them with: apt-get install ${missing[*]}" >&2
  exit 1
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
install() { "${root[@]}" apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; }
# No service of these packages shall start: they are parts of tests here.
policy=/usr/sbin/policy-rc.d
made_policy=0
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null && "${root[@]}" chmod +x $policy && made_policy=1
fi
trap '[ $made_policy = 0 ] || "${root[@]}" rm -f $policy; rm -f "$log"' EXIT
install || { "${root[@]}" apt-get update >/dev/null 2>&1; install; } || { tail -n 20 "$log" >&2; exit 1; }
unpack_ilbc "$@"
