// SPDX-License-Identifier: Apache-2.0
#include "control/config/file_reader.hpp"

#include "control/config/config.hpp"
#include "control/config/foreign_options.hpp"
#include "control/config/readers.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace ferry {

namespace {

bool is_main_name(std::string_view section) { return section == "rtpferry" || section == "rtpengine"; }

/// Reads `PORT` and `PORT-PORT`, divided by `;`, `,` or blanks.
std::string add_excluded_ports(InterfaceSpec& spec, std::string_view text) {
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(";, \t"), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (part.empty()) continue;
    if (auto wrong = add_ports(part, spec.excluded_ports); !wrong.empty()) return wrong;
  }
  return {};
}

/// Applies one key of an `[interface-NAME]` section.
std::string apply_interface_key(InterfaceSpec& spec, std::string_view key, std::string_view value) {
  if (key == "name") {
    if (value.empty()) return "name: is empty";
    spec.name = value;
  } else if (key == "address") {
    const InterfaceSpec parsed = parse_interface_spec(std::string("x/").append(value));
    spec.address = parsed.address;
    if (!parsed.advertised.empty()) spec.advertised = parsed.advertised;
  } else if (key == "advertised" || key == "adv-addr") {
    spec.advertised = value;
  } else if (key == "port-min" || key == "port-max") {
    UdpPort port;
    if (auto wrong = read_number<std::uint16_t>(value, port.value, 1, 65535); !wrong.empty()) return wrong;
    (key == "port-min" ? spec.port_min : spec.port_max) = port;
  } else if (key == "exclude-ports") {
    return add_excluded_ports(spec, value);
  } else if (key == "ice-port") {
    UdpPort port;
    if (auto wrong = read_number<std::uint16_t>(value, port.value, 0, 65535); !wrong.empty()) return wrong;
    spec.ice_port = port;
  } else if (key == "strict-payload-types") {
    return set_switch(spec.strict_payload_types, value);
  } else {
    return fmt::format(
        "unknown key '{}': an interface section has name, address, advertised, port-min, port-max, "
        "exclude-ports, ice-port, strict-payload-types",
        key);
  }
  return {};
}

/// Names of templates are compared in the form that `normalise` of the NG protocol makes.
std::string template_name(std::string_view key) {
  std::string name(key);
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c == ' ' || c == '_' ? '-' : c;
  });
  return name;
}

/// Adds a notice, unless it is there already.
void add_notice(Config& config, std::string text) {
  if (std::ranges::find(config.notices, text) == config.notices.end())
    config.notices.push_back(std::move(text));
}

/// Applies a line of the section with options. Returns a sentence if it is wrong.
std::string apply_setting(Config& config, const IniLine& line, std::string_view file, bool is_foreign) {
  if (const OptionRow* row = find_option(line.key)) {
    const std::string wrong = apply_option(config, *row, line.value);
    return wrong.empty() ? wrong : fmt::format("{}: {}", line.key, wrong);
  }
  if (const ForeignOption* foreign = find_foreign_option(line.key)) {
    take_foreign_option(config, *foreign, line.value);
    return {};
  }
  if (!is_foreign) return unknown_option(line.key);
  add_notice(config, fmt::format("{}:{}: {}; it has no effect", file, line.number, unknown_option(line.key)));
  return {};
}

}  // namespace

FileShape::FileShape(const std::vector<IniLine>& lines, std::string_view section,
                     std::string_view interface_prefix)
    : section_(section), interface_prefix_(interface_prefix) {
  is_foreign_ = section.empty() ? std::ranges::any_of(
                                      lines, [](const IniLine& line) { return line.section == "rtpengine"; })
                                : section != "rtpferry";
  for (const IniLine& line : lines) {
    const bool counts =
        line.kind == IniLine::Kind::kSetting && kind_of(line.section) == SectionKind::kOptions;
    if (counts && line.key == "interfaces-config" && !line.value.empty()) interface_prefix_ = line.value;
  }
  if (interface_prefix_.empty()) interface_prefix_ = "interface";
  if (!interface_prefix_.ends_with('-')) interface_prefix_ += '-';
}

SectionKind FileShape::kind_of(std::string_view section) const {
  if (section.empty() || (section_.empty() ? is_main_name(section) : section == section_))
    return SectionKind::kOptions;
  if (section.starts_with(interface_prefix_) && section.size() > interface_prefix_.size())
    return SectionKind::kInterface;
  return section.find("templates") != std::string_view::npos ? SectionKind::kTemplates : SectionKind::kOther;
}

std::string_view FileShape::interface_of(std::string_view section) const {
  return section.substr(interface_prefix_.size());
}

void read_file(Config& config, std::string_view text, std::string_view file,
               std::vector<std::string>& wrongs) {
  const std::vector<IniLine> lines = ini_lines(text);
  const FileShape shape(lines, config.config_section, config.interface_sections);
  // Unset outside of sections of that kind.
  InterfaceSpec* interface = nullptr;
  for (const IniLine& line : lines) {
    const auto wrong = [&](std::string_view what) {
      wrongs.push_back(fmt::format("{}:{}: {}", file, line.number, what));
    };
    const SectionKind kind =
        line.kind == IniLine::Kind::kBroken ? SectionKind::kOther : shape.kind_of(line.section);
    if (line.kind != IniLine::Kind::kSetting) {
      interface = nullptr;
      if (line.kind == IniLine::Kind::kBroken) {
        wrong("a section ends with ']'");
      } else if (kind == SectionKind::kInterface) {
        InterfaceSpec spec;
        spec.name = shape.interface_of(line.section);
        config.interfaces.push_back(spec);
        interface = &config.interfaces.back();
      } else if (kind == SectionKind::kOther && shape.is_foreign()) {
        add_notice(config, fmt::format("{}:{}: rtpferryd does not read section [{}]", file, line.number,
                                       line.section));
      } else if (kind == SectionKind::kOther) {
        wrong(fmt::format("unknown section '[{}]': there are [rtpferry], [interface-NAME] and [templates]",
                          line.section));
      }
      continue;
    }
    std::string bad;
    if (kind == SectionKind::kInterface) {
      if (interface != nullptr) bad = apply_interface_key(*interface, line.key, line.value);
    } else if (kind == SectionKind::kTemplates) {
      config.template_sections[std::string(line.section)][template_name(line.key)] = line.value;
    } else if (kind == SectionKind::kOptions) {
      bad = apply_setting(config, line, file, shape.is_foreign());
    }
    if (!bad.empty()) wrong(bad);
  }
  config.was_made_for_rtpengine |= shape.is_foreign();
}

}  // namespace ferry
