// Commands of the classic rtpproxy protocol, taken apart (its reference, sections 2, 4, 5).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::rtpp {

/// What `E<number>` means. Clients test the letter; scripts know the numbers.
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

/// Octets of a command that count; what is behind them is cut off.
constexpr std::size_t kMaxCommand = 8191;
constexpr std::size_t kMaxTokens = 23;
constexpr std::size_t kMaxSubcommands = 15;

/// Modifiers of `U` and `L`. Texts are views into the message.
struct SignalModifiers {
  enum class Local : std::uint8_t { kUnsaid, kAddress, kLabel, kRouteTo };
  std::optional<bool> asymmetric;
  bool is_ipv6 = false;
  /// Interfaces by letter, `e` or `i`: facing the sender, then facing the other side. 0 = unsaid.
  std::array<char, 2> bridge{};
  Local local = Local::kUnsaid;
  IpAddress address;       // kAddress, kRouteTo
  std::string_view label;  // kLabel
  bool wants_new_port = false;
  bool is_weak = false;
  std::uint16_t ptime_ms = 0;
  std::vector<PayloadType> codecs;
};

/// One command, or one subcommand, with its words. Views into the message.
struct Words {
  char letter = 0;                       // upper case
  std::string_view modifiers;            // as they came
  std::vector<std::string_view> values;  // behind the first word
};

struct Command : Words {
  std::vector<Words> subcommands;
  bool is_feature_query = false;  // `VF`
};

/// Takes a command apart and checks what needs no knowledge but the protocol's: words, letters, numbers of
/// arguments, modifiers where none are allowed, subcommands where none are.
Result<Command, ErrorCode> parse_command(std::string_view text);

/// The modifiers of `U` or `L`. `can_bridge`: there are two interfaces.
Result<SignalModifiers, ErrorCode> parse_signal_modifiers(std::string_view modifiers, bool can_bridge);

/// Address and port of an SDP. Not set if the text cannot be an address; `is_on_hold` for 0.0.0.0 and `::`.
struct RemoteMedia {
  Endpoint endpoint;
  bool is_on_hold = false;
};
Result<RemoteMedia, ErrorCode> parse_remote(std::string_view address, std::string_view port, bool is_ipv6);

/// Payload types as `0,8,101`; nothing if it is no such list.
[[nodiscard]] std::optional<std::vector<PayloadType>> parse_payload_types(std::string_view text);

/// Undoes the encoding of URLs: `%XX`, and `+` for a blank. Nothing if it is bad.
[[nodiscard]] std::optional<std::string> url_decoded(std::string_view text);

/// A whole decimal number within bounds.
[[nodiscard]] std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t least,
                                                       std::int64_t most);

}  // namespace ferry::rtpp
