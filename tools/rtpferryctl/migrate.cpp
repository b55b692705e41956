// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryctl/migrate.hpp"

#include "control/config/migration.hpp"
#include "tools/rtpferry-rtpproxy/translate.hpp"
#include "tools/rtpferryctl/exit_codes.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <fmt/format.h>

namespace ferry::ctl {

namespace {

int fault(std::string_view sentence) {
  fmt::print(stderr, "rtpferryctl: {}\n", sentence);
  return kExitUsage;
}

int print(const Migration& migration) {
  fmt::print("{}", migration.text);
  for (const std::string& wrong : migration.wrongs) fmt::print(stderr, "rtpferryctl: {}\n", wrong);
  return migration.wrongs.empty() ? kExitOk : kExitRefused;
}

/// Cuts a command line that came as one word. Quotes hold words together, as in a shell; nothing else of a
/// shell counts.
std::vector<std::string> shell_words(const std::string& line) {
  std::vector<std::string> words;
  bool is_in_word = false;
  char quote = 0;
  for (const char c : line) {
    const bool is_blank = c == ' ' || c == '\t' || c == '\n';
    if (quote == 0 && is_blank) {
      is_in_word = false;
      continue;
    }
    if (!is_in_word) words.emplace_back();
    is_in_word = true;
    if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else {
      words.back() += c;
    }
  }
  return words;
}

Migration migrate_words(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  return migrate_arguments(arguments);
}

int migrate_rtpproxy(std::span<const std::string> options) {
  auto start = translate_rtpproxy(options);
  if (!start) return fault(start.error());
  if (!start->text.empty()) return fault("the command line only prints something");
  start->arguments.insert(start->arguments.begin(), "rtpproxy");
  return print(migrate_words(std::move(start->arguments)));
}

}  // namespace

int run_migrate(std::span<const std::string> given) {
  std::vector<std::string> words(given.begin(), given.end());
  std::error_code ignored;
  const bool is_file =
      !words.empty() && words.size() <= 2 && std::filesystem::is_regular_file(words[0], ignored);
  if (is_file && words[0].find(' ') == std::string::npos) {
    std::ifstream in(words[0]);
    if (!in) return fault(fmt::format("cannot read '{}'", words[0]));
    std::stringstream text;
    text << in.rdbuf();
    return print(migrate_file(text.str(), words[0], words.size() > 1 ? words[1] : ""));
  }
  if (words.size() == 1) words = shell_words(words[0]);
  if (words.empty()) return fault("migrate needs a file, or the command line of rtpengine or rtpproxy");
  const std::string program = std::filesystem::path(words[0]).filename().string();
  if (program.starts_with("rtpproxy")) return migrate_rtpproxy(std::span(words).subspan(1));
  if (program.starts_with("rtpengine") || program == "rtpferryd")
    return print(migrate_words(std::move(words)));
  if (program.starts_with('-')) {
    words.insert(words.begin(), "rtpengine");
    return print(migrate_words(std::move(words)));
  }
  return fault(fmt::format("'{}' is neither a file nor the command line of rtpengine or rtpproxy", words[0]));
}

}  // namespace ferry::ctl
