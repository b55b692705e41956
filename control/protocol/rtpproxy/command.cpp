// SPDX-License-Identifier: Apache-2.0
// Parses commands in two steps: `parse_command` cuts the text into words, splits it at `&&` and compares each
// part with its shape. `parse_signal_modifiers` reads the modifiers of `U` and `L`, whose letters may be
// followed by numbers and addresses.
//
// The order of checks decides which error number a client gets; the recorded dialogues under
// tests/golden/rtpproxy hold it.

#include "control/protocol/rtpproxy/command.hpp"

#include <algorithm>
#include <charconv>
#include <span>

namespace ferry::rtpproxy {

namespace {

/// The shape of a command; numbers of words include the command itself.
struct Shape {
  char letter;
  std::size_t least;
  std::size_t most;
  bool takes_modifiers;
  bool takes_subcommands;
};
/// One row for each command (docs/reference/rtpproxy.md#grammar).
constexpr auto kShapes = std::to_array<Shape>({
    {'V', 1, 1, false, false},
    {'U', 5, 8, true, true},
    {'L', 5, 6, true, true},
    {'D', 3, 4, true, false},
    {'P', 5, 6, true, false},
    {'S', 3, 4, false, false},
    {'R', 3, 4, true, false},
    {'C', 4, 5, true, false},
    {'N', 3, 4, true, false},
    {'Q', 3, 15, true, true},
    {'I', 1, 1, true, false},
    {'G', 1, 30, true, false},
    {'X', 1, 1, false, false},
});

constexpr char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

Result<std::vector<std::string_view>, ErrorCode> words_of(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  std::vector<std::string_view> words;
  while (true) {
    const auto start = text.find_first_not_of(kBlanks);
    if (start == std::string_view::npos) return words;
    const auto end = std::min(text.find_first_of(kBlanks, start), text.size());
    words.push_back(text.substr(start, end - start));
    if (words.back().find('\0') != std::string_view::npos) return fail(ErrorCode::kTokens);
    text.remove_prefix(end);
  }
}

Words take(std::span<const std::string_view> words) {
  Words taken;
  taken.letter = upper(words.front().front());
  taken.modifiers = words.front().substr(1);
  taken.values.assign(words.begin() + 1, words.end());
  return taken;
}

/// True for `M3:1`: the only module that exists is catch_dtmf.
bool is_good_module(const Words& words) { return words.modifiers == "3:1"; }

/// True for `ttl=N` and `tos=N`.
bool is_good_setting(const Words& words) {
  if (words.values.size() != 1 || (!words.modifiers.empty() && words.modifiers != "r")) return false;
  const std::string_view value = words.values[0];
  if (value.starts_with("ttl=")) return parse_number(value.substr(4), 1, INT32_MAX).has_value();
  return value.starts_with("tos=") && parse_number(value.substr(4), 1, 255).has_value();
}

bool is_good_subcommand(const Words& words, const Command& main) {
  // `L` and `C` need to know the other party.
  const bool has_to_tag = main.letter == 'U' && main.values.size() != 4 && main.values.size() != 6;
  switch (words.letter) {
    case 'M':
      return is_good_module(words);
    case 'D':
      return words.values.empty() && (words.modifiers.empty() || lower(words.modifiers.front()) == 'w') &&
             words.modifiers.size() <= 1;
    case 'S':
      return is_good_setting(words);
    case 'L':
      return has_to_tag && words.values.size() == 2 && parse_number(words.values[1], 0, 65535).has_value() &&
             parse_signal_modifiers(words.modifiers, true).has_value();
    case 'C':
      return has_to_tag && words.values.size() == 3 && words.modifiers.empty();
    default:
      return false;
  }
}

/// Reads the local address or label in `text`, up to the next letter that can be a modifier.
Result<void, ErrorCode> take_local(std::string_view& text, SignalModifiers& into, bool is_route) {
  const ErrorCode wrong = is_route ? ErrorCode::kRouteAddress : ErrorCode::kLocalAddress;
  if (text.empty()) return fail(wrong);
  const char open = text.front();
  if (open == '[' || (open == '{' && !is_route)) {
    const auto end = text.find(open == '[' ? ']' : '}');
    if (end == std::string_view::npos || end == 1) return fail(wrong);
    const std::string_view inside = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    if (open == '{') {
      into.local = SignalModifiers::Local::kLabel;
      into.label = inside;
      return {};
    }
    const auto address = IpAddress::parse(inside);
    if (!address || !address->is_v6()) return fail(wrong);
    into.address = *address;
  } else {
    const auto end = std::min(text.find_first_not_of("0123456789."), text.size());
    const auto address = IpAddress::parse(text.substr(0, end));
    if (!address || !address->is_v4()) return fail(wrong);
    into.address = *address;
    text.remove_prefix(end);
  }
  into.local = is_route ? SignalModifiers::Local::kRouteTo : SignalModifiers::Local::kAddress;
  return {};
}

std::string_view take_while(std::string_view& text, std::string_view allowed) {
  const auto end = std::min(text.find_first_not_of(allowed), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(end);
  return taken;
}

}  // namespace

std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t least, std::int64_t most) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
    return std::nullopt;
  return number;
}

