// SPDX-License-Identifier: Apache-2.0
// Writes the log line of a control command: at info for a command that changes something, at debug for one
// that only asks, as a warning for one that the relay refuses. All control protocols use it, so that their
// lines read alike.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace ferry {

/// One command and its outcome. The views are borrowed for the call. Their texts may come from outside;
/// `describe` makes them safe for a log line.
struct CommandReport {
  /// Protocol and transport as people read them: "NG", "NG over HTTP" and the like, or "rtpproxy".
  std::string_view protocol{};
  /// Name of the command, as the client sent it.
  std::string_view command{};
  /// The Call-ID as it came from the network; empty if the command names none.
  std::string_view call_id{};
  /// Tags that the command names; empty = none.
  std::string_view from_tag{};
  std::string_view to_tag{};
  /// Address of the client that sent the command.
  IpAddress client{};
  /// False if the command only asks for something; its line is then written at level debug.
  bool changes = true;
  /// Reason of a refusal, in words; empty if the command was carried out.
  std::string_view refusal{};
  /// Number of earlier commands that were refused for the same reason and got no line of their own.
  std::uint64_t left_out = 0;
  /// Warning about a command that was carried out nevertheless; empty = none.
  std::string_view warning{};
  /// Local addresses and ports that the reply names; empty = none.
  std::string_view local{};
  /// Time that the command took.
  Duration time{0};
};

/// Returns the text of the line, without time, level and Call-ID.
[[nodiscard]] std::string describe(const CommandReport& report);

/// True if the line would be written. Ask before a text for it is made that costs something.
[[nodiscard]] bool is_logged(const CommandReport& report);
/// Writes the line: at info for a change, at debug for a question, as a warning if the command was refused or
/// has a `warning`.
void log_command(const CommandReport& report);

/// Lists the local ports in an SDP that the relay wrote, as "audio 192.0.2.1:30000, video off".
[[nodiscard]] std::string ports_in_sdp(std::string_view sdp);

}  // namespace ferry
