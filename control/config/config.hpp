// SPDX-License-Identifier: Apache-2.0
// Options of the daemon. One table of rows serves the command line, the configuration file, help and
// documents.
#pragma once

#include "control/config/option_row.hpp"
#include "control/events/settings.hpp"
#include "control/manager/manager.hpp"
#include "control/telemetry/settings.hpp"
#include "recorder/settings.hpp"
#include "relay/core/offload/offload_mode.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace ferry {

/// Form of log lines: text for people, or one JSON object a line.
enum class LogFormat : std::uint8_t { kText, kJson };

/// Engine that moves packets. `kAuto` takes the portable one.
enum class EngineKind : std::uint8_t { kAuto, kPortable, kDpdk };

/// Options of the DPDK engine, which has network ports of its own.
struct DpdkOptions {
  /// Arguments for DPDK's environment abstraction layer.
  std::vector<std::string> eal;
  /// A network port of DPDK, and the TAP interface by which the kernel uses it.
  struct Port {
    std::string device;
    /// Empty = named by its number: ferry0, ferry1 and so on.
    std::string interface;
  };
  /// Empty = all ports that DPDK finds.
  std::vector<Port> ports;
  /// Workers without packets sleep up to 1 ms; if false, they poll.
  bool sleeps = true;
  /// Packet buffers; 0 = chosen by the number of queues and workers.
  std::size_t buffers = 0;
};

/// All settings of the daemon. The help text of the option with a member's name explains it in full. A module
/// gets its own part, never the whole.
struct Config {
  std::string config_file = "/etc/rtpferry/rtpferry.conf";
  /// Section of the file with the options; empty = `rtpferry` and `rtpengine`.
  std::string config_section;
  /// Begin of the names of sections about one address, without the hyphen; empty = `interface`.
  std::string interface_sections;
  /// The file has the form of rtpengine's, or an option of rtpengine's that the relay does not have was
  /// given. `read_config` sets it; a listener that is a port alone is then worth a notice.
  bool was_made_for_rtpengine = false;
  /// Listeners that were named by a port alone, as `listen-ng=2223`.
  std::vector<std::string> loopback_listeners;
  /// Local addresses for media, as options and `[interface-NAME]` sections name them.
  std::vector<InterfaceSpec> interfaces;
  /// Listeners of the NG protocol: UDP, TCP, Unix sockets. If no listener for proxies is named, `read_config`
  /// adds 127.0.0.1:2223 over UDP.
  std::vector<Endpoint> listen_ng;
  std::vector<Endpoint> listen_tcp_ng;
  std::vector<std::string> listen_unix_ng;
  // The rtpproxy protocol: control sockets, as the option `listen-rtpp` spells them.
  std::vector<std::string> listen_rtpp;
  /// Mode of its Unix sockets' files.
  mode_t rtpproxy_socket_mode = 0660;
  /// `rtpp-timeout` was given. If not, its sessions have the time-out of other calls.
  bool rtpproxy_timeout_named = false;
  /// Logical interfaces that its modifiers `i` and `e` mean; empty = there is no bridging.
  std::string rtpproxy_internal;
  std::string rtpproxy_external;
  /// Parties of bridged sessions are symmetric; by default they are asymmetric.
  bool rtpproxy_bridge_symmetric = false;
  /// Targets that may be told of time-outs and DTMF.
  std::vector<std::string> rtpproxy_notify;
  /// Folders with prompts.
  std::vector<std::string> rtpproxy_prompts;
  /// Folders with files that are played to parties, and the folder of those that have numbers; empty = there
  /// is none.
  std::vector<std::string> media_files;
  std::string media_numbers;
  /// MiB of encoded sound that are kept for the next listener.
  std::uint32_t media_cache_mib = 64;
  /// Tones with another cadence than the built-in one: name and cadence, which the start of the daemon
  /// checks.
  std::vector<std::pair<std::string, std::string>> tones;
  /// The country of tones that name none.
  std::string tone_country = "us";
  /// SIGHUP begins draining: the daemon ends after its last call. By default it reads the configuration file
  /// again.
  bool drains_on_sighup = false;
  /// Socket of `rtpferryctl`; "none" = there is none.
  std::string control_socket = "/run/rtpferry/control.sock";
  /// Range of media ports, both ends included.
  UdpPort port_min{30000};
  UdpPort port_max{40000};
  /// The port that all ICE legs share at each address; 0 = every leg has ports of its own.
  UdpPort ice_port{};
  /// Settings of calls.
  SessionConfig session;
  /// Pre-set words of requests, by the name of the template. `read_config` takes them from the section that
  /// `templates_section` names.
  std::map<std::string, std::string, std::less<>> templates;
  std::string templates_section = "templates";
  /// All sections with templates in the file, by their names.
  std::map<std::string, std::map<std::string, std::string, std::less<>>> template_sections;
  /// Listeners of HTTP and HTTPS.
  std::vector<Endpoint> listen_http;
  std::vector<Endpoint> listen_https;
  /// Certificate chain, private key, and the authority that clients' certificates must come from: paths of
  /// PEM files. An empty key: it is in `https_cert`. An empty authority: no certificate is asked for.
  std::string https_cert;
  std::string https_key;
  std::string https_client_ca;
  /// Bearer token that HTTP clients must send; empty = none.
  std::string http_token;
  /// Time without a request after which an HTTP connection is closed; zero = never.
  std::chrono::seconds http_idle_timeout{60};
  /// Names that HTTP clients may give in Host, beside the addresses and own names of this host (CTL-13).
  std::vector<std::string> http_names;
  /// Most connections to all control listeners together (CTL-12).
  std::size_t max_clients = 1024;
  /// URL of the time-out call-back; empty = none.
  std::string b2b_url;
  /// Form of the time-out call-back: 0 SEMS, 1 the Call-ID alone, 2 Kamailio.
  int xmlrpc_format = 0;
  /// Receiver of DTMF events over UDP; unset = none.
  std::optional<Endpoint> dtmf_log_dest;
  /// Mode of the forwarding in the kernel, for interfaces without an entry in `offload_of`.
  OffloadMode offload = OffloadMode::kAuto;
  /// Modes by the name of the network interface.
  std::map<std::string, OffloadMode> offload_of;
  EngineKind engine = EngineKind::kAuto;
  DpdkOptions dpdk;
  /// Clients of NG over TCP get DTMF events.
  bool dtmf_log_ng_tcp = false;
  /// Media workers; 0 = one per core, or per lcore of DPDK.
  std::size_t threads = 0;
  /// Threads that convert audio; 0 = the workers do it. Unset: one per core.
  std::optional<std::size_t> media_threads;
  /// DSCP octet of control replies; 0 = unchanged.
  std::uint8_t control_tos = 0;
  /// Networks that may use control listeners beside loopback (CTL-2).
  std::vector<Network> control_allow;
  /// Everybody may use control listeners, within a budget. Unsafe.
  bool allow_open_control = false;
  /// Most detailed level that is logged, as in syslog: 0 to 7.
  int log_level = 6;
  /// Log to standard error, which happens in any case if there is no syslog.
  bool log_stderr = true;
  /// Facility of syslog; empty = no syslog.
  std::string log_facility;
  LogFormat log_format = LogFormat::kText;
  /// The log gets a record of each call that is over.
  bool cdr = true;
  /// Packets whose headers are kept for `explain`.
  FlightMode flight = FlightMode::kUser;
  /// Listeners of the text commands (rtpengine's).
  std::vector<Endpoint> listen_cli;
  /// The program stays in the foreground; if false, it goes to the background once it has read its
  /// configuration.
  bool foreground = true;
  /// Who gets events of calls, beside clients of `listen_http` and `listen_https`.
  events::EventSettings events;
  RecorderSettings recorder;
  TelemetrySettings telemetry;
  /// `recording-method` was given, so that the first value replaces the default.
  bool recording_methods_named = false;
  /// Folder with codecs in packages of their own; empty = the installed place.
  std::string codec_plugins;
  /// Name of the library that encrypts.
  std::string srtp_backend = "openssl";
  /// Allows core dumps, which contain the keys of encrypted calls.
  bool core_dumps = false;
  /// User and group that the daemon becomes once it has started; empty = as described at the option `user`.
  std::string user;
  std::string group;
  /// Path of the pid file; empty = none.
  std::string pid_file;
  /// The program does this and exits: checks the configuration, prints help, version, manual or codecs.
  bool check_only = false;
  bool show_help = false;
  bool show_version = false;
  bool show_manual = false;
  bool show_codecs = false;
  /// Sentences to log at the start, such as for options that are accepted and do nothing here.
  std::vector<std::string> notices;

