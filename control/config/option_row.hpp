// SPDX-License-Identifier: Apache-2.0
// One row of the table of options, and the parts of the table that are about one subject each.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ferry {

struct Config;

/// Whether an option has one value, a list of them, or is a switch.
enum class OptionKind : std::uint8_t { kValue, kList, kSwitch };

/// One option. The name is that of the long option and of the key in the file.
struct OptionRow {
  std::string_view name;
  /// Letter of the short option; 0 = none.
  char letter = 0;
  OptionKind kind = OptionKind::kValue;
  /// Stores one value; returns a sentence if it is bad, else an empty text.
  std::string (*apply)(Config& config, std::string_view value) = nullptr;
  /// The name of the value (empty for a switch) and the explanation, for help, manual and documents.
  std::string_view argument;
  std::string_view help;
  /// Lists alone: takes away what the list has, so that it is as if no option had named it. Options with the
  /// same function fill the same list.
  void (*clear)(Config& config) = nullptr;
};

/// The row with this name; null if there is none.
const OptionRow* find_option(std::string_view name);
/// The sentence about a name that no option has, with the option that was meant, if one is close.
std::string unknown_option(std::string_view name);

/// Rows for recordings, for the rtpproxy protocol, and for the engine.
std::span<const OptionRow> recording_option_rows();
std::span<const OptionRow> rtpproxy_option_rows();
std::span<const OptionRow> dpdk_option_rows();
/// Rows about events of calls: webhooks, MQTT.
std::span<const OptionRow> event_option_rows();
/// Rows for what is played to parties.
std::span<const OptionRow> media_option_rows();
/// Rows that say at which addresses parties may be (LAT-11a).
std::span<const OptionRow> peer_option_rows();
/// Rows for what other systems are told.
std::span<const OptionRow> telemetry_option_rows();

/// Returns the folder for state if no option names one: the folder that systemd made for the daemon, else the
/// usual one.
std::string default_state_directory();

}  // namespace ferry
