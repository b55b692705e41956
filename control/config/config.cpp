// SPDX-License-Identifier: Apache-2.0
// The table of options, and the texts that are made of it: help and manual page. config_reading.cpp reads
// values by it.

#include "control/config/config.hpp"

#include "control/config/ini.hpp"
#include "control/config/readers.hpp"
#include "relay/base/closest_name.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include <fmt/format.h>

namespace ferry {

namespace {

/// Reads a decimal number that is not negative.
std::string read_fraction(std::string_view text, double& target) {
  char* end = nullptr;
  const std::string copy(text);
  const double number = std::strtod(copy.c_str(), &end);
  if (copy.empty() || end != copy.c_str() + copy.size() || !(number >= 0 && number <= 1e9)) {
    return fmt::format("'{}' is no number", text);
  }
  target = number;
  return {};
}

/// Adds `ADDRESS:PORT`. A port alone is on loopback (CTL-1).
std::string add_endpoint(std::vector<Endpoint>& target, std::string_view text) {
  std::string spelled(text);
  if (spelled.find(':') == std::string::npos) spelled = "127.0.0.1:" + spelled;
  if (spelled.starts_with("localhost:")) spelled.replace(0, 9, "127.0.0.1");
  const auto endpoint = Endpoint::parse(spelled);
  if (!endpoint || endpoint->port.value == 0) return fmt::format("'{}' is no ADDRESS:PORT", text);
  target.push_back(*endpoint);
  return {};
}

/// A level above 7 is 7: rtpengine has levels that this relay does not have.
std::string read_log_level(Config& config, std::string_view text) {
  int level = 0;
  std::string wrong = read_number(text, level, 0, 1000);
  if (wrong.empty()) config.log_level = std::min(level, 7);
  if (wrong.empty() && level > 7)
    config.notices.push_back(fmt::format("log-level={} counts as 7, the most detailed one", level));
  return wrong;
}

/// Adds `MODE`, or `INTERFACE=MODE`.
std::string add_offload(Config& c, std::string_view text) {
  const auto equals = text.find('=');
  const std::string_view name =
      equals == std::string_view::npos ? std::string_view() : text.substr(0, equals);
  const auto mode = parse_offload_mode(equals == std::string_view::npos ? text : text.substr(equals + 1));
  if (!mode || (equals != std::string_view::npos && name.empty()))
    return fmt::format(
        "'{}' is neither auto, xdp, xdp-generic, tc, clsact, off nor INTERFACE= and one of them", text);
  if (name.empty()) {
    c.offload = *mode;
  } else {
    c.offload_of[std::string(name)] = *mode;
  }
  return {};
}

void clear_offload(Config& c) {
  c.offload = Config().offload;
  c.offload_of.clear();
}

/// Adds a host name, or `*.DOMAIN`.
std::string add_http_name(Config& c, std::string_view text) {
  const std::string_view name = text.starts_with("*.") ? text.substr(2) : text;
  const auto is_bad = [](char letter) {
    return std::isalnum(static_cast<unsigned char>(letter)) == 0 && letter != '-' && letter != '.' &&
           letter != '_';
  };
  if (name.empty() || std::ranges::any_of(name, is_bad))
    return fmt::format("'{}' is no host name (without scheme, port and path) and no *.DOMAIN", text);
  c.http_names.emplace_back(text);
  return {};
}

constexpr std::array<std::pair<std::string_view, FlightMode>, 3> kFlightModes = {{
    {"off", FlightMode::kOff},
    {"user", FlightMode::kUser},
    {"all", FlightMode::kAll},
}};

// clang-format off
// Options of the daemon in general; those of subjects are in files of their own.
constexpr OptionRow kOptions[] = {
  {"config-file", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.config_file = v; return std::string(); }, "FILE", "configuration file; 'none' = built-in values only"},
  {"config-section", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.config_section = v; return std::string(); }, "SECTION", "section of the file with the options of this instance (default rtpferry, or rtpengine)"},
  {"interfaces-config", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.interface_sections = v; return std::string(); }, "PREFIX", "begin of the names of sections about one address, as in [PREFIX-NAME] (default interface)"},
  {"interface", 'i', OptionKind::kList, [](Config& c, std::string_view v) {
     const InterfaceSpec spec = parse_interface_spec(v);
     if (spec.name.empty()) return fmt::format("'{}' has no name before the '/' or '='", v);
     if (spec.address.empty() && spec.alias_of.empty()) return fmt::format("'{}' names no address (is a variable empty?)", v);
     if (v.ends_with('!')) return fmt::format("'{}' ends with '!' and names no address to advertise (is a variable empty?)", v);
     c.interfaces.push_back(spec);
     return std::string();
   }, "[NAME/]ADDR[!ADVERTISED]", "local address for media; NAME=OTHER makes an alias; ADDR may be a system interface", [](Config& c) { c.interfaces.clear(); }},
  {"listen-ng", 'n', OptionKind::kList, [](Config& c, std::string_view v) { return add_endpoint(c.listen_ng, v); }, "ADDR:PORT", "NG protocol over UDP; a port alone listens on loopback (default 127.0.0.1:2223, if no other listener for NG, HTTP or the rtpproxy protocol is named)", [](Config& c) { c.listen_ng.clear(); }},
  {"listen-tcp-ng", 'N', OptionKind::kList, [](Config& c, std::string_view v) { return add_endpoint(c.listen_tcp_ng, v); }, "ADDR:PORT", "NG protocol over TCP", [](Config& c) { c.listen_tcp_ng.clear(); }},
  {"listen-unix-ng", 0, OptionKind::kList, [](Config& c, std::string_view v) { c.listen_unix_ng.emplace_back(v); return std::string(); }, "PATH", "NG protocol over a Unix stream socket", [](Config& c) { c.listen_unix_ng.clear(); }},
  {"control-socket", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.control_socket = v; return std::string(); }, "PATH", "Unix socket of rtpferryctl (default /run/rtpferry/control.sock); 'none' = off"},
  {"listen-cli", 'c', OptionKind::kList, [](Config& c, std::string_view v) { return add_endpoint(c.listen_cli, v); }, "ADDR:PORT", "text commands over TCP, for scripts made for rtpengine", [](Config& c) { c.listen_cli.clear(); }},
  {"port-min", 'm', OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::uint16_t>(v, c.port_min.value, 1, 65535); }, "PORT", "lowest media port (default 30000)"},
  {"port-max", 'M', OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::uint16_t>(v, c.port_max.value, 1, 65535); }, "PORT", "highest media port (default 40000)"},
  {"ice-port", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::uint16_t>(v, c.ice_port.value, 0, 65535); }, "PORT", "one UDP port at each address for all legs with ICE and rtcp-mux, outside the range of media ports (default 0: each leg has ports of its own)"},
  {"log-level", 'L', OptionKind::kValue, read_log_level, "0-7", "most detailed messages to log, syslog numbers (default 6)"},
  {"log-stderr", 'E', OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.log_stderr, v); }, "", "log to stderr (default; 'no' when log-facility is used)"},
  {"log-facility", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     static const std::set<std::string_view> known = {"daemon", "user", "auth", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"};
     if (!known.contains(v)) return fmt::format("'{}' is no syslog facility", v);
     c.log_facility = v;
     return std::string();
   }, "NAME", "log to syslog under this facility"},
  {"log-format", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     if (v == "text" || v == "default") c.log_format = LogFormat::kText;
     else if (v == "json" || v == "parsable") c.log_format = LogFormat::kJson;
     else return fmt::format("'{}' is neither text nor json", v);
     return std::string();
   }, "text|json", "form of log lines"},
  {"cdr", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.cdr, v); }, "", "log a line with quality and verdicts for each call that is over (default yes)"},
  {"flight-recorder", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_word(v, c.flight, kFlightModes); }, "off|user|all", "keep headers of the last 10 s of packets for explain: of those that user space sees (default), or of all"},
  {"core-dumps", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.core_dumps, v); }, "", "allow core dumps, which contain the keys of encrypted calls (default no)"},
  {"foreground", 'f', OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.foreground, v); }, "", "stay in the foreground (default)"},
  {"pidfile", 'p', OptionKind::kValue, [](Config& c, std::string_view v) { c.pid_file = v; return std::string(); }, "FILE", "write the process id here"},
  {"num-threads", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::size_t>(v, c.threads, 0, 256); }, "N", "media workers (default 0 = one per core)"},
  {"media-threads", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::size_t>(v, c.media_threads.emplace(), 0, 256); }, "N", "threads that convert audio beside the workers (default one per core; 0 = the workers do it)"},
  {"tos", 'T', OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::uint8_t>(v, c.session.tos, 0, 255); }, "0-255", "DSCP octet of media packets"},
  {"control-tos", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::uint8_t>(v, c.control_tos, 0, 255); }, "0-255", "DSCP octet of control replies"},
  {"timeout", 'o', OptionKind::kValue, [](Config& c, std::string_view v) { return read_seconds(v, c.session.timeout); }, "S", "end a call without media after (default 60)"},
  {"silent-timeout", 's', OptionKind::kValue, [](Config& c, std::string_view v) { return read_seconds(v, c.session.silent_timeout); }, "S", "the same while it is on hold (default 3600)"},
  {"offer-timeout", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_seconds(v, c.session.offer_timeout); }, "S", "end a call whose offer nobody has answered after (default 300)"},
  {"final-timeout", 'a', OptionKind::kValue, [](Config& c, std::string_view v) { return read_seconds(v, c.session.final_timeout); }, "S", "end any call after (default 0 = never)"},
  {"delete-delay", 'd', OptionKind::kValue, [](Config& c, std::string_view v) { return read_seconds(v, c.session.delete_delay); }, "S", "a deleted call lives on for (default 30)"},
  {"max-sessions", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     std::int64_t n = 0;
     auto wrong = read_number<std::int64_t>(v, n, -1, 100'000'000);
     c.session.max_sessions = n > 0 ? static_cast<std::size_t>(n) : 0;
     return wrong;
   }, "N", "refuse new calls above (default 0 = no limit)"},
  {"max-cpu", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_fraction(v, c.session.max_cpu_percent); }, "PERCENT", "refuse new calls while the host's CPU use is above"},
  {"max-bandwidth", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::uint64_t>(v, c.session.max_bandwidth_bytes, 0, UINT64_MAX); }, "BYTES/S", "refuse new calls while media is above"},
  {"max-load", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_fraction(v, c.session.max_load); }, "LOAD", "refuse new calls while the load average is above"},
  {"max-transcoding-load", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_fraction(v, c.session.max_transcoding_percent); }, "PERCENT", "refuse offers that ask for conversion while every media thread is this busy (default 85; 0 = no limit)"},
  {"endpoint-learning", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     if (v == "off") c.session.latch = LatchPolicy::kOff;
     else if (v == "immediate") c.session.learning = LearningAlgorithm::kImmediate;
     else if (v == "delayed") c.session.learning = LearningAlgorithm::kDelayed;
     else if (v == "heuristic") c.session.learning = LearningAlgorithm::kHeuristic;
     else return fmt::format("'{}' is none of off, immediate, delayed, heuristic", v);
     if (v != "off") c.notices.push_back(fmt::format("endpoint-learning={} accepts media from any source: unsafe", v));
     return std::string();
   }, "MODE", "off, or immediate, delayed, heuristic (all three unsafe: any source is accepted)"},
  {"latch", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     const auto policy = parse_latch_policy(v);
     if (!policy) return fmt::format("'{}' is none of off, signalled, uncontested, any", v);
     c.session.latch = *policy;
     if (*policy == LatchPolicy::kAny) c.notices.emplace_back("latch=any accepts media from any source: unsafe");
     return std::string();
   }, "POLICY", "sources that may be learned: off, signalled (default), uncontested, any (unsafe)"},
  {"strict-payload-types", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.session.strict_payload_types, v); }, "", "drop packets of payload types that were not negotiated even from locked sources (default no: they pass and are noted)"},
  {"direction-strict", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.session.direction_strict, v); }, "", "refuse requests whose direction names an interface that does not exist (default no: they get the default interface and a warning)"},
  {"unheard-per-address", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::size_t>(v, c.session.unheard_per_address, 0, 1'000'000); }, "N", "how many never-heard parties of one address get media for longer than 10 s (default 20, 0 = no limit); each party of the address that was heard in the last minute allows four more"},
  {"bundle", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     if (v != "accept" && v != "ignore") return fmt::format("'{}' is neither accept nor ignore", v);
     c.session.accepts_bundle = v == "accept";
     return std::string();
   }, "WHETHER", "what becomes of the BUNDLE groups of an offer: accept (default) takes them, ignore gives each section ports of its own; the words accept and reject of the key bundle overrule it"},
  {"sip-source", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.session.sip_source, v); }, "", "use received-from instead of SDP addresses"},
  {"software-name", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     if (v.empty() || v.find_first_of(" \r\n:") != std::string_view::npos) return fmt::format("'{}' cannot stand in SDP", v);
     c.session.software_name = v;
     return std::string();
   }, "NAME", "name in SDP of our own making (default rtpferry)"},
  {"control-allow", 0, OptionKind::kList, [](Config& c, std::string_view v) {
     const auto network = Network::parse(v);
     if (!network) return fmt::format("'{}' is no network", v);
     c.control_allow.push_back(*network);
     return std::string();
   }, "NETWORK", "networks that may use control listeners other than loopback", [](Config& c) { c.control_allow.clear(); }},
  {"allow-open-control", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.allow_open_control, v); }, "", "let anybody who reaches a control listener use it (unsafe)"},
  {"templates", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.templates_section = v; return std::string(); }, "SECTION", "section of the file with pre-set words of requests (default templates)"},
  {"srtp", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     if (v == "require") c.session.srtp.policy = SrtpPolicy::kRequire;
     else if (v == "allow") c.session.srtp.policy = SrtpPolicy::kAllow;
     else return fmt::format("'{}' is neither require nor allow", v);
     return std::string();
   }, "require|allow", "answers that do not take offered encryption: an error (default), or plain media"},
  {"srtp-backend", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.srtp_backend = v; return std::string(); }, "NAME", "who encrypts: openssl (default), libsrtp2, or ipsec-mb if the build has it"},
  {"dtls-passive", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.session.dtls.is_passive, v); }, "", "DTLS: let the offerer begin where it leaves the choice"},
  {"dtls-sha1", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.session.dtls.allow_sha1, v); }, "", "DTLS: a fingerprint of SHA-1 alone is good enough (unsafe)"},
  {"sdes-legacy-suites", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.session.srtp.legacy_suites, v); }, "", "offer F8 and NULL suites too, which are never chosen"},
  {"reject-invalid-sdp", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.session.reject_invalid_sdp, v); }, "", "refuse SDP with lines that are none instead of skipping them"},
  {"ssrc-reporting", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     if (v == "full" || v == "all") c.session.ssrc_reporting = SsrcReporting::kFull;
     else if (v == "global") c.session.ssrc_reporting = SsrcReporting::kGlobal;
     else if (v == "inline") c.session.ssrc_reporting = SsrcReporting::kInline;
     else if (v == "none") c.session.ssrc_reporting = SsrcReporting::kNone;
     else return fmt::format("'{}' is none of full, global, inline, none", v);
     return std::string();
   }, "WHERE", "statistics by SSRC in query: full (default), global, inline, none"},
  {"keepalive-silence", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::uint16_t>(v, c.session.keep_alive_s, 0, 3600); }, "SECONDS", "a party that gets no audio for so long gets comfort noise or silence, and every 2 s more of it (default 0 = never); calls then have RTCP of the relay's own"},
  {"measure-rtp", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.session.measure_rtp, v); }, "", "MOS in query from RTP itself where no RTCP says it"},
  {"mos", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     if (v == "CQ" || v == "cq") c.session.listening_quality = false;
     else if (v == "LQ" || v == "lq") c.session.listening_quality = true;
     else return fmt::format("'{}' is neither CQ nor LQ", v);
     return std::string();
   }, "CQ|LQ", "MOS with (CQ, default) or without the delay"},
  {"listen-http", 0, OptionKind::kList, [](Config& c, std::string_view v) { return add_endpoint(c.listen_http, v); }, "ADDR:PORT", "NG protocol over HTTP and WebSocket", [](Config& c) { c.listen_http.clear(); }},
  {"listen-https", 0, OptionKind::kList, [](Config& c, std::string_view v) { return add_endpoint(c.listen_https, v); }, "ADDR:PORT", "the same over TLS; needs https-cert and https-key", [](Config& c) { c.listen_https.clear(); }},
  {"https-cert", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.https_cert = v; return std::string(); }, "FILE", "certificate chain (PEM) of listen-https"},
  {"https-key", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.https_key = v; return std::string(); }, "FILE", "its private key (PEM); default: in https-cert"},
  {"https-client-ca", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.https_client_ca = v; return std::string(); }, "FILE", "clients of listen-https must show a certificate of this authority (PEM)"},
  {"http-token", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.http_token = v; return std::string(); }, "TEXT", "bearer token that HTTP and WebSocket clients must send; better in the file than on the command line"},
  {"http-idle-timeout", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_seconds(v, c.http_idle_timeout); }, "S", "close HTTP connections without traffic after (default 60, 0 = never)"},
  {"http-names", 0, OptionKind::kList, add_http_name, "NAME", "name that HTTP clients may call this host by (Host), beside its addresses, localhost, its own names and those of https-cert; *.DOMAIN for all names in a domain; clients with the token or a certificate may use any", [](Config& c) { c.http_names.clear(); }},
  {"max-clients", 0, OptionKind::kValue, [](Config& c, std::string_view v) { return read_number<std::size_t>(v, c.max_clients, 8, 65'536); }, "N", "connections to all control listeners together (default 1024); a quarter of them for one client, 64 for one that is not in control-allow"},
  {"b2b-url", 'b', OptionKind::kValue, [](Config& c, std::string_view v) {
     if (!v.starts_with("http://")) return fmt::format("'{}' is no http:// URL", v);
     c.b2b_url = v;
     return std::string();
   }, "URL", "XML-RPC server told about calls that timed out; %% = the signalling client's address"},
  {"xmlrpc-format", 'x', OptionKind::kValue, [](Config& c, std::string_view v) { return read_number(v, c.xmlrpc_format, 0, 2); }, "0-2", "form of that: 0 SEMS, 1 call-id only, 2 Kamailio"},
  {"dtmf-log-dest", 0, OptionKind::kValue, [](Config& c, std::string_view v) {
     c.dtmf_log_dest = Endpoint::parse(v);
     return c.dtmf_log_dest ? std::string() : fmt::format("'{}' is no ADDRESS:PORT", v);
   }, "ADDR:PORT", "receives DTMF events as JSON over UDP"},
  {"dtmf-log-ng-tcp", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.dtmf_log_ng_tcp, v); }, "", "send DTMF events to all clients of listen-tcp-ng"},
  {"offload", 0, OptionKind::kList, add_offload, "[IF=]MODE", "forward locked plain streams in the kernel: auto (default), xdp, xdp-generic, tc, clsact (tc without tcx), off; for all interfaces or for one, as in eth0=tc", clear_offload},
  {"user", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.user = v; return std::string(); }, "NAME", "become this user once started; root becomes rtpferry without it, or nobody where there is no such user, and stays root only with user=root"},
  {"group", 0, OptionKind::kValue, [](Config& c, std::string_view v) { c.group = v; return std::string(); }, "NAME", "and this group (default: the user's)"},
  {"check-config", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.check_only, v); }, "", "check the configuration and exit"},
  {"help", 'h', OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.show_help, v); }, "", "this text"},
  {"manual", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.show_manual, v); }, "", "this program's manual page (man -l -)"},
  {"codecs", 0, OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.show_codecs, v); }, "", "the codecs that can be decoded and encoded here"},
  {"version", 'v', OptionKind::kSwitch, [](Config& c, std::string_view v) { return set_switch(c.show_version, v); }, "", "version"},
};
// clang-format on

}  // namespace