  /// True if there is a listener of the NG protocol.
  [[nodiscard]] bool listens_for_ng() const {
    return !listen_ng.empty() || !listen_tcp_ng.empty() || !listen_unix_ng.empty() || !listen_http.empty() ||
           !listen_https.empty();
  }
};

/// All options, in the order of the help.
std::span<const OptionRow> option_rows();
/// Stores a value as the file or the command line has it. A list may have several parts with `;` between
/// them, and grows by them. Returns a sentence if the value is bad, else an empty text.
std::string apply_option(Config& config, const OptionRow& row, std::string_view value);

/// All faults of a configuration, one on each line: `FILE:LINE: …` or `--option: …`.
struct ConfigError {
  std::string text;
};

/// Applies the lines of an INI text to `config`. `file` is its name in messages.
Result<void, ConfigError> apply_ini(Config& config, std::string_view text, std::string_view file);

/// Reads the configuration: `config-file` from the command line, then that file, then the command line over
/// it. Returns a sentence for each fault in either. If there are faults, `config` serves only to look for
/// further ones.
std::vector<std::string> read_config(std::span<char* const> arguments, Config& config);

/// The last step of `read_config`: fills in defaults that follow from other options. Returns a sentence for
/// each fault across options. `is_good`: no single option was at fault.
std::vector<std::string> complete_config(Config& config, bool is_good);

/// The same as `read_config`, but fails if there is any fault.
Result<Config, ConfigError> load_config(std::span<char* const> arguments);

/// Returns the daemon's manual page, in roff for man(1).
std::string manual_page();

/// Returns the text of `--help`.
std::string help_text();

/// Returns the option whose name differs from `name` in the fewest letters, two at most; empty if there is
/// none.
std::string_view closest_option(std::string_view name);

}  // namespace ferry
