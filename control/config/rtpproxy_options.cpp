// SPDX-License-Identifier: Apache-2.0
// Options of the rtpproxy protocol.

#include "control/config/config.hpp"
#include "control/config/option_row.hpp"
#include "control/config/readers.hpp"

namespace ferry {

namespace {

using std::string;
using std::string_view;

string read_bridge(Config& config, string_view text) {
  const auto slash = text.find('/');
  if (slash == string_view::npos || slash == 0 || slash + 1 == text.size())
    return fmt::format("'{}' is no INTERNAL/EXTERNAL", text);
  config.rtpproxy_internal = text.substr(0, slash);
  config.rtpproxy_external = text.substr(slash + 1);
  return {};
}

string read_latch(Config& config, string_view text) {
  const auto policy = parse_latch_policy(text);
  if (!policy) return fmt::format("'{}' is none of off, signalled, uncontested, any", text);
  config.session.rtpproxy.latch = *policy;
  if (*policy == LatchPolicy::kAny)
    config.notices.emplace_back("rtpp-latch=any accepts media from any source: unsafe");
  return {};
}

void clear_listeners(Config& config) { config.listen_rtpp.clear(); }

// clang-format off
constexpr OptionRow kRtpproxyRows[] = {
  {"listen-rtpp", 0, OptionKind::kList, [](Config& c, string_view v) { c.listen_rtpp.emplace_back(v); return string(); }, "SPEC", "rtpproxy protocol: udp:, udp6:, tcp:, tcp6:ADDR[:PORT], unix:PATH (a command a connection), cunix:PATH (lines), stdio:, systemd:", clear_listeners},
  {"listen-udp", 'u', OptionKind::kList, [](Config& c, string_view v) { c.listen_rtpp.push_back((v.find(':') == string_view::npos ? "udp:127.0.0.1:" : v.starts_with('[') ? "udp6:" : "udp:") + string(v)); return string(); }, "ADDR:PORT", "the same over UDP; a port alone is on loopback", clear_listeners},
  {"rtpp-socket-mode", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_mode(v, c.rtpproxy_socket_mode); }, "MODE", "mode of its Unix sockets, octal (default 660)"},
  {"rtpp-latch", 0, OptionKind::kValue, read_latch, "POLICY", "sources that its calls may learn: off, signalled, uncontested (default), any (unsafe)"},
  {"rtpp-timeout", 0, OptionKind::kValue, [](Config& c, string_view v) { c.rtpproxy_timeout_named = true; return read_seconds(v, c.session.rtpproxy.timeout); }, "S", "end its session without media after (default: timeout)"},
  {"rtpp-setup-timeout", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_seconds(v, c.session.rtpproxy.setup_timeout); }, "S", "the same before it is answered (default: rtpp-timeout)"},
  {"rtpp-independent-legs", 0, OptionKind::kSwitch, [](Config& c, string_view v) { return set_switch(c.session.rtpproxy.independent_legs, v); }, "", "end it when one party sends nothing, not only when none does"},
  {"rtpp-asymmetric", 0, OptionKind::kSwitch, [](Config& c, string_view v) { return set_switch(c.session.rtpproxy.asymmetric, v); }, "", "send to the signalled address and learn no other, unless a command says otherwise"},
  {"rtpp-bridge", 0, OptionKind::kValue, read_bridge, "INTERNAL/EXTERNAL", "interfaces that modifiers i and e mean; parties are then asymmetric"},
  {"rtpp-bridge-symmetric", 0, OptionKind::kSwitch, [](Config& c, string_view v) { return set_switch(c.rtpproxy_bridge_symmetric, v); }, "", "parties of rtpp-bridge are symmetric all the same"},
  {"rtpp-notify", 0, OptionKind::kList, [](Config& c, string_view v) { c.rtpproxy_notify.emplace_back(v); return string(); }, "TARGET", "who may be told of time-outs and DTMF: unix:PATH, tcp:ADDR:PORT, udp:ADDR:PORT; ADDR may be %%CC_SELF%%, the client's", [](Config& c) { c.rtpproxy_notify.clear(); }},
  {"rtpp-prompts", 0, OptionKind::kList, [](Config& c, string_view v) { return add_folder(v, c.rtpproxy_prompts); }, "DIR", "where prompts may be (files NAME.PAYLOAD-TYPE; rtpferryctl makeprompt makes them)", [](Config& c) { c.rtpproxy_prompts.clear(); }},
  {"rtpp-recording", 0, OptionKind::kValue, [](Config& c, string_view v) {
     static constexpr std::array<std::pair<string_view, RecordingForm>, 3> words = {{{"adhoc", RecordingForm::kAdHoc}, {"pcap", RecordingForm::kPcap}, {"call", RecordingForm::kCall}}};
     return read_word(v, c.session.rtpproxy.recording, words);
   }, "adhoc|pcap|call", "what its commands record: rtpproxy's files in one of its forms, or as the options of recordings say (default adhoc)"},
  {"sighup", 0, OptionKind::kValue, [](Config& c, string_view v) {
     static constexpr std::array<std::pair<string_view, bool>, 2> words = {{{"reload", false}, {"drain", true}}};
     return read_word(v, c.drains_on_sighup, words);
   }, "reload|drain", "on SIGHUP read log level, limits, allow-lists, tokens and certificates again (default), or take no new calls and end after the last one"},
};
// clang-format on

}  // namespace

std::span<const OptionRow> rtpproxy_option_rows() { return kRtpproxyRows; }

}  // namespace ferry
