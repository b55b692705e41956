// SPDX-License-Identifier: Apache-2.0
// The table of the operator's commands. The daemon's socket, `rtpferryctl --help`, its completion and its
// manual are made of it.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace ferry::cli {

/// Where a command is carried out: by the daemon, by `rtpferryctl` with replies of the daemon, or by
/// `rtpferryctl` alone.
enum class Place : unsigned char { kDaemon, kBoth, kLocal };

/// One command. All texts are shown to people.
struct CommandRow {
  std::string_view name;
  /// Arguments as the help shows them; empty = none.
  std::string_view arguments;
  std::string_view help;
  Place place = Place::kDaemon;
  /// True if the first argument is a Call-ID, so that completion offers the present calls.
  bool takes_call = false;
};

// clang-format off
inline constexpr std::array kCommandRows = std::to_array<CommandRow>({
  {"list", "[--sort=age|severity|loss|packets|refused|jitter|idle] [--reverse] [--match=TEXT] [--state=offered|answered|deleting|silent] [--limit=N]", "calls, oldest first; --sort=severity has the worst first, those in which somebody hears nothing"},
  {"show", "CALL-ID", "one call: legs, addresses, latch, counters, quality, drops", Place::kDaemon, true},
  {"explain", "CALL-ID [--packets]", "who hears whom, and why not: a sentence for each party and direction, then the evidence; also of calls that ended badly, and of requests that were refused", Place::kDaemon, true},
  {"top", "[--sort=severity|loss|packets|refused|jitter|age|idle] [--interval=S] [--once]", "calls on the whole screen, worst first; Enter looks into one, q leaves", Place::kBoth},
  {"where", "CALL-ID from=ADDR:PORT to=PORT [type=N] [ssrc=N] [seq=N] [hex=OCTETS]", "what would happen to this packet; changes nothing", Place::kDaemon, true},
  {"trace", "CALL-ID [--count=N] [--seconds=S] [--pcap=FILE]", "headers of the next packets with verdicts, as text or to a pcap file", Place::kBoth, true},
  {"terminate", "CALL-ID | --all", "end a call now, or every call", Place::kDaemon, true},
  {"record", "start|stop|pause CALL-ID", "recording of one call"},
  {"stats", "", "totals, drops by reason, control counters"},
  {"interfaces", "", "local addresses with their traffic and losses"},
  {"ports", "[--holders]", "use of the port ranges; who holds which port"},
  {"engines", "", "what moves the media, in the kernel and beside it, and why"},
  {"get", "[NAME]", "run-time parameters"},
  {"set", "NAME VALUE", "sets one until the daemon ends"},
  {"params", "[diff]", "run-time parameters; those that were changed since the start"},
  {"log", "level [SUBSYSTEM|CALL-ID] [0-7]", "log levels by subsystem (core, control, calls, media, recorder); a call: 7 logs all of it, 6 as the others"},
  {"drain", "[off]", "take no new calls, and end after the last one; 'off' takes them again"},
  {"ready", "", "whether the relay takes new calls; for probes of containers and scripts"},
  {"doctor", "", "checks the host and the daemon; each line ok, warn or fail with what to do", Place::kBoth},
  {"unknown-flags", "", "words of NG clients that nobody knows, with suggestions"},
  {"version", "", "version of the daemon"},
  {"completion", "bash", "a script for completion in bash: source <(rtpferryctl completion bash)", Place::kLocal},
  {"manual", "", "this program's manual page (man -l -)", Place::kLocal},
});
// clang-format on

/// The row with exactly this name; null if there is none.
constexpr const CommandRow* find_command(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kCommandRows, name, &CommandRow::name);
  return found == kCommandRows.end() ? nullptr : found;
}

}  // namespace ferry::cli
