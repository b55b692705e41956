#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make run: the daemon on loopback and a demonstration call through it. With a second argument it stays.
set -eu
bin=$1
stay=${2:-}
port=${NG_PORT:-2223}
socket=$(mktemp -d)/control.sock
"$bin/rtpferryd" --config-file=none --interface=127.0.0.1 --listen-ng=127.0.0.1:"$port" --control-socket="$socket" --log-level=5 &
daemon=$!
trap 'kill $daemon 2>/dev/null; wait $daemon 2>/dev/null || true; rm -rf "$(dirname "$socket")"' EXIT
result=0
"$bin/rtpferry-demo" --ng=127.0.0.1:"$port" --socket="$socket" --seconds="${DEMO_SECONDS:-5}" || result=$?
if [ -n "$stay" ]; then
  echo "rtpferryd goes on: point a proxy at udp:127.0.0.1:$port, ask with $bin/rtpferryctl --socket=$socket list, end with Ctrl-C"
  wait $daemon || true
fi
exit $result