std::optional<std::vector<PayloadType>> parse_payload_types(std::string_view text) {
  std::vector<PayloadType> types;
  while (true) {
    const auto end = std::min(text.find(','), text.size());
    const auto type = parse_number(text.substr(0, end), 0, 127);
    if (!type || types.size() == 64) return std::nullopt;
    types.push_back(PayloadType{static_cast<std::uint8_t>(*type)});
    if (end == text.size()) return types;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::string> url_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      unsigned value = 0;
      const std::string_view digits = text.substr(i + 1, 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
      if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) return std::nullopt;
      decoded += static_cast<char>(value);
      i += 2;
    }
  }
  return decoded;
}

Result<Command, ErrorCode> parse_command(std::string_view text) {
  const auto words = words_of(text.substr(0, kMaxCommand));
  if (!words) return fail(words.error());
  // Cuts the words into the parts between the `&&`.
  std::vector<std::span<const std::string_view>> parts;
  auto rest = std::span(*words);
  while (true) {
    const auto end = std::ranges::find(rest, "&&");
    const auto size = static_cast<std::size_t>(end - rest.begin());
    if (size == 0 || size > kMaxTokens || parts.size() > kMaxSubcommands) return fail(ErrorCode::kTokens);
    parts.push_back(rest.first(size));
    if (end == rest.end()) break;
    rest = rest.subspan(size + 1);
  }
  Command command;
  static_cast<Words&>(command) = take(parts.front());
  const auto shape = std::ranges::find(kShapes, command.letter, &Shape::letter);
  if (shape == kShapes.end()) return fail(ErrorCode::kUnknownCommand);
  command.is_feature_query =
      command.letter == 'V' && !command.modifiers.empty() && lower(command.modifiers.front()) == 'f';
  const std::size_t count = parts.front().size();
  if (command.is_feature_query ? count != 2 : count < shape->least || count > shape->most)
    return fail(ErrorCode::kArguments);
  if (!shape->takes_modifiers && command.modifiers.size() > (command.is_feature_query ? 1u : 0u))
    return fail(ErrorCode::kNoModifiers);
  if (parts.size() > 1 && !shape->takes_subcommands) return fail(ErrorCode::kSubcommand);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    command.subcommands.push_back(take(parts[i]));
    if (!is_good_subcommand(command.subcommands.back(), command)) return fail(ErrorCode::kSubcommand);
  }
  return command;
}

Result<SignalModifiers, ErrorCode> parse_signal_modifiers(std::string_view text, bool can_bridge) {
  SignalModifiers result;
  unsigned bridges = 0;
  while (!text.empty()) {
    const char letter = lower(text.front());
    text.remove_prefix(1);
    switch (letter) {
      case 'a':
        result.asymmetric = true;
        break;
      case 's':
        result.asymmetric = false;
        break;
      case '6':
        result.is_ipv6 = true;
        break;
      case 'e':
      case 'i':
        if (!can_bridge || bridges == 2)
          return fail(letter == 'e' ? ErrorCode::kExternal : ErrorCode::kInternal);
        result.bridge[bridges++] = letter;
        break;
      case 'l':
      case 'r':
        if (auto ok = take_local(text, result, letter == 'r'); !ok) return fail(ok.error());
        break;
      case 'n':
        result.wants_new_port = true;
        break;
      case 'w':
        result.is_weak = true;
        break;
      case 'z': {
        const auto ms = parse_number(take_while(text, "0123456789"), 1, 999);
        if (!ms) return fail(ErrorCode::kPacketTime);
        result.ptime_ms = static_cast<std::uint16_t>(*ms);
        break;
      }
      case 'c': {
        const auto types = parse_payload_types(take_while(text, "0123456789,"));
        if (!types || !result.codecs.empty()) return fail(ErrorCode::kCodecs);
        result.codecs = *types;
        break;
      }
      default:
        return fail(ErrorCode::kModifier);
    }
  }
  return result;
}

Result<RemoteMedia, ErrorCode> parse_remote(std::string_view address, std::string_view port, bool is_ipv6) {
  RemoteMedia media;
  const std::size_t least = is_ipv6 ? 2 : 7;
  const std::size_t most = is_ipv6 ? 45 : 15;
  if (address.size() < least || address.size() > most) return media;
  const auto parsed = IpAddress::parse(address);
  const auto number = parse_number(port, 0, 65535);
  if (!parsed || !number || parsed->is_v6() != is_ipv6) return fail(ErrorCode::kRemoteAddress);
  media.is_on_hold = parsed->is_unspecified();
  if (!media.is_on_hold) media.endpoint = {*parsed, UdpPort{static_cast<std::uint16_t>(*number)}};
  return media;
}

}  // namespace ferry::rtpproxy
