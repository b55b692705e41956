// SPDX-License-Identifier: Apache-2.0
#include "control/config/readers.hpp"

#include <charconv>
#include <cstdint>
#include <system_error>

namespace ferry {

std::string read_seconds(std::string_view text, std::chrono::seconds& target) {
  std::int64_t seconds = 0;
  if (auto wrong = read_number<std::int64_t>(text, seconds, 0, 31'536'000); !wrong.empty()) return wrong;
  target = std::chrono::seconds(seconds);
  return {};
}

std::string read_mode(std::string_view text, mode_t& target) {
  unsigned mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc{} || end != text.data() + text.size() || mode > 0777)
    return fmt::format("'{}' is no octal mode, as 0640", text);
  target = mode;
  return {};
}

/// An option without a value is on.
std::string set_switch(bool& target, std::string_view text) {
  if (text.empty() || text == "yes" || text == "true" || text == "on" || text == "1") {
    target = true;
  } else if (text == "no" || text == "false" || text == "off" || text == "0") {
    target = false;
  } else {
    return fmt::format("'{}' is neither yes nor no", text);
  }
  return {};
}

std::string add_folder(std::string_view text, std::vector<std::string>& folders) {
  while (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  if (!text.starts_with('/') || text.size() < 2) return fmt::format("'{}' is no absolute path below /", text);
  folders.emplace_back(text);
  return {};
}

std::string add_ports(std::string_view text, std::vector<PortSpan>& target) {
  const auto dash = std::min(text.find('-'), text.size());
  PortSpan span;
  auto wrong = read_number<std::uint16_t>(text.substr(0, dash), span.first.value, 1, 65535);
  span.last = span.first;
  if (wrong.empty() && dash != text.size())
    wrong = read_number<std::uint16_t>(text.substr(dash + 1), span.last.value, 1, 65535);
  if (!wrong.empty()) return wrong;
  if (span.last < span.first) return fmt::format("'{}' ends before it begins", text);
  target.push_back(span);
  return {};
}

}  // namespace ferry
