// SPDX-License-Identifier: Apache-2.0
// Parses commands of the rtpproxy protocol (docs/reference/rtpproxy.md#grammar). Pure; safe on any thread.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::rtpproxy {

/// Error of a command; the reply is `E` with this number. Clients look at the letter, scripts know the
/// numbers.
enum class ErrorCode : std::uint8_t {
  kUnknownCommand = 0,
  kArguments = 1,
  kNoModifiers = 2,
  kSubcommand = 3,
  kTokens = 5,
  kRecordModifierInUse = 6,
  kRecordModifier = 7,
  kDeleteModifier = 8,
  kStatisticsModifier = 9,
  kNotifyTag = 10,
  kExternal = 11,
  kInternal = 12,
  kPacketTime = 13,
  kCodecs = 14,
  kLocalAddress = 15,
  kRouteAddress = 16,
  kPlayCount = 17,
  kInfoModifier = 18,
  kQueryModifier = 19,
  kStatisticsTooLong = 25,
  kQueryTooLong = 26,
  kUnknownAddress = 31,
  kNoRoute = 32,
  kModifier = 35,
  kNoSuchFamily = 36,
  kRemoteAddress = 37,
  kNoSession = 50,
  kNoPrompt = 60,
  kUnknownCounter = 62,
  kCopy = 65,
  kUnknownStatistic = 68,
  kNoSecondPort = 71,
  kNoPort = 72,
  kNoNotification = 75,
  kNoMemory = 81,
  kOverload = 98,
  kShutDown = 99,
};

/// Octets of a command that are read; later ones are cut off.
constexpr std::size_t kMaxCommand = 8191;
/// Most words of a command, subcommands left out, and most subcommands.
constexpr std::size_t kMaxTokens = 23;
constexpr std::size_t kMaxSubcommands = 15;

/// Modifiers of the commands `U` and `L`. Texts are views into the message.
struct SignalModifiers {
  /// How a command chooses the local address: not at all, by address, by label, or by the route to an
  /// address.
  enum class Local : std::uint8_t { kUnsaid, kAddress, kLabel, kRouteTo };
  /// Whether the party is asymmetric (true) or symmetric (false); unset = the command does not say.
  std::optional<bool> asymmetric;
  bool is_ipv6 = false;
  /// Interfaces by letter, `e` or `i`: first the one that faces the sender, then the one that faces the other
  /// side. 0 = not said.
  std::array<char, 2> bridge{};
  Local local = Local::kUnsaid;
  /// Set for kAddress and kRouteTo.
  IpAddress address;
  /// Set for kLabel.
  std::string_view label;
  /// The session gets a new port even if it has one.
  bool wants_new_port = false;
  /// The command holds the session weakly for its party (docs/reference/rtpproxy.md#delete).
  bool is_weak = false;
  /// Packet time that the receiver wants, in milliseconds; 0 = not said.
  std::uint16_t ptime_ms = 0;
  std::vector<PayloadType> codecs;
};

/// One command or subcommand, cut into words. The views point into the message.
struct Words {
  /// In upper case.
  char letter = 0;
  /// The letters behind the first one, as they came.
  std::string_view modifiers;
  /// The words behind the first one.
  std::vector<std::string_view> values;
};

/// One command with its subcommands.
struct Command : Words {
  std::vector<Words> subcommands;
  /// The command is `VF`: it asks whether the relay has a feature.
  bool is_feature_query = false;
};

/// Parses a command and checks what the protocol alone decides: words, letters, number of arguments, and
/// modifiers or subcommands where none are allowed.
Result<Command, ErrorCode> parse_command(std::string_view text);

/// Parses the modifiers of `U` or `L`. `can_bridge`: the configuration names two interfaces to bridge
/// (`rtpp-bridge`).
Result<SignalModifiers, ErrorCode> parse_signal_modifiers(std::string_view modifiers, bool can_bridge);

/// Address and port that an SDP names. `endpoint` is unset if the text cannot be an address; `is_on_hold` is
/// true for 0.0.0.0 and `::`.
struct RemoteMedia {
  Endpoint endpoint;
  bool is_on_hold = false;
};
/// Parses the address and port of a party.
Result<RemoteMedia, ErrorCode> parse_remote(std::string_view address, std::string_view port, bool is_ipv6);

/// Reads payload types such as `0,8,101`; nothing if the text is no such list.
[[nodiscard]] std::optional<std::vector<PayloadType>> parse_payload_types(std::string_view text);

/// Undoes the encoding of URLs: `%XX`, and `+` for a blank. Nothing if the text is not well formed.
[[nodiscard]] std::optional<std::string> url_decoded(std::string_view text);

/// Reads a text that is completely a decimal number from `least` to `most`; nothing if it is not.
[[nodiscard]] std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t least,
                                                       std::int64_t most);

}  // namespace ferry::rtpproxy
