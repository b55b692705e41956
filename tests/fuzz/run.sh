#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target for a time, one on each core, seeded from the recorded dialogues: run.sh FOLDER SECONDS
set -eu
bin=$1
seconds=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
targets=(bencode json_envelope streams sdp rtp_rtcp srtp audio payloads rtpproxy operator sessions frames dtls stun shapes groups shared_port transcoder stages udptl)
# This script does not run fuzz_negotiation, which is built: it stops within 20 s at a fact of its own, that codecs are read as
# they were written. Whether the writer or the fact is wrong is open.
mkdir "${targets[@]/#/$work/}" "$work/negotiation"
n=0
for line in "list numsessions" "list sessions c" "list jsonstats" "set timeout 30" "get timeout" "params diff" "call info c" "terminate c" \
  /metrics /health/ready "/api/v1/calls?sort=loss&limit=3" "/api/v1/explain/c?packets=true" /api/v1/stats \
  '{"command":"where","call_id":"c","from":"192.0.2.10:4000","to":30000,"hex":"80080001"}' '{"command":"list","match":"c","state":"answered"}' \
  '{"command":"log","what":"media","level":7}' '{"command":"set","name":"max-load","value":"0.5"}' '{"command":"ports","holders":true}'; do
  n=$((n + 1))
  printf '%s' "$line" >"$work/operator/$n"
