// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/command_log.hpp"

#include "control/log/log.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include <fmt/format.h>

namespace ferry {

namespace {

// Most sections whose ports a line tells.
constexpr std::size_t kMaxSections = 8;

/// Cuts the first word off `text` and returns it.
std::string_view take_word(std::string_view& text) {
  const auto end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

spdlog::level::level_enum level_of(const CommandReport& report) {
  if (!report.refusal.empty() || !report.warning.empty()) return spdlog::level::warn;
  return report.changes ? spdlog::level::info : spdlog::level::debug;
}

}  // namespace

std::string ports_in_sdp(std::string_view sdp) {
  struct Section {
    std::string_view type;
    std::string_view port;
    std::string_view address;
  };
  std::string_view session_address;
  std::vector<Section> sections;
  while (!sdp.empty()) {
    const auto end = std::min(sdp.find('\n'), sdp.size());
    std::string_view line = sdp.substr(0, end);
    sdp.remove_prefix(std::min(end + 1, sdp.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("m=")) {
      line.remove_prefix(2);
      Section section{take_word(line), {}, session_address};
      section.port = take_word(line);
      sections.push_back(section);
    } else if (line.starts_with("c=IN IP")) {
      const std::string_view address = line.substr(std::min<std::size_t>(9, line.size()));
      (sections.empty() ? session_address : sections.back().address) = address;
    }
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(sections.size(), kMaxSections); ++i) {
    const Section& section = sections[i];
    text += i == 0 ? "" : ", ";
    if (section.port == "0")
      text += fmt::format("{} off", section.type);
    else if (section.address.find(':') != std::string_view::npos)
      text += fmt::format("{} [{}]:{}", section.type, section.address, section.port);
    else
      text += fmt::format("{} {}:{}", section.type, section.address, section.port);
  }
  if (sections.size() > kMaxSections) text += fmt::format(" and {} more", sections.size() - kMaxSections);
  return text;
}

std::string describe(const CommandReport& report) {
  std::string text = log::quote_sentence(report.command);
  if (!report.from_tag.empty()) text += fmt::format(" from {}", log::quote(report.from_tag));
  if (!report.to_tag.empty()) text += fmt::format(" to {}", log::quote(report.to_tag));
  // Reasons repeat words of the request, and media types come from the SDP of a party (CTL-14).
  text += report.refusal.empty() ? std::string(": ok")
                                 : fmt::format(": refused: {}", log::quote_sentence(report.refusal));
  if (report.left_out != 0)
    text += fmt::format(" ({} more were refused for this reason without a line)", report.left_out);
  if (!report.local.empty()) text += fmt::format(", {}", log::quote_sentence(report.local));
  if (!report.warning.empty()) text += fmt::format("; {}", log::quote_sentence(report.warning));
  const double milliseconds = std::chrono::duration<double, std::milli>(report.time).count();
  text += fmt::format(" ({} from {}, {:.2f} ms)", report.protocol, report.client.to_string(), milliseconds);
  return text;
}

bool is_logged(const CommandReport& report) {
  const log::Scope scope(log::Subsystem::kControl, report.call_id);
  return log::is_wanted(level_of(report));
}

void log_command(const CommandReport& report) {
  const log::Scope scope(log::Subsystem::kControl, report.call_id);
  if (const auto level = level_of(report); log::is_wanted(level)) spdlog::log(level, "{}", describe(report));
}

}  // namespace ferry
