// SPDX-License-Identifier: Apache-2.0
#include "control/config/ini.hpp"

#include <algorithm>

namespace ferry {

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

std::vector<IniLine> ini_lines(std::string_view text) {
  std::vector<IniLine> lines;
  IniLine line;
  while (!text.empty()) {
    ++line.number;
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view words = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty() || words.front() == '#' || words.front() == ';') continue;
    line.key = line.value = {};
    if (words.front() == '[') {
      line.kind = words.back() == ']' ? IniLine::Kind::kSection : IniLine::Kind::kBroken;
      line.section = line.kind == IniLine::Kind::kSection ? words.substr(1, words.size() - 2) : words;
    } else {
      line.kind = IniLine::Kind::kSetting;
      const auto equals = words.find('=');
      line.key = trim(words.substr(0, equals));
      if (equals != std::string_view::npos) line.value = trim(words.substr(equals + 1));
    }
    lines.push_back(line);
  }
  return lines;
}

}  // namespace ferry
