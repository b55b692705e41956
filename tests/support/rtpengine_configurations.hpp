// SPDX-License-Identifier: Apache-2.0
// Shapes of public configurations of rtpengine, with the addresses of RFC 5737.
#pragma once

#include <string_view>

namespace ferry::test {

struct RtpengineConfiguration {
  std::string_view name;
  std::string_view text;
  /// True if it starts only once `control-allow` names who may send commands.
  bool needs_allow_list = false;
};

inline constexpr RtpengineConfiguration kRtpengineConfigurations[] = {
    {"container with pcap recording", R"([rtpengine]
interface=192.0.2.1
foreground=true
log-stderr=true
listen-ng=22222
port-min=23000
port-max=32768
recording-dir=/var/spool/rec
recording-method=pcap 
recording-format=eth 
log-level=6 
delete-delay=0
)"},
    {"router distribution", R"([rtpengine]
table = 0
interface = ipv4/192.0.2.1!198.51.100.8
listen-ng = 127.0.0.1:7722
port-min = 10000
port-max = 20000
log-level = 7
log-facility = local1
log-facility-cdr = local1
log-facility-rtcp = local1
)"},
    {"old sample with legacy listeners and a second section", R"([rtpengine]
table = 0
interface = 192.0.2.1 
 listen-tcp = 25060
 listen-udp = 12222
 listen-ng = 22222
 listen-cli = 9900
timeout = 60
silent-timeout = 3600
tos = 184
port-min = 30000
port-max = 40000
[rtpengine-testing]
table = -1
interface = 10.15.20.121
listen-ng = 2223
foreground = true
log-stderr = true
log-level = 7
)"},
    {"generator of a mobile core", R"([rtpengine]
interface = 192.0.2.1
listen-ng = 192.0.2.1:2223
tos = 184
port-min = 30000
port-max = 40000
log-level = 5
)",
     true},
    {"options that never existed", R"([rtpengine]
interface = 192.0.2.1
listen-ng = 127.0.0.1:2223
port-min = 30000
port-max = 40000
dtls = yes
sdes = yes
srtp-crypto-suite = AES_CM_128_HMAC_SHA1_80
codec-strip = all
timeout = 60
table = 0
)"},
    {"upper-case word of its own", R"([rtpengine]
interface=192.0.2.1
foreground=true
log-stderr=true
listen-ng=12221
listen-udp=22222
port-min=50000
port-max=60000
recording-dir=/var/spool/rec
recording-method=pcap
recording-format=eth
log-level=6
delete-delay=0
MAX_SESSIONS=50000
)"},
    {"nftables", R"([rtpengine]
table = 0
no-fallback = true
interface = 192.0.2.1!198.51.100.8
listen-ng = 192.0.2.1:2223
listen-cli = 192.0.2.1:2224
listen-http = 192.0.2.1:2225
port-min = 30000
port-max = 39999
nftables-family = ip
nftables-chain = rtpengine
nftables-base-chain = INPUT
max-sessions = 5000
log-level = 6
tos = 184
)",
     true},
    {"distribution default", R"([rtpengine]
table = 0
interface = any
listen-ng = localhost:2223
listen-http = localhost:2225
listen-cli = localhost:2224
timeout = 60
silent-timeout = 3600
tos = 184
port-min = 30000
port-max = 40000
recording-dir = /var/spool/rtpengine
recording-method = proc
 log-level = 6
 log-stderr = false
 log-facility = daemon
 log-facility-cdr = local0
 log-facility-rtcp = local1
)"},
    {"two interfaces and HTTP", R"([rtpengine]
interface=internal/192.0.2.1;external/192.0.2.2
foreground=true
log-stderr=true
listen-ng=127.0.0.1:22222
listen-http=127.0.0.1:8080
port-min=30000
port-max=40000
recording-dir=/var/spool/rec
recording-method=pcap
recording-format=eth
log-level=5
delete-delay=0
)"},
    {"public and private", R"([rtpengine]
interface = public/192.0.2.1!192.0.2.1
interface = private/192.0.2.2!192.0.2.2
listen-ng = 127.0.0.1:22222
listen-cli = 127.0.0.1:9900
num-threads = 8
port-min = 30000
port-max = 40000
)"},
};

}  // namespace ferry::test
