// SPDX-License-Identifier: Apache-2.0
// Reads the configuration from one table of options.
//
// `read_config` runs in this order: the command line for `config-file` alone, the file, the whole command
// line, then defaults that depend on other options and checks across options. So the command line counts more
// than the file. Faults are collected, not thrown: an operator sees all of them at once, each with file and
// line, or with the option.
//
// A trap: a list on the command line replaces that of the file, so `take_arguments` clears the list at its
// first member; each row of a list says how.

#include "control/config/command_line.hpp"
#include "control/config/config.hpp"
#include "control/config/file_reader.hpp"
#include "control/config/foreign_options.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ferry {

namespace {

/// All faults, one sentence each, so that an operator can mend them in one go.
using Wrongs = std::vector<std::string>;

/// Chooses the section with templates. Called last, because the option `templates` may stand behind that
/// section, or on the command line.
void choose_templates(Config& config) {
  const auto found = config.template_sections.find(config.templates_section);
  if (found != config.template_sections.end()) config.templates = found->second;
}

/// Takes the options that decide how the file is read.
void take_file_options(Config& config, const std::vector<GivenOption>& given) {
  static constexpr std::string_view kNames[] = {"config-file", "config-section", "interfaces-config"};
  for (const GivenOption& option : given) {
    if (option.own != nullptr && std::ranges::find(kNames, option.own->name) != std::end(kNames))
      static_cast<void>(option.own->apply(config, option.value));
  }
}

/// Applies the command line. Lists on it replace those in the file.
void take_arguments(Config& config, const std::vector<GivenOption>& given, Wrongs& wrongs) {
  std::set<void (*)(Config&)> lists_seen;
  for (const GivenOption& option : given) {
    if (!option.wrong.empty()) {
      wrongs.push_back(option.wrong);
    } else if (option.foreign != nullptr) {
      take_foreign_option(config, *option.foreign, option.value);
    } else {
      const OptionRow& row = *option.own;
      if (row.kind == OptionKind::kList && lists_seen.insert(row.clear).second) row.clear(config);
      if (const auto bad = apply_option(config, row, option.value); !bad.empty())
        wrongs.push_back(fmt::format("--{}: {}", row.name, bad));
    }
  }
}

}  // namespace

Result<void, ConfigError> apply_ini(Config& config, std::string_view text, std::string_view file) {
  Wrongs wrongs;
  read_file(config, text, file, wrongs);
  choose_templates(config);
  if (!wrongs.empty()) return fail(ConfigError{fmt::format("{}", fmt::join(wrongs, "\n"))});
  return {};
}

Result<Config, ConfigError> load_config(std::span<char* const> arguments) {
  Config config;
  const auto wrong = read_config(arguments, config);
  if (!wrong.empty()) return fail(ConfigError{fmt::format("{}", fmt::join(wrong, "\n"))});
  return config;
}

std::vector<std::string> complete_config(Config& config, bool is_good) {
  Wrongs wrongs;
  if (config.port_min.value >= config.port_max.value)
    wrongs.push_back(
        fmt::format("port-min {} must be below port-max {}", config.port_min.value, config.port_max.value));
  // A wrong interface has been reported above.
  if (config.interfaces.empty() && is_good)
    wrongs.push_back("no interface: give at least one, e.g. --interface=192.0.2.1");
  if (!config.listen_https.empty() && config.https_cert.empty())
    wrongs.push_back("listen-https needs https-cert=FILE (and https-key=FILE if the key is not in it)");
  const UploadSettings& upload = config.recorder.upload;
  if (!upload.endpoint.empty() &&
      (upload.bucket.empty() || upload.access_key.empty() || upload.secret_key.empty()))
    wrongs.push_back(
        "recording-upload-url needs recording-upload-bucket, recording-upload-access-key and "
        "recording-upload-secret-key");
  if (config.recorder.state_directory.empty()) config.recorder.state_directory = default_state_directory();
  choose_templates(config);
  if (config.templates_section != "templates" && !config.template_sections.contains(config.templates_section))
    wrongs.push_back(fmt::format("templates: there is no section '[{}]' in '{}'", config.templates_section,
                                 config.config_file));
  // Defaults that follow from other options.
  if (!config.rtpproxy_timeout_named) config.session.rtpproxy.timeout = config.session.timeout;
  if (!config.rtpproxy_internal.empty() && !config.rtpproxy_bridge_symmetric)
    config.session.rtpproxy.asymmetric = true;
  // Calls remember their client only if the call-back's URL needs its address.
  config.session.remember_client = config.b2b_url.find("%%") != std::string::npos;
  if (!config.listens_for_ng() && config.listen_rtpp.empty())
    config.listen_ng.push_back({IpAddress::v4({127, 0, 0, 1}), UdpPort{2223}});
  if (config.was_made_for_rtpengine) {
    for (const std::string& listener : config.loopback_listeners)
      config.notices.push_back(
          fmt::format("{} is reached from this host alone, where rtpengine listens at every address: for a "
                      "proxy elsewhere "
                      "name ADDRESS:PORT, and the proxy with control-allow",
                      listener));
  }
  if (!config.allow_open_control && config.control_allow.empty()) {
    for (const auto* list : {&config.listen_ng, &config.listen_tcp_ng, &config.listen_http,
                             &config.listen_https, &config.listen_cli}) {
      for (const Endpoint& endpoint : *list) {
        if (endpoint.address.is_loopback()) continue;
        wrongs.push_back(fmt::format(
            "control listener {} is not on loopback: name who may use it with control-allow=NETWORK "
            "(or accept anybody with allow-open-control)",
            endpoint.to_string()));
      }
    }
  }
  return wrongs;
}

std::vector<std::string> read_config(std::span<char* const> arguments, Config& config) {
  const std::string default_file = config.config_file;
  Wrongs wrongs;
  const std::vector<GivenOption> given = given_options(arguments);
  take_file_options(config, given);
  const std::string file = config.config_file;
  if (file != "none") {
    std::error_code ignored;
    if (std::ifstream in(file); in && !std::filesystem::is_directory(file, ignored)) {
      std::stringstream text;
      text << in.rdbuf();
      read_file(config, text.str(), file, wrongs);
    } else if (file != default_file || std::filesystem::exists(file, ignored)) {
      wrongs.push_back(fmt::format("config-file: cannot read '{}'", file));
    }
  }
  // The file has no say in which file is read.
  config.config_file = file;
  take_arguments(config, given, wrongs);
  if (config.show_help || config.show_version || config.show_manual || config.show_codecs) return {};
  for (std::string& wrong : complete_config(config, wrongs.empty())) wrongs.push_back(std::move(wrong));
  return wrongs;
}

}  // namespace ferry
