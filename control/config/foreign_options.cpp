// SPDX-License-Identifier: Apache-2.0
// The table of rtpengine's options that have other names here, or no counterpart.
//
// Each row has a sentence for the operator. Rows of one subject share it where it is the same.

#include "control/config/foreign_options.hpp"

#include "control/config/config.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace ferry {

namespace {

using Text = std::string_view;

constexpr OptionKind kSwitch = OptionKind::kSwitch;
constexpr OptionKind kValue = OptionKind::kValue;

constexpr Text kNoModule =
    "packets are forwarded in the kernel by BPF, without a module and without rules of a firewall (option "
    "offload)";
constexpr Text kNoRedis = "calls are not shared through Redis, they live in this process alone";
constexpr Text kNoDatabase =
    "there is no database driver: sounds come from the folders media-files and media-numbers";
constexpr Text kNoChain =
    "there is no codec-chain library: media-threads convert audio with the libraries that --codecs lists";
constexpr Text kOneLog =
    "there is one log, whose lines say what they are about (log-facility, log-format=json)";
constexpr Text kOwnThreads =
    "workers and media threads wait for their own packets (num-threads, media-threads)";
constexpr Text kHostPriority = "the service manager sets priorities (systemd: Nice=, CPUSchedulingPolicy=)";
constexpr Text kOwnJitter =
    "audio that is converted waits as long as the jitter needs, at most 80 ms; other audio does not wait";
constexpr Text kOwnPauses =
    "pauses become comfort noise, or the pause of the receiver's codec, as its SDP says";
constexpr Text kOwnDtls = "the relay chooses keys and ciphers of DTLS itself (ECDSA P-256, AES-GCM)";
constexpr Text kSecretKeys =
    "keys are never logged (SRT-15); rtpferryctl trace writes packets in the clear with them";
constexpr Text kSoundCache =
    "sounds are encoded when they are first played and kept (media-cache); changed files are read again";
constexpr Text kMusic = "music on hold plays until the hold ends, and the key moh says with what";

std::optional<std::string> number_above_0(Text value) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number == 0) return std::nullopt;
  return std::string(value);
}

