// SPDX-License-Identifier: Apache-2.0
// Reads a configuration file: its sections, and which of them count.
#pragma once

#include "control/config/ini.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ferry {

struct Config;

/// What a section of a file is about.
enum class SectionKind : unsigned char {
  /// Options of the daemon: `[rtpferry]`, `[rtpengine]`, or the one that `config-section` names.
  kOptions,
  /// An address for media: `[interface-NAME]`.
  kInterface,
  /// Pre-set words of requests: the name contains `templates`.
  kTemplates,
  /// Of another program, or of another instance.
  kOther,
};

/// Which sections of a file count, and whether the file was made for rtpengine.
class FileShape {
 public:
  /// `section`: the value of `config-section`, empty = the usual names. `interface_prefix`: that of
  /// `interfaces-config`; the file itself may name another one.
  FileShape(const std::vector<IniLine>& lines, std::string_view section, std::string_view interface_prefix);
  [[nodiscard]] SectionKind kind_of(std::string_view section) const;
  /// The name of the interface that a section of that kind is about.
  [[nodiscard]] std::string_view interface_of(std::string_view section) const;
  /// True if it has a section `[rtpengine]`, or `config-section` names one that is not `rtpferry`. Options
  /// and sections that nobody knows are then no faults.
  [[nodiscard]] bool is_foreign() const { return is_foreign_; }

 private:
  std::string section_;
  /// With the hyphen.
  std::string interface_prefix_;
  bool is_foreign_ = false;
};

/// Applies the lines of `text` to `config`, and adds a sentence to `wrongs` for each fault. `file` is its
/// name in messages.
void read_file(Config& config, std::string_view text, std::string_view file,
               std::vector<std::string>& wrongs);

}  // namespace ferry
