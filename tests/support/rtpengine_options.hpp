// SPDX-License-Identifier: Apache-2.0
// The options of rtpengine 26.3, with a value that installations have, so that tests can go through all of
// them.
#pragma once

#include <string_view>

namespace ferry::test {

/// One option of rtpengine.
struct RtpengineOption {
  std::string_view name;
  /// Letter of the short option; 0 = none.
  char letter = 0;
  /// True if it takes no value on the command line.
  bool is_switch = false;
  /// A usual value for the file.
  std::string_view value;
};

// clang-format off
inline constexpr RtpengineOption kRtpengineOptions[] = {
  {"active-switchover", 0, true, "true"}, {"amr-dtx", 0, false, "text"}, {"audio-buffer-delay", 0, false, "5"},
  {"audio-buffer-length", 0, false, "5"}, {"audio-player", 0, false, "text"},
  {"b2b-url", 'b', false, "http://127.0.0.1:8090"}, {"cn-payload", 0, false, "text"},
  {"codec-chain-async", 0, false, "5"}, {"codec-chain-concurrency", 0, false, "5"},
  {"codec-chain-interval", 0, false, "5"}, {"codec-chain-lib-path", 0, false, "/var/lib/rtpengine/file"},
  {"codec-chain-nonblock", 0, true, "true"}, {"codec-chain-opus-application", 0, false, "text"},
  {"codec-chain-opus-complexity", 0, false, "5"}, {"codec-chain-runners", 0, false, "5"},
  {"codec-num-threads", 0, false, "4"}, {"codecs", 0, true, "true"}, {"config-file", 0, false, ""},
  {"config-section", 0, false, "rtpengine"}, {"control-pmtu", 0, false, "text"}, {"control-tos", 0, false, "184"},
  {"db-cache-expire", 0, false, "5"}, {"db-cache-reload", 0, false, "5"},
  {"db-media-cache", 0, false, "/var/lib/rtpengine/file"}, {"db-media-expire", 0, false, "5"},
  {"db-media-reload", 0, false, "5"}, {"debug-srtp", 0, true, "true"}, {"delete-delay", 'd', false, "30"},
  {"dtls-cert-cipher", 0, false, "text"}, {"dtls-ciphers", 0, false, "text"}, {"dtls-mtu", 0, false, "5"},
  {"dtls-passive", 0, true, "true"}, {"dtls-rsa-key-size", 0, false, "5"}, {"dtls-signature", 0, false, "text"},
  {"dtmf-digit-delay", 0, false, "5"}, {"dtmf-log-dest", 0, false, "127.0.0.1:2224"},
  {"dtmf-log-ng-tcp", 0, true, "true"}, {"dtmf-no-log-injects", 0, true, "true"},
  {"dtmf-no-suppress", 0, true, "true"}, {"dtx-buffer", 0, false, "5"}, {"dtx-cn-params", 0, false, "text"},
  {"dtx-delay", 0, false, "5"}, {"dtx-lag", 0, false, "5"}, {"dtx-shift", 0, false, "5"},
  {"endpoint-learning", 0, false, "delayed"}, {"evs-dtx", 0, false, "text"},
  {"evs-lib-path", 0, false, "/var/lib/rtpengine/file"}, {"expiry-timer", 0, false, "5"},
  {"final-timeout", 'a', false, "5"}, {"foreground", 'f', true, "true"}, {"graphite", 'g', false, "127.0.0.1:2003"},
  {"graphite-interval", 'G', false, "5"}, {"graphite-prefix", 0, false, "text"}, {"graphite-timeout", 0, false, "5"},
  {"homer", 0, false, "127.0.0.1:9060"}, {"homer-disable-rtcp-stats", 0, true, "true"}, {"homer-enable-ng", 0, true, "true"},
  {"homer-id", 0, false, "5"}, {"homer-ng-capture-proto", 0, false, "5"}, {"homer-protocol", 0, false, "udp"},
  {"http-buf-size", 0, false, "5"}, {"http-idle-timeout", 0, false, "5"}, {"http-threads", 0, false, "5"},
  {"https-cert", 0, false, "/etc/ssl/cert.pem"}, {"https-key", 0, false, "/etc/ssl/key.pem"},
  {"idle-priority", 0, false, "5"}, {"idle-scheduling", 0, false, "text"}, {"interface", 'i', false, "any"},
  {"interfaces-config", 0, false, "interface"}, {"io-uring", 0, true, "true"}, {"io-uring-buffers", 0, false, "5"},
  {"iptables-chain", 0, false, "text"}, {"janus-secret", 0, false, "text"}, {"jb-adaptive", 0, true, "true"},
  {"jb-adaptive-max", 0, false, "5"}, {"jb-adaptive-min", 0, false, "5"}, {"jb-clock-drift", 0, true, "true"},
  {"jitter-buffer", 0, false, "5"}, {"kernel-num-threads", 0, false, "5"}, {"kernel-player", 0, false, "5"},
  {"kernel-player-media", 0, false, "5"}, {"kernel-slots", 0, false, "5"},
  {"listen-cli", 'c', false, "127.0.0.1:2224"}, {"listen-http", 0, false, "127.0.0.1:2225"},
  {"listen-https", 0, false, "127.0.0.1:2226"}, {"listen-ng", 'n', false, "127.0.0.1:2223"},
  {"listen-tcp", 'l', false, "127.0.0.1:25060"}, {"listen-tcp-ng", 'N', false, "127.0.0.1:2227"},
  {"listen-udp", 'u', false, "127.0.0.1:12222"}, {"log-facility", 0, false, "local1"},
  {"log-facility-cdr", 0, false, "text"}, {"log-facility-dtmf", 0, false, "text"},
  {"log-facility-rtcp", 0, false, "text"}, {"log-format", 0, false, "parsable"}, {"log-level", 'L', false, "10"},
  {"log-mark-prefix", 0, false, "text"}, {"log-mark-suffix", 0, false, "text"}, {"log-name", 0, false, "text"},
  {"log-srtp-keys", 0, true, "true"}, {"log-stderr", 'E', true, "true"}, {"max-bandwidth", 0, false, "5"},
  {"max-cpu", 0, false, "90"}, {"max-dtx", 0, false, "5"}, {"max-load", 0, false, "8.5"},
  {"max-log-line-length", 0, false, "5"}, {"max-recv-iters", 0, false, "5"}, {"max-sessions", 0, false, "5"},
  {"measure-rtp", 0, true, "true"}, {"media-files-expire", 0, false, "5"}, {"media-files-reload", 0, false, "5"},
  {"media-num-threads", 0, false, "-1"}, {"moh-attr-name", 0, false, "text"}, {"moh-max-duration", 0, false, "5"},
  {"moh-max-repeats", 0, false, "5"}, {"moh-prevent-double-hold", 0, true, "true"}, {"mos", 0, false, "CQ"},
  {"mqtt-cafile", 0, false, "/var/lib/rtpengine/file"}, {"mqtt-capath", 0, false, "/var/lib/rtpengine/file"},
  {"mqtt-certfile", 0, false, "/var/lib/rtpengine/file"}, {"mqtt-host", 0, false, "text"},
  {"mqtt-id", 0, false, "text"}, {"mqtt-keepalive", 0, false, "5"},
  {"mqtt-keyfile", 0, false, "/var/lib/rtpengine/file"}, {"mqtt-pass", 0, false, "text"},
  {"mqtt-port", 0, false, "5"}, {"mqtt-publish-interval", 0, false, "5000"}, {"mqtt-publish-qos", 0, false, "1"},
  {"mqtt-publish-scope", 0, false, "global"}, {"mqtt-publish-topic", 0, false, "text"},
  {"mqtt-tls-alpn", 0, false, "text"}, {"mqtt-user", 0, false, "text"}, {"mysql-host", 0, false, "text"},
  {"mysql-pass", 0, false, "text"}, {"mysql-port", 0, false, "5"}, {"mysql-query", 0, false, "text"},
  {"mysql-user", 0, false, "text"}, {"nftables-append", 0, true, "true"}, {"nftables-base-chain", 0, false, "text"},
  {"nftables-chain", 0, false, "text"}, {"nftables-family", 0, false, "text"}, {"nftables-start", 0, true, "true"},
  {"nftables-status", 0, true, "true"}, {"nftables-stop", 0, true, "true"}, {"ng-client-retries", 0, false, "5"},
  {"ng-client-timeout", 0, false, "5"}, {"no-fallback", 'F', true, "true"}, {"no-log-timestamps", 0, true, "true"},
  {"no-redis-required", 'q', true, "true"}, {"num-threads", 0, false, "4"}, {"offer-timeout", 0, false, "5"},
  {"pidfile", 'p', false, "/run/rtpengine.pid"}, {"player-cache", 0, true, "true"},
  {"poller-per-thread", 0, true, "true"}, {"poller-size", 0, false, "5"}, {"port-max", 'M', false, "40000"},
  {"port-min", 'm', false, "30000"}, {"preload-db-cache", 0, false, "text"}, {"preload-db-media", 0, false, "text"},
  {"preload-media-files", 0, false, "/var/lib/rtpengine/file"}, {"priority", 0, false, "5"},
  {"record-both", 0, true, "true"}, {"record-egress", 0, true, "true"},
  {"recording-dir", 0, false, "/var/spool/rtpengine"}, {"recording-format", 0, false, "eth"},
  {"recording-method", 0, false, "proc"}, {"redis", 'r', false, "text"}, {"redis-allowed-errors", 0, false, "5"},
  {"redis-cmd-timeout", 0, false, "5"}, {"redis-connect-timeout", 0, false, "5"},
  {"redis-delete-async", 'y', false, "5"}, {"redis-delete-async-interval", 'y', false, "5"},
  {"redis-disable-time", 0, false, "5"}, {"redis-expires", 0, false, "5"}, {"redis-format", 0, false, "text"},
  {"redis-num-threads", 0, false, "5"}, {"redis-resolve-on-reconnect", 0, true, "true"},
  {"redis-subscribe", 0, false, "text"}, {"redis-tcp-keepalive-intvl", 0, false, "5"},
  {"redis-tcp-keepalive-probes", 0, false, "5"}, {"redis-tcp-keepalive-time", 0, false, "5"},
  {"redis-write", 'w', false, "text"}, {"reject-invalid-sdp", 0, true, "true"}, {"rtcp-interval", 0, false, "5"},
  {"save-interface-ports", 'S', true, "true"}, {"scheduling", 0, false, "text"},
  {"silence-detect", 0, false, "0.05"}, {"silent-timeout", 's', false, "5"}, {"sip-source", 0, true, "true"},
  {"socket-cpu-affinity", 0, false, "5"}, {"software-id", 0, false, "rtpengine"}, {"split-logs", 0, true, "true"},
  {"ssrc-reporting", 0, false, "full"}, {"subscribe-keyspace", 'k', false, "text"}, {"table", 't', false, "0"},
  {"templates", 0, false, "templates"}, {"thread-stack", 0, false, "5"}, {"timeout", 'o', false, "5"},
  {"timer-accuracy", 0, false, "5"}, {"tos", 'T', false, "184"}, {"transcode-config", 0, false, "text"},
  {"version", 'v', true, "true"}, {"vsc-pause-rec", 0, false, "*9"}, {"vsc-pause-resume-rec", 0, false, "*9"},
  {"vsc-start-pause-resume-rec", 0, false, "*9"}, {"vsc-start-rec", 0, false, "*9"},
  {"vsc-start-stop-rec", 0, false, "*9"}, {"vsc-stop-rec", 0, false, "*9"}, {"xmlrpc-format", 'x', false, "2"},
  {"xtables", 0, true, "true"},
};
// clang-format on

}  // namespace ferry::test