// clang-format off
constexpr ForeignOption kForeign[] = {
  {"listen-tcp", "the old text protocol over TCP is not spoken; listen-ng has the NG protocol, listen-rtpp=tcp:ADDR:PORT rtpproxy's", kValue, 'l'},

  {"table", kNoModule, kValue, 't'}, {"no-fallback", kNoModule, kSwitch, 'F'}, {"iptables-chain", kNoModule}, {"nftables-append", kNoModule, kSwitch}, {"nftables-base-chain", kNoModule},
  {"nftables-chain", kNoModule}, {"nftables-family", kNoModule}, {"nftables-start", kNoModule, kSwitch},
  {"nftables-status", kNoModule, kSwitch}, {"nftables-stop", kNoModule, kSwitch}, {"xtables", kNoModule, kSwitch},
  {"kernel-num-threads", kNoModule}, {"kernel-player", kNoModule}, {"kernel-player-media", kNoModule}, {"kernel-slots", kNoModule},

  {"redis", kNoRedis, kValue, 'r'}, {"redis-write", kNoRedis, kValue, 'w'}, {"subscribe-keyspace", kNoRedis, kValue, 'k'},
  {"no-redis-required", kNoRedis, kSwitch, 'q'}, {"redis-delete-async", kNoRedis, kValue, 'y'}, {"redis-delete-async-interval", kNoRedis},
  {"redis-allowed-errors", kNoRedis}, {"redis-cmd-timeout", kNoRedis}, {"redis-connect-timeout", kNoRedis}, {"redis-disable-time", kNoRedis},
  {"redis-expires", kNoRedis}, {"redis-format", kNoRedis}, {"redis-num-threads", kNoRedis}, {"redis-resolve-on-reconnect", kNoRedis, kSwitch},
  {"redis-subscribe", kNoRedis}, {"redis-tcp-keepalive-intvl", kNoRedis}, {"redis-tcp-keepalive-probes", kNoRedis}, {"redis-tcp-keepalive-time", kNoRedis},
  {"active-switchover", kNoRedis, kSwitch},

  {"mysql-host", kNoDatabase}, {"mysql-pass", kNoDatabase}, {"mysql-port", kNoDatabase}, {"mysql-query", kNoDatabase}, {"mysql-user", kNoDatabase},
  {"db-cache-expire", kNoDatabase}, {"db-cache-reload", kNoDatabase}, {"db-media-cache", kNoDatabase}, {"db-media-expire", kNoDatabase},
  {"db-media-reload", kNoDatabase}, {"preload-db-cache", kNoDatabase}, {"preload-db-media", kNoDatabase},

  {"codec-chain-async", kNoChain}, {"codec-chain-concurrency", kNoChain}, {"codec-chain-interval", kNoChain}, {"codec-chain-lib-path", kNoChain},
  {"codec-chain-nonblock", kNoChain, kSwitch}, {"codec-chain-opus-application", kNoChain}, {"codec-chain-opus-complexity", kNoChain}, {"codec-chain-runners", kNoChain},


  {"log-facility-cdr", kOneLog}, {"log-facility-dtmf", kOneLog}, {"log-facility-rtcp", kOneLog}, {"split-logs", kOneLog, kSwitch},
  {"log-mark-prefix", "addresses of parties are shortened in the log (CTL-11), without marks around them"},
  {"log-mark-suffix", "addresses of parties are shortened in the log (CTL-11), without marks around them"},
  {"log-name", "lines of syslog have the name of the program"},
  {"no-log-timestamps", "lines on stderr have a time; journald and syslog add their own", kSwitch},
  {"max-log-line-length", "lines are short: long texts of clients are cut"},
  {"log-srtp-keys", kSecretKeys, kSwitch}, {"debug-srtp", kSecretKeys, kSwitch},

  {"codec-num-threads", "threads that convert audio are always there, one per core", kValue, 0, "media-threads", number_above_0},
  {"media-num-threads", "threads that convert and play audio are always there, one per core", kValue, 0, "media-threads", number_above_0},
  {"http-threads", "one thread serves all control listeners"}, {"http-buf-size", "requests of HTTP have at most 256 KiB"},
  {"expiry-timer", kOwnThreads}, {"timer-accuracy", kOwnThreads}, {"poller-per-thread", kOwnThreads, kSwitch}, {"poller-size", kOwnThreads},
  {"max-recv-iters", kOwnThreads}, {"io-uring", kOwnThreads, kSwitch}, {"io-uring-buffers", kOwnThreads}, {"thread-stack", kOwnThreads},
  {"socket-cpu-affinity", kOwnThreads},
  {"priority", kHostPriority}, {"scheduling", kHostPriority}, {"idle-priority", kHostPriority}, {"idle-scheduling", kHostPriority},

  {"jitter-buffer", kOwnJitter}, {"jb-adaptive", kOwnJitter, kSwitch}, {"jb-adaptive-max", kOwnJitter}, {"jb-adaptive-min", kOwnJitter},
  {"jb-clock-drift", kOwnJitter, kSwitch}, {"audio-buffer-delay", kOwnJitter}, {"audio-buffer-length", kOwnJitter},
  {"dtx-buffer", kOwnPauses}, {"dtx-cn-params", kOwnPauses}, {"dtx-delay", kOwnPauses}, {"dtx-lag", kOwnPauses}, {"dtx-shift", kOwnPauses},
  {"max-dtx", kOwnPauses}, {"amr-dtx", kOwnPauses}, {"evs-dtx", kOwnPauses}, {"cn-payload", kOwnPauses}, {"silence-detect", kOwnPauses},
  {"evs-lib-path", "the relay has no EVS: codec-plugins would load a plug-in for it, but there is none yet"},
  {"transcode-config", "each request says which codecs are converted (key codec)"},
  {"audio-player", "the key audio-player of a request says it; without the key, audio of several parties is mixed"},
  {"player-cache", kSoundCache, kSwitch}, {"preload-media-files", kSoundCache}, {"media-files-expire", kSoundCache}, {"media-files-reload", kSoundCache},
  {"moh-attr-name", kMusic}, {"moh-max-duration", kMusic}, {"moh-max-repeats", kMusic}, {"moh-prevent-double-hold", kMusic, kSwitch},
  {"dtmf-digit-delay", "the key DTMF-delay of a request says it"},
  {"dtmf-no-log-injects", "digits of play DTMF are not reported", kSwitch}, {"dtmf-no-suppress", "events and tones are never both sent", kSwitch},

  {"dtls-cert-cipher", kOwnDtls}, {"dtls-ciphers", kOwnDtls}, {"dtls-rsa-key-size", kOwnDtls}, {"dtls-signature", kOwnDtls},
  {"dtls-mtu", "messages of DTLS have at most 1,200 octets"},
  {"control-pmtu", "the kernel finds the path MTU of control replies"},
  {"ng-client-retries", "the relay sends no requests of the NG protocol"}, {"ng-client-timeout", "the relay sends no requests of the NG protocol"},
  {"record-both", "either what parties send is recorded, or what they are sent (record-egress)", kSwitch},
  {"rtcp-interval", "reports of the relay's own go every 5 s (RFC 3550 §6.2)"},
  {"save-interface-ports", "a port pair is open only while a call has it", kSwitch, 'S'},
  {"software-id", "the relay's own SDP has a name that must be one word", kValue, 0, "software-name"},
  {"janus-secret", "the relay does not speak Janus's protocol"},
};
// clang-format on

}  // namespace

std::span<const ForeignOption> foreign_options() { return kForeign; }

const ForeignOption* find_foreign_option(std::string_view name) {
  const auto found = std::ranges::find(kForeign, name, &ForeignOption::name);
  return found == std::end(kForeign) ? nullptr : found;
}

const ForeignOption* find_foreign_option(char letter) {
  const auto found = std::ranges::find(kForeign, letter, &ForeignOption::letter);
  return letter == 0 || found == std::end(kForeign) ? nullptr : found;
}

std::optional<OwnSetting> own_setting(const ForeignOption& option, std::string_view value) {
  if (option.own_name.empty()) return std::nullopt;
  std::optional<std::string> own =
      option.own_value != nullptr ? option.own_value(value) : std::optional(std::string(value));
  const OptionRow* row = find_option(option.own_name);
  Config scratch;
  if (!own || row == nullptr || !apply_option(scratch, *row, *own).empty()) return std::nullopt;
  return OwnSetting{option.own_name, std::move(*own)};
}

std::string foreign_notice(const ForeignOption& option) {
  return fmt::format("{} has no effect: {}", option.name, option.instead);
}

void take_foreign_option(Config& config, const ForeignOption& option, std::string_view value) {
  config.was_made_for_rtpengine = true;
  if (const auto own = own_setting(option, value)) {
    static_cast<void>(apply_option(config, *find_option(own->name), own->value));
    return;
  }
  std::string text = foreign_notice(option);
  if (std::ranges::find(config.notices, text) == config.notices.end())
    config.notices.push_back(std::move(text));
}

}  // namespace ferry
