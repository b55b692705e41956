// SPDX-License-Identifier: Apache-2.0
#include "control/config/command_line.hpp"

#include "control/config/config.hpp"
#include "control/config/foreign_options.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <getopt.h>

namespace ferry {

namespace {

/// What getopt_long needs: the relay's own options, and behind them rtpengine's.
struct Getopt {
  std::vector<option> names;
  std::string letters = ":";

  Getopt() {
    for (const OptionRow& row : option_rows()) add(row.name, row.letter, row.kind);
    for (const ForeignOption& each : foreign_options()) add(each.name, each.letter, each.kind);
    names.push_back({nullptr, 0, nullptr, 0});
  }
  void add(std::string_view name, char letter, OptionKind kind) {
    const bool is_switch = kind == OptionKind::kSwitch;
    // Names of rows are literals, so a zero stands behind them.
    names.push_back({name.data(), is_switch ? optional_argument : required_argument, nullptr, 0});
    if (letter != 0) letters += is_switch ? std::string{letter} : std::string{letter, ':'};
  }
};

/// The long option as it was written, without its value. getopt_long also accepts the beginning of a name,
/// but a misspelt option must never open something else.
std::string_view written_name(const std::vector<char*>& argv) {
  const auto at = [&](int back) { return argv[static_cast<std::size_t>(std::max(1, optind - back))]; };
  std::string_view word = optarg != nullptr && optarg == at(1) ? at(2) : at(1);
  word.remove_prefix(std::min<std::size_t>(2, word.size()));
  return word.substr(0, word.find('='));
}

/// The sentence about a word that getopt_long refuses: `found` is '?' or ':'.
std::string refused(int found, const std::vector<char*>& argv) {
  std::string_view word = argv[static_cast<std::size_t>(std::max(1, optind - 1))];
  const bool is_long = word.starts_with("--");
  if (is_long) word = word.substr(2, std::min(word.find('='), word.size()) - 2);
  const std::string letter(1, static_cast<char>(optopt));
  if (found == ':') return fmt::format("option '{}' needs a value", is_long ? word : letter);
  return is_long ? unknown_option(word) : fmt::format("unknown option '-{}' (--help lists them)", letter);
}

/// The option that getopt_long has found: by its place among the names, or by its letter.
GivenOption given(int found, int index, const std::vector<char*>& argv) {
  GivenOption option;
  if (optarg != nullptr) option.value = optarg;
  const auto own = option_rows();
  if (found != 0) {
    const auto row = std::ranges::find(own, static_cast<char>(found), &OptionRow::letter);
    if (row != own.end()) option.own = &*row;
    if (row == own.end()) option.foreign = find_foreign_option(static_cast<char>(found));
    return option;
  }
  const auto place = static_cast<std::size_t>(index);
  const std::string_view name =
      place < own.size() ? own[place].name : foreign_options()[place - own.size()].name;
  if (const std::string_view written = written_name(argv); written != name) {
    option.wrong = unknown_option(written);
  } else if (place < own.size()) {
    option.own = &own[place];
  } else {
    option.foreign = &foreign_options()[place - own.size()];
  }
  return option;
}

}  // namespace

std::vector<GivenOption> given_options(std::span<char* const> arguments) {
  const Getopt getopt;
  std::vector<GivenOption> all;
  // Makes getopt begin anew: the command line is read twice, and again at SIGHUP.
  optind = 0;
  opterr = 0;
  std::vector<char*> argv(arguments.begin(), arguments.end());
  argv.push_back(nullptr);
  while (true) {
    int index = -1;
    const int found = getopt_long(static_cast<int>(arguments.size()), argv.data(), getopt.letters.c_str(),
                                  getopt.names.data(), &index);
    if (found == -1) break;
    if (found == '?' || found == ':')
      all.push_back({nullptr, nullptr, refused(found, argv), {}});
    else
      all.push_back(given(found, index, argv));
  }
  if (optind < static_cast<int>(arguments.size()))
    all.push_back({nullptr,
                   nullptr,
                   fmt::format("unexpected argument '{}'", argv[static_cast<std::size_t>(optind)]),
                   {}});
  return all;
}

}  // namespace ferry
