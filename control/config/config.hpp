// Options of the daemon: one table for command line, configuration file, help and documents.
#pragma once

#include "control/session/manager.hpp"
#include "recorder/settings.hpp"
#include "relay/core/offload/offload_mode.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

enum class LogFormat : std::uint8_t { kText, kJson };

enum class EngineKind : std::uint8_t { kAuto, kPortable, kDpdk };

/// For the engine that has network ports of its own.
struct DpdkOptions {
  std::vector<std::string> eal;
  struct Port {
    std::string device;
    std::string interface;  // empty = by number
  };
  std::vector<Port> ports;
  bool sleeps = true;
  std::size_t buffers = 0;  // 0 = enough
};

/// Everything the daemon can be told. Modules get their slice, never the whole.
struct Config {
  std::string config_file = "/etc/rtpferry/rtpferry.conf";
  std::vector<InterfaceSpec> interfaces;
  std::vector<Endpoint> listen_ng;
  std::vector<Endpoint> listen_tcp_ng;
  std::vector<std::string> listen_unix_ng;
  // The classic rtpproxy protocol.
  /// Control sockets as their option spells them.
  std::vector<std::string> listen_rtpp;
  unsigned rtpp_socket_mode = 0660;
  bool rtpp_timeout_named = false;
  /// Interfaces that its modifiers `i` and `e` mean; empty = there is no bridging.
  std::string rtpp_internal;
  std::string rtpp_external;
  bool rtpp_bridge_symmetric = false;
  std::vector<std::string> rtpp_notify;
  std::vector<std::string> rtpp_prompts;
  /// SIGHUP ends the daemon once its last call is over, instead of reading the file again.
  bool drains_on_sighup = false;
  std::string control_socket = "/run/rtpferry/control.sock";
  UdpPort port_min{30000};
  UdpPort port_max{40000};
  SessionConfig session;
  /// Pre-set words of requests by name: section `[templates]`, or the one that `templates` names.
  std::map<std::string, std::string, std::less<>> templates;
  std::string templates_section = "templates";
  /// All sections with templates that the file has, by name.
  std::map<std::string, std::map<std::string, std::string, std::less<>>> template_sections;
  std::vector<Endpoint> listen_http;
  std::vector<Endpoint> listen_https;
  std::string https_cert;
  std::string https_key;
  std::string https_client_ca;
  std::string http_token;
  std::chrono::seconds http_idle_timeout{60};
  /// Names that HTTP clients may give in Host, beside the addresses and own names of this host (CTL-13).
  std::vector<std::string> http_names;
  /// Connections to all control listeners together (CTL-12).
  std::size_t max_clients = 1024;
  /// Time-out call-back: empty = none.
  std::string b2b_url;
  int xmlrpc_format = 0;
  std::optional<Endpoint> dtmf_log_dest;
  /// For interfaces that are not named in `offload_of`.
  OffloadMode offload = OffloadMode::kAuto;
  std::map<std::string, OffloadMode> offload_of;
  EngineKind engine = EngineKind::kAuto;
  DpdkOptions dpdk;
  bool dtmf_log_ng_tcp = false;
  std::size_t threads = 0;  // 0 = one per core, or per lcore of DPDK
  std::uint8_t control_tos = 0;
  std::vector<Network> control_allow;
  bool allow_open_control = false;
  int log_level = 6;  // syslog numbers
  bool log_stderr = true;
  std::string log_facility;  // empty = no syslog
  LogFormat log_format = LogFormat::kText;
  /// A line for each call that is over.
  bool cdr = true;
  FlightMode flight = FlightMode::kUser;
  std::vector<Endpoint> listen_cli;
  bool foreground = true;
  RecorderSettings recorder;
  bool recording_methods_named = false;
  /// Empty = the installed place.
  std::string codec_plugins;
  std::string srtp_backend = "openssl";
  /// Core dumps contain the keys of encrypted calls.
  bool core_dumps = false;
  /// Whom the daemon becomes once it has started; empty = stays who it is.
  std::string user;
  std::string group;
  std::string pid_file;
  bool check_only = false;
  bool show_help = false;
  bool show_version = false;
  bool show_manual = false;
  /// Sentences to log at start: options that are accepted but do nothing here.
  std::vector<std::string> notices;

  [[nodiscard]] bool listens_for_ng() const {
    return !listen_ng.empty() || !listen_tcp_ng.empty() || !listen_unix_ng.empty() || !listen_http.empty() ||
           !listen_https.empty();
  }
};

enum class OptionKind : std::uint8_t { kValue, kList, kSwitch };

struct OptionRow {
  std::string_view name;
  char letter = 0;
  OptionKind kind = OptionKind::kValue;
  /// Takes the value in; returns a sentence if it is bad, else nothing.
  std::string (*apply)(Config& config, std::string_view value) = nullptr;
  std::string_view argument;
  std::string_view help;
};
std::span<const OptionRow> option_rows();
/// Takes a value in as the file or the command line has it: a list may have several parts, divided by `;`,
/// and grows by them. Returns a sentence if it is bad, else nothing.
std::string apply_option(Config& config, const OptionRow& row, std::string_view value);

/// All faults of a configuration, a line each: `FILE:LINE: …` or `--option: …`.
struct ConfigError {
  std::string text;
};

/// Applies the lines of an INI text. `file` is for messages.
Result<void, ConfigError> apply_ini(Config& config, std::string_view text, std::string_view file);

/// Command line first for `config-file`, then the file, then the command line over it. Returns a
/// sentence for each fault in either; with faults, `config` serves only to look for further ones.
std::vector<std::string> read_config(std::span<char* const> arguments, Config& config);

/// The same, but an error unless the configuration is good.
Result<Config, ConfigError> load_config(std::span<char* const> arguments);

/// The manual page of the daemon, roff for man(1).
std::string manual_page();

/// The text of `--help`.
std::string help_text();

/// Closest name within two letters, or empty.
std::string_view closest_option(std::string_view name);

}  // namespace ferry