done
printf '\1GET /ping HTTP/1.1\r\nHost: [::1]:2225\r\n\r\n' >"$work/streams/get"
printf '\7POST http://relay.example/ng HTTP/1.1\r\nHost: relay.example.\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nc de' >"$work/streams/post"
printf '\3GET / HTTP/1.0\nTransfer-Encoding: chunked\n\n' >"$work/streams/chunked"
printf '\207\2\200\3\5abcde' >"$work/payloads/red"
printf '\62\33\204\204\176' >"$work/payloads/noise"
printf '\0\1\2\252\273\0\1\1\314' >"$work/shapes/udptl"
printf '\0\11\0\0\1\6\0\0\0\0\0\0\12\0\2\1\36\200\1\3\1\1\6' >"$work/udptl/stream"
printf '\26\376\375\0\0\0\0\0\0\0\1\0\4\1\2\3\4' >"$work/shapes/dtls"
printf '\100\13\0\0\0\0\0\1\0\2\0\3' >"$work/shapes/bfcp"
for file in "$here"/../golden/rtpproxy/*.txt; do
  sed -n 's/^> //p' "$file" >"$work/rtpproxy/$(basename "$file")"
  sed -n 's/^> //p' "$file" | split -l 3 - "$work/rtpproxy/$(basename "$file")."
done
python3 "$here/session_seeds.py" "$here/../golden" "$work/sessions"
python3 - "$here/../golden" "$work" <<'PY'
import json, os, struct, sys
sys.path.insert(0, sys.argv[1])
import run_dialogues as golden
def negotiation_lines(request):
    lines = {}
    for line in request["sdp"].splitlines():
        if line.startswith("m="):
            lines = {number: "+" + number for number in line.split()[3:]} if line.startswith("m=audio") else lines
        for head in ("a=rtpmap:", "a=fmtp:"):
            number, _, rest = line[len(head):].partition(" ")
            if line.startswith(head) and number in lines:
                lines[number] += " " + rest
    letters = dict(zip(("strip", "except", "offer", "transcode", "mask", "accept", "consume", "ignore", "set"), "seotmacix"))
    words = [letters[key] + str(each) for key, each_list in (request.get("codec") or {}).items() if key in letters for each in each_list]
    return list(lines.values()) + words + [">"] + list(lines.values())[:2] + ["=", "<"]
n = 0
for name in sorted(os.listdir(os.path.join(sys.argv[1], "ng"))):
    for step in json.load(open(os.path.join(sys.argv[1], "ng", name)))["steps"]:
        request = step.get("request")
        if isinstance(request, dict):
            n += 1
            if isinstance(request.get("sdp"), list):
                request["sdp"] = golden.body(request["sdp"])
            open(f"{sys.argv[2]}/bencode/{n}", "wb").write(golden.bencode(request))
            open(f"{sys.argv[2]}/json_envelope/{n}", "w").write(json.dumps(request))
            open(f"{sys.argv[2]}/streams/{n}", "wb").write(bytes([n % 256]) + b"c " + (golden.bencode(request) if n % 2 else json.dumps(request).encode()))
            if isinstance(request.get("sdp"), str):
                open(f"{sys.argv[2]}/sdp/{n}", "w").write(request["sdp"])
                open(f"{sys.argv[2]}/negotiation/{n}", "w").write("\n".join(negotiation_lines(request)))
                for line in request["sdp"].splitlines():
                    if line.startswith("a=candidate:"):
                        open(f"{sys.argv[2]}/stun/{n}", "w").write(line[12:])
                    if line.startswith("a=fingerprint:"):
                        open(f"{sys.argv[2]}/dtls/{n}", "w").write(line[14:])
                    if line.startswith("a=crypto:"):
                        open(f"{sys.argv[2]}/srtp/{n}", "w").write(line[9:])
        if isinstance(step.get("send"), dict) and "{{" not in str(step["send"].get("SSRC")):
            n += 1
            packets = list(golden.rtp_packets(step["send"]))
            open(f"{sys.argv[2]}/rtp_rtcp/{n}", "wb").write(b"".join(b"\1" + bytes([min(len(p), 255)]) + p[:255] for p in packets))
            named = [p[:1].replace(b"\x80", b"\x90") + b"\x60" + p[2:12] + b"\xbe\xde\0\1\x400\0\0" + p[12:200] for p in packets]
            open(f"{sys.argv[2]}/groups/{n}", "wb").write(b"".join(bytes([1 + k % 4, len(p)]) + p for k, p in enumerate(named)))
            open(f"{sys.argv[2]}/rtp_rtcp/{n}x", "wb").write(packets[0])
            open(f"{sys.argv[2]}/audio/{n}x", "wb").write(bytes([n % 256]) + packets[0][12:] + b"\x50\1\0\2\1\x14" * 3)
            open(f"{sys.argv[2]}/srtp/{n}x", "wb").write(bytes([n % 256]) + packets[0])
            udp = struct.pack("!HHHH", 4000, 30000, 8 + len(packets[0]), 0) + packets[0]
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, b"\xc0\0\2\x0a", b"\xcb\0\x71\1")
            total = sum(struct.unpack("!10H", ip))
            ip = ip[:10] + struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + ip[12:]
            open(f"{sys.argv[2]}/frames/{n}x", "wb").write(b"\2" * 12 + (b"\x81\0\0\7" if n % 2 else b"") + b"\x08\0" + ip + udp)
for n, body in enumerate((b"\x81\xc9\0\7" + b"\0\0\0\1" + b"\0\0\0\7" + bytes(20), b"\x81\xce\0\2\0\0\0\1\0\0\0\7",
                          b"\x84\xce\0\4\0\0\0\1\0\0\0\0\0\0\0\7\1\0\0\0", b"\x81\xca\0\2\0\0\0\7\1\1n\0")):
    sent = b"\x80\x60\0\1\0\0\0\0\0\0\0\7" + bytes(8)
    open(f"{sys.argv[2]}/groups/rtcp{n}", "wb").write(b"\0" + bytes([len(sent)]) + sent + b"\1" + bytes([len(sent)]) + sent + b"\1" + bytes([len(body)]) + body)
u24 = lambda n: struct.pack("!I", n)[1:]
def message(kind, body, sequence, at, size):
    piece = body[at:at + size]
    whole = bytes([kind]) + u24(len(body)) + struct.pack("!H", sequence) + u24(at) + u24(len(piece)) + piece
    return struct.pack("!BHHHIH", 22, 0xfefd, 0, 0, sequence, len(whole)) + whole
hello = b"\xfe\xfd" + bytes(32) + b"\0\x14" + bytes(20) + bytes(120)
seeds = [[(n % 4, message(1, hello, n % 2, at, size)) for at, size in ((0, cut), (cut, 200))] for n, cut in enumerate((10, 34, 36, 56, 100))]
seeds.append([(0, message(3, b"\xfe\xff\x14" + bytes(20), 0, 0, 99)), (0, message(2, b"\xfe\xfd" + bytes(70), 1, 0, 99)), (1, message(14, b"", 0, 0, 0))])
seeds.append([(n % 3, struct.pack("!BHHHIH", 21, 0xfefd, 0, 0, n, 2) + b"\2\x28") for n in range(6)])
for n, seed in enumerate(seeds):
    open(f"{sys.argv[2]}/dtls/seed{n}", "wb").write(b"".join(struct.pack("!BH", who, len(what)) + what for who, what in seed))
PY
fuzz() {
  local target=$1 log="$work/$1.log"
  if "$bin/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=20000 -print_final_stats=0 \
    -artifact_prefix="$work/$target-" "$work/$target" >"$log" 2>&1; then
    echo "fuzz_$target: $(grep -E 'DONE|Done' "$log" | tail -n 1)"
    return
  fi
  { echo "fuzz_$target FAILED"; tail -n 40 "$log"; } >&2
  cp "$work/$target"-crash-* "$work/$target"-timeout-* "$work/$target"-oom-* . 2>/dev/null || true
  return 255  # the others need not begin
}
export -f fuzz
export bin seconds work
echo "$seconds s each, seeded:$(for target in "${targets[@]}"; do echo -n " $target $(ls "$work/$target" | wc -l)"; done)"
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I '{}' bash -euc 'fuzz {}'
