// Writes the log lines of control commands: one at info for each command that changes something, a warning
// for each that the relay refuses. Both control protocols use it, so that their lines read alike.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace ferry {

/// One command and what became of it. Views; the texts come from outside and are made safe here.
struct CommandReport {
  /// "NG", "NG over HTTP" and the like, or "rtpproxy".
  std::string_view protocol{};
  std::string_view command{};
  /// The call's plain Call-ID; empty where the command names none.
  std::string_view call_id{};
  std::string_view from_tag{};
  std::string_view to_tag{};
  IpAddress client{};
  /// False: it only asked for something. A line of it is at level debug.
  bool changes = true;
  /// Empty if the command was carried out; else why it was refused.
  std::string_view refusal{};
  /// Earlier commands, refused for the same reason, that have no line of their own.
  std::uint64_t left_out = 0;
  /// The warning of a command that was carried out all the same; empty = none.
  std::string_view warning{};
  /// Local addresses and ports that its reply names; empty = none.
  std::string_view local{};
  Duration time{0};
};

/// The text of the line, without time, level and Call-ID.
[[nodiscard]] std::string describe(const CommandReport& report);

/// Writes the line: info if it changed something, debug if it asked, warning if it was refused or odd.
void log_command(const CommandReport& report);

/// The local ports that an SDP shows, as "audio 192.0.2.1:30000, video off".
[[nodiscard]] std::string ports_in_sdp(std::string_view sdp);

}  // namespace ferry
