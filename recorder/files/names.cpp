// SPDX-License-Identifier: Apache-2.0
#include "recorder/files/names.hpp"

#include "relay/base/printable.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace ferry {

namespace {

// Characters that every file system and every shell takes as they are.
bool is_plain(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-';
}

}  // namespace

// A leading dot would hide the file, and ".." would leave the folder; an encoded one does neither.
std::string safe_name(std::string_view text, std::size_t limit) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool keep = is_plain(c) && !(i == 0 && c == '.');
    const std::string piece =
        keep ? std::string(1, c)
             : fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    if (safe.size() + piece.size() > limit) break;
    safe += piece;
  }
  return safe.empty() ? std::string("_") : safe;
}

std::string fill_pattern(std::string_view pattern, const NameParts& parts) {
  // Names of both parts together leave room for endings and a number behind them; a name has at most 255
  // octets.
  const std::size_t room = pattern.find("%f") == std::string_view::npos ? 200 : 100;
  const std::time_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(parts.start.time_since_epoch()).count();
  const std::tm time = fmt::gmtime(seconds);
  std::string filled;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 == pattern.size()) {
      filled += pattern[i];
      continue;
    }
    switch (const char letter = pattern[++i]; letter) {
      case 'c':
        filled += safe_name(parts.call_id, room);
        break;
      case 'f':
        filled += safe_name(parts.from_tag, room);
        break;
      case 'r':
        filled += parts.random;
        break;
      case 'Y':
        filled += fmt::format("{:04}", time.tm_year + 1900);
        break;
      case 'm':
        filled += fmt::format("{:02}", time.tm_mon + 1);
        break;
      case 'd':
        filled += fmt::format("{:02}", time.tm_mday);
        break;
      case 'H':
        filled += fmt::format("{:02}", time.tm_hour);
        break;
      case 'M':
        filled += fmt::format("{:02}", time.tm_min);
        break;
      case 'S':
        filled += fmt::format("{:02}", time.tm_sec);
        break;
      case '%':
        filled += '%';
        break;
      // An unknown letter stays as it is.
      default:
        filled += '%';
        filled += letter;
    }
  }
  return filled;
}

// An empty first part means an absolute path; an empty part in the middle, two slashes.
bool is_path_below(std::string_view path) noexcept {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  while (true) {
    const auto end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part.empty() || part == "." || part == "..") return false;
    if (end == path.size()) return true;
    path.remove_prefix(end + 1);
  }
}

std::string fault_of_recording_path(std::string_view path) {
  // Endings and a number come behind the last part, and file systems take 255 octets.
  constexpr std::size_t kLongestPart = 200;
  constexpr std::size_t kLongest = 2000;
  if (!is_path_below(path)) return "is not below the recording directory";
  if (path.size() > kLongest) return fmt::format("is longer than {} octets", kLongest);
  std::string plain(path);
  std::erase(plain, '\\');  // a backslash is harmless in a name
  if (printable(plain) != plain) return "has characters that a terminal could take for commands";
  while (true) {
    const auto end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part.starts_with('.')) return "has a hidden part";
    if (part.size() > kLongestPart) return fmt::format("has a part longer than {} octets", kLongestPart);
    if (end == path.size()) return {};
    path.remove_prefix(end + 1);
  }
}

}  // namespace ferry
