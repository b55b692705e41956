// SPDX-License-Identifier: Apache-2.0
// Each setting becomes a comment and a line. A setting of the relay's own keeps its name, and its help is the
// comment. One of rtpengine's becomes what does the same, or a comment that says what takes its place. What
// the relay refuses is written as a comment, with the reason. The finished text is read once more, so that
// faults across options are told, too.

#include "control/config/migration.hpp"

#include "control/config/command_line.hpp"
#include "control/config/config.hpp"
#include "control/config/file_reader.hpp"
#include "control/config/foreign_options.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace ferry {

namespace {

/// A text of a command line may have line ends, and must not become two lines.
std::string one_line(std::string_view text) {
  std::string safe(text);
  std::ranges::replace_if(
      safe, [](char c) { return c >= 0 && c < ' '; }, ' ');
  return safe;
}

/// Writes the new file, line by line.
class Writer {
 public:
  explicit Writer(std::string_view origin) {
    migration_.text = fmt::format("# Configuration of rtpferryd, made of {}.\n", origin);
  }
  /// Begins a section, if another one was there before.
  void section(std::string_view name) {
    if (name == section_) return;
    section_ = name;
    migration_.text += fmt::format("\n[{}]\n", name);
  }
  void comment(std::string_view sentence) { migration_.text += fmt::format("# {}\n", one_line(sentence)); }
  void setting(std::string_view name, std::string_view value) {
    migration_.text += fmt::format("{} = {}\n", name, one_line(value));
  }
  /// A line that does nothing, with the reason.
  void left_out(std::string_view name, std::string_view value, std::string_view sentence) {
    comment(sentence);
    // Secrets are of no use to the relay, so they are not copied. Addresses of Redis may hold a password.
    const bool is_secret = name.ends_with("-pass") || name.ends_with("-secret") ||
                           (name.starts_with("redis") && value.find('@') != std::string_view::npos);
    migration_.text += fmt::format("#{} = {}\n", name, is_secret ? "(left out)" : one_line(value));
  }
  void wrong(std::string sentence) { migration_.wrongs.push_back(std::move(sentence)); }

  void own(const OptionRow& row, std::string_view value) {
    section("rtpferry");
    Config scratch;
    if (const std::string bad = apply_option(scratch, row, value); !bad.empty()) {
      wrong(fmt::format("{} = {}: {}", row.name, value, bad));
      left_out(row.name, value, bad);
      return;
    }
    comment(row.help);
    for (const std::string& notice : scratch.notices) comment(notice);
    setting(row.name, row.kind == OptionKind::kSwitch && value.empty() ? "yes" : value);
  }
  void foreign(const ForeignOption& option, std::string_view value) {
    section("rtpferry");
    if (const auto own = own_setting(option, value)) {
      comment(fmt::format("{} = {}: {}", option.name, value, find_option(own->name)->help));
      setting(own->name, own->value);
    } else {
      left_out(option.name, value, foreign_notice(option));
    }
  }
  /// Looks at the whole, and adds what has to be done by hand.
  Migration finish() {
    Config config;
    read_file(config, migration_.text, "the new file", migration_.wrongs);
    for (std::string& wrong : complete_config(config, migration_.wrongs.empty()))
      migration_.wrongs.push_back(std::move(wrong));
    if (!migration_.wrongs.empty())
      migration_.text += "\n# To be done before rtpferryd starts with this file:\n";
    for (const std::string& wrong : migration_.wrongs) comment(wrong);
    return std::move(migration_);
  }

 private:
  Migration migration_;
  std::string section_;
};

void migrate_setting(Writer& writer, const IniLine& line) {
  if (const OptionRow* row = find_option(line.key)) {
    writer.own(*row, line.value);
  } else if (const ForeignOption* foreign = find_foreign_option(line.key)) {
    writer.foreign(*foreign, line.value);
  } else {
    writer.section("rtpferry");
    writer.left_out(line.key, line.value, unknown_option(line.key));
  }
}

}  // namespace

Migration migrate_file(std::string_view text, std::string_view name, std::string_view section) {
  const std::vector<IniLine> lines = ini_lines(text);
  const FileShape shape(lines, section, {});
  Writer writer(name);
  writer.section("rtpferry");
  for (const IniLine& line : lines) {
    if (line.kind == IniLine::Kind::kBroken) {
      writer.wrong(fmt::format("{}:{}: a section ends with ']'", name, line.number));
      continue;
    }
    const SectionKind kind = shape.kind_of(line.section);
    const bool is_setting = line.kind == IniLine::Kind::kSetting;
    switch (kind) {
      case SectionKind::kOptions:
        if (is_setting && line.key != "interfaces-config") migrate_setting(writer, line);
        break;
      case SectionKind::kInterface:
        writer.section(fmt::format("interface-{}", shape.interface_of(line.section)));
        if (is_setting) writer.setting(line.key, line.value);
        break;
      case SectionKind::kTemplates:
        writer.section(line.section);
        if (is_setting) writer.setting(line.key, line.value);
        break;
      case SectionKind::kOther:
        if (is_setting)
          writer.left_out(line.key, line.value,
                          fmt::format("section [{}]: rtpferryd does not read it", line.section));
        break;
    }
  }
  return writer.finish();
}

Migration migrate_arguments(std::span<char* const> arguments) {
  Writer writer("a command line");
  writer.section("rtpferry");
  for (const GivenOption& option : given_options(arguments)) {
    if (!option.wrong.empty()) {
      writer.comment(option.wrong);
      writer.wrong(option.wrong);
    } else if (option.foreign != nullptr) {
      writer.foreign(*option.foreign, option.value);
    } else if (option.own->name == "config-file") {
      if (option.value != "none")
        writer.wrong(
            fmt::format("the command line names the file '{}', whose options are not here: run rtpferryctl "
                        "migrate {} and join both files",
                        option.value, option.value));
    } else {
      writer.own(*option.own, option.value);
    }
  }
  return writer.finish();
}

}  // namespace ferry