std::span<const OptionRow> option_rows() {
  static const std::vector<OptionRow> all = [] {
    std::vector<OptionRow> rows(std::begin(kOptions), std::end(kOptions));
    // Options after which the program only prints and exits stay at the end of the help.
    for (const auto& more :
         {peer_option_rows(), dpdk_option_rows(), rtpproxy_option_rows(), event_option_rows(),
          media_option_rows(), recording_option_rows(), telemetry_option_rows()}) {
      rows.insert(std::ranges::find(rows, std::string_view("check-config"), &OptionRow::name), more.begin(),
                  more.end());
    }
    return rows;
  }();
  return all;
}

const OptionRow* find_option(std::string_view name) {
  const auto rows = option_rows();
  const auto found = std::ranges::find(rows, name, &OptionRow::name);
  return found == rows.end() ? nullptr : &*found;
}

std::string unknown_option(std::string_view name) {
  const std::string_view close = closest_option(name);
  if (close.empty()) return fmt::format("unknown option '{}' (--help lists them)", name);
  return fmt::format("unknown option '{}': did you mean '{}'?", name, close);
}

std::string apply_option(Config& config, const OptionRow& row, std::string_view value) {
  if (row.kind != OptionKind::kList) return row.apply(config, value);
  const bool is_port_alone =
      !value.empty() && std::ranges::all_of(trim(value), [](char c) { return c >= '0' && c <= '9'; });
  if (is_port_alone && row.name.starts_with("listen-"))
    config.loopback_listeners.push_back(fmt::format("{}={}", row.name, trim(value)));
  // Every other list may be empty. An empty interface comes from a variable that nobody set.
  if (row.name == "interface" && trim(value).empty()) return "is empty (is a variable not set?)";
  while (true) {
    const auto end = std::min(value.find(';'), value.size());
    const std::string_view part = trim(value.substr(0, end));
    if (!part.empty()) {
      if (auto wrong = row.apply(config, part); !wrong.empty()) return wrong;
    }
    if (end == value.size()) return {};
    value.remove_prefix(end + 1);
  }
}

std::string_view closest_option(std::string_view name) {
  // MAX_SESSIONS is max-sessions.
  std::string plain(name);
  std::ranges::transform(plain, plain.begin(), [](char c) {
    return c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  if (const OptionRow* row = find_option(plain)) return row->name;
  return closest_name(name, option_rows(), &OptionRow::name);
}

std::string manual_page() {
  const auto roff = [](std::string_view text) {
    std::string safe;
    for (const char c : text) {
      if (c == '-' || c == '\\') safe += '\\';
      safe += c;
    }
    return safe;
  };
  std::string page = fmt::format(
      ".TH RTPFERRYD 8 \"\" \"rtpferry {}\" \"System Manager's Manual\"\n.SH NAME\nrtpferryd \\- RTP media "
      "relay for SIP "
      "proxies\n.SH SYNOPSIS\n.B rtpferryd\n[OPTIONS]\n.SH DESCRIPTION\nRelays RTP and RTCP between the "
      "parties of calls that a "
      "SIP proxy names over rtpengine's NG protocol or the rtpproxy protocol. Options may also stand in the "
      "configuration "
      "file, one NAME = VALUE a line; lists may be repeated or divided by ';'.\n.SH OPTIONS\n",
      FERRY_VERSION);
  for (const OptionRow& row : option_rows()) {
    page += fmt::format(".TP\n.B {}\\-\\-{}{}\n{}\n",
                        row.letter != 0 ? fmt::format("\\-{}, ", row.letter) : "", roff(row.name),
                        row.argument.empty() ? std::string() : "=" + roff(row.argument), roff(row.help));
  }
  return page +
         ".SH FILES\n/etc/rtpferry/rtpferry.conf, /run/rtpferry/control.sock\n.SH \"SEE ALSO\"\n.BR "
         "rtpferryctl (1)\n";
}

std::string help_text() {
  std::string text =
      "Usage: rtpferryd [OPTIONS]\n\nRTP media relay for SIP proxies. Options may also stand in the "
      "configuration file,\n"
      "one NAME = VALUE a line; lists may be repeated or divided by ';'.\n\n";
  for (const OptionRow& row : option_rows()) {
    std::string left = row.letter != 0 ? fmt::format("  -{}, --{}", row.letter, row.name)
                                       : fmt::format("      --{}", row.name);
    if (!row.argument.empty()) left += fmt::format("={}", row.argument);
    text += fmt::format("{:<46} {}\n", left, row.help);
  }
  return text;
}

}  // namespace ferry
