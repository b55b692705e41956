// SPDX-License-Identifier: Apache-2.0
// Executes text commands by the table `kRows`: the row whose words begin the line gets the rest of it.
//
// Words and texts are those of rtpengine, because scripts read them. Call-IDs are printed in safe form, and a
// command accepts that form as well as the real one (CTL-14). Nothing here ends all calls at once (CTL-7).

#include "control/protocol/ng/text_command.hpp"

#include "control/log/log.hpp"
#include "control/protocol/ng/json_codec.hpp"
#include "relay/base/printable.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace ferry::ng {

namespace {

struct TextContext {
  SessionManager& manager;
  const ServiceView& service;
  const Clock& clock;
};

/// True for IPv4 and for IPv6, if the call has open ports of that version.
std::pair<bool, bool> families_of(const Call& call) {
  std::pair<bool, bool> found;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      const LocalPorts* ports = media->via->active_ports();
      if (ports == nullptr || ports->closed) continue;
      (ports->local->address.is_v6() ? found.second : found.first) = true;
    }
  }
  return found;
}

std::string num_sessions(const TextContext& context, std::string_view) {
  std::size_t only_v4 = 0;
  std::size_t only_v6 = 0;
  std::size_t mixed = 0;
  context.manager.each_call([&](const Call& call) {
    const auto [v4, v6] = families_of(call);
    only_v4 += v4 && !v6 ? 1u : 0u;
    only_v6 += v6 && !v4 ? 1u : 0u;
    mixed += v4 && v6 ? 1u : 0u;
  });
  const std::size_t all = context.manager.size();
  return fmt::format(
      "Current sessions own: {}\nCurrent sessions foreign: 0\nCurrent sessions total: {}\nCurrent transcoded "
      "media: "
      "{}\nCurrent sessions ipv4 only media: {}\nCurrent sessions ipv6 only media: {}\nCurrent sessions ip "
      "mixed  "
      "media: {}\n",
      all, all, context.manager.plane().converted(), only_v4, only_v6, mixed);
}

/// A run-time parameter: rtpengine's name for it, and the option here.
struct ParameterRow {
  std::string_view word;
  std::string_view option;
  std::string_view label;
};
constexpr std::array<ParameterRow, 9> kParameters = {{
    {"maxsessions", "max-sessions", "Maximum sessions"},
    {"maxcpu", "max-cpu", "Maximum CPU usage"},
    {"maxload", "max-load", "Maximum load average"},
    {"maxbw", "max-bandwidth", "Maximum bandwidth"},
    {"timeout", "timeout", "TIMEOUT"},
    {"silenttimeout", "silent-timeout", "SILENT_TIMEOUT"},
    {"finaltimeout", "final-timeout", "FINAL_TIMEOUT"},
    {"offertimeout", "offer-timeout", "OFFER_TIMEOUT"},
    {"deletedelay", "delete-delay", "DELETE_DELAY"},
}};

/// Turns rtpengine's name of a parameter into that of the option.
std::string_view option_of(std::string_view word) {
  if (word == "loglevel") return "log-level";
  for (const ParameterRow& row : kParameters) {
    if (row.word == word) return row.option;
  }
  // The names of our own options are known, too.
  return word;
}

std::string no_parameters() { return "This relay has no run-time parameters\n"; }

std::string get_parameter(const TextContext& context, std::string_view word) {
  const ParameterAccess* parameters = context.service.parameters();
  if (parameters == nullptr) return no_parameters();
  const auto value = parameters->get(option_of(word));
  if (!value) return fmt::format("Unknown parameter '{}'\n", printable(word));
  for (const ParameterRow& row : kParameters) {
    // Limits of 0 mean no limit here, and rtpengine prints a word for that.
    const bool is_unlimited = *value == "0" && word.starts_with("max");
    if (row.word == word) return fmt::format("{}: {}\n", row.label, is_unlimited ? "unlimited" : *value);
  }
  return fmt::format("{}: {}\n", printable(word), *value);
}

std::string set_parameter(const TextContext& context, std::string_view rest) {
  ParameterAccess* parameters = context.service.parameters();
  if (parameters == nullptr) return no_parameters();
  const auto blank = rest.find(' ');
  if (blank == std::string_view::npos) return "Missing parameter or value\n";
  const std::string_view word = rest.substr(0, blank);
  std::string_view value = rest.substr(blank + 1);
  if (value == "-1" || value == "unlimited") value = "0";
  if (const std::string wrong = parameters->set(option_of(word), value); !wrong.empty())
    return fmt::format("{}\n", printable(wrong));
  log::warn("text command: {} is {} now", option_of(word), parameters->get(option_of(word)).value_or(""));
  return fmt::format("Success setting {} to {}\n", printable(word),
                     parameters->get(option_of(word)).value_or(""));
}

std::string parameters(const TextContext& context, std::string_view what) {
  const ParameterAccess* access = context.service.parameters();
  if (access == nullptr) return no_parameters();
  std::string text;
  for (const auto& each : access->list()) {
    if (what == "start") {
      text += fmt::format("{} = {}\n", each.name, each.at_start);
    } else if (what == "current" || what.empty()) {
      text += fmt::format("{} = {}\n", each.name, each.value);
    } else if (what == "diff") {
      if (each.value != each.at_start)
        text += fmt::format("{}: {} => {}\n", each.name, each.at_start, each.value);
    } else {
      return "params takes start, current, diff or revert\n";
    }
  }
  return text;
}

std::string json_statistics(const TextContext& context, std::string_view) {
  return encode_json(Value(context.service.statistics())) + "\n";
}

/// The Call-ID that `written` means: in the form that our texts print (CTL-14), or as it is.
std::string meant(const TextContext& context, std::string_view written) {
  std::string call_id = from_printable(written);
  return context.manager.find(call_id) != nullptr ? call_id : std::string(written);
}

std::string not_found(std::string_view written) {
  return fmt::format("Call Id not found ({})\n", printable(written));
}

std::string session(const TextContext& context, std::string_view written) {
  const Call* call = context.manager.find(meant(context, written));
  if (call == nullptr) return not_found(written);
  std::string text =
      fmt::format("callid: {}\ncreated: {}\nlast signal: {}\n", printable(call->id),
                  std::chrono::duration_cast<std::chrono::seconds>(call->created.time_since_epoch()).count(),
                  call->last_signal_unix);
  for (const auto& leg : call->legs) {
    text += fmt::format("--- Tag '{}', type: {}, label '{}'\n", printable(leg->tag),
                        leg->from_offer_answer ? "offer/answer" : "pub/sub", printable(leg->label()));
    for (const auto& media : leg->medias) {
      text += fmt::format("------ Media #{} ({} over {})\n", media->index, printable(media->type),
                          printable(media->protocol));
      const LocalPorts* ports = std::as_const(*media).via->active_ports();
      if (ports == nullptr || ports->closed) continue;
      text +=
          fmt::format("-------- Port {:>5} <> {} ({} packets, {} lost, {} refused)\n", ports->port.value,
                      media->via->remote_known ? media->via->remote_rtp.to_string() : std::string("unknown"),
                      ports->activity->rtp_packets.load(), ports->activity->rtp_lost.load(),
                      ports->activity->refused.load());
    }
  }
  return text;
}

/// All calls are our own here, so `own`, `foreign` and `all` list the same.
std::string sessions(const TextContext& context, std::string_view rest) {
  if (rest == "own" || rest == "all" || rest == "foreign") rest = {};
  if (!rest.empty()) return session(context, rest);
  std::string text;
  context.manager.each_call(
      [&](const Call& call) { text += fmt::format("callid: {}\n", printable(call.id)); });
  return text.empty() ? "No sessions on this media relay.\n" : text;
}

std::string totals(const TextContext& context, std::string_view) {
  const SessionTotals& t = context.manager.totals();
  const auto ended = [&](EndReason reason) { return t.ended[static_cast<std::size_t>(reason)]; };
  const TrafficRates& now = context.service.rates();
  const std::uint64_t user_packets = now.packets - now.kernel_packets;
  const std::uint64_t user_bytes = now.bytes - now.kernel_bytes;
  std::string text = fmt::format(
      "Statistics over currently running sessions:\nSessions: {}\n"
      "Packets per second (userspace): {}\nBytes per second (userspace): {}\n"
      "Packets per second (kernel): {}\nBytes per second (kernel): {}\n"
      "Packets per second (total): {}\nBytes per second (total): {}\nErrors per second (total): {}\n\n"
      "Total statistics (does not include current running sessions):\n",
      context.manager.size(), user_packets, user_bytes, now.kernel_packets, now.kernel_bytes, now.packets,
      now.bytes, now.errors);
  text += fmt::format(
      "Total managed sessions: {}\nTotal rejected sessions: {}\nTotal timed-out sessions via TIMEOUT: {}\n"
      "Total timed-out sessions via SILENT_TIMEOUT: {}\nTotal timed-out sessions via FINAL_TIMEOUT: {}\n"
      "Total timed-out sessions via OFFER_TIMEOUT: {}\nTotal regular terminated sessions: {}\n"
      "Total forced terminated sessions: {}\nTotal number of streams with no relayed packets: {}\n"
      "Total number of 1-way streams: {}\n",
      t.managed, t.rejected, ended(EndReason::kTimeout), ended(EndReason::kSilentTimeout),
      ended(EndReason::kFinalTimeout), ended(EndReason::kOfferTimeout), ended(EndReason::kRegular),
      ended(EndReason::kForced), t.zero_way, t.one_way);
  return text;
}

std::string max_sessions(const TextContext& context, std::string_view) {
  const std::size_t limit = context.manager.config().max_sessions;
  return limit == 0 ? "Maximum sessions configured: unlimited\n"
                    : fmt::format("Maximum sessions configured: {}\n", limit);
}

std::string interfaces(const TextContext& context, std::string_view) {
  std::string text;
  for (const LogicalInterface& logical : context.manager.interfaces().all()) {
    for (const LocalAddress& local : logical.addresses) {
      const PortPool& pool = *local.ports;
      text += fmt::format("Interface '{}' address '{}' port range {:5} - {:5}\n    Ports used: {:5} / {:5}\n",
                          logical.name, local.address.to_string(), pool.first().value, pool.last().value,
                          pool.used() * 2, pool.total() * 2);
    }
  }
  return text;
}

std::string terminate(const TextContext& context, std::string_view rest) {
  // CTL-7: no command of a control protocol ends all calls.
  if (rest == "all" || rest == "own")
    return "Refused: terminate --all is for rtpferryctl on the local socket\n";
  const std::string call_id = meant(context, rest);
  if (context.manager.terminate(call_id, context.clock))
    return fmt::format("Call {} terminated\n", printable(call_id));
  return not_found(rest);
}

std::string revert_parameters(const TextContext& context, std::string_view) {
  ParameterAccess* access = context.service.parameters();
  if (access == nullptr) return no_parameters();
  std::string text;
  for (const auto& each : access->list()) {
    if (each.value == each.at_start) continue;
    if (const std::string wrong = access->set(each.name, each.at_start); !wrong.empty())
      text += fmt::format("{}: {}\n", each.name, printable(wrong));
  }
  if (!text.empty()) return text;
  log::warn("text command: all parameters are as they were at the start");
  return "All parameters are as they were at the start\n";
}

/// `debug CALL-ID on|off`: whether the lines of all levels about a call are logged.
std::string debug_call(const TextContext& context, std::string_view rest) {
  const auto blank = rest.rfind(' ');
  const std::string_view word = blank == std::string_view::npos ? std::string_view() : rest.substr(blank + 1);
  if (word != "on" && word != "off") return "debug takes a Call-ID, and on or off\n";
  const std::string_view written = rest.substr(0, blank);
  Call* call = context.manager.find(meant(context, written));
  if (call == nullptr) return not_found(written);
  call->debug = word == "on";
  return fmt::format("Debugging of call {} is {}\n", printable(call->id), word);
}

/// How many receivers hear converted audio.
std::string transcoders(const TextContext& context, std::string_view) {
  return fmt::format("Current transcoded media: {}\n", context.manager.plane().converted());
}

/// What concerns several relays, or the kernel module that this relay does not have.
template <const char* kText>
std::string nothing_to_do(const TextContext&, std::string_view) {
  return kText;
}
constexpr char kNoRedis[] = "This relay shares no calls through Redis\n";
constexpr char kNoSharing[] = "All calls are this relay's own: there is nothing to switch over\n";
constexpr char kFixed[] = "This can only be set at the start\n";

struct Row {
  std::string_view words;
  std::string (*run)(const TextContext&, std::string_view rest);
  /// True if it changes something.
  bool changes = false;
};
std::string help(const TextContext&, std::string_view);

/// A row that shows one parameter.
template <const char* kWord>
std::string shown(const TextContext& context, std::string_view) {
  return get_parameter(context, kWord);
}
constexpr char kTimeout[] = "timeout";
constexpr char kSilent[] = "silenttimeout";
constexpr char kFinal[] = "finaltimeout";
constexpr char kOffer[] = "offertimeout";
constexpr char kLevel[] = "loglevel";
constexpr char kCpu[] = "maxcpu";
constexpr char kLoad[] = "maxload";
constexpr char kBandwidth[] = "maxbw";
constexpr char kDelay[] = "deletedelay";

constexpr auto kRows = std::to_array<Row>({
    {"list numsessions", num_sessions},
    {"list sessions", sessions},
    {"list totals", totals},
    {"list counters", totals},
    {"list interfaces", interfaces},
    {"list jsonstats", json_statistics},
    {"list transcoders", transcoders},
    {"list maxsessions", max_sessions},
    {"list maxcpu", shown<kCpu>},
    {"list maxload", shown<kLoad>},
    {"list maxbw", shown<kBandwidth>},
    {"list maxopenfiles",
     [](const TextContext&, std::string_view) {
       return fmt::format("Maximum open files configured: {}\n", sysconf(_SC_OPEN_MAX));
     }},
    {"list timeout", shown<kTimeout>},
    {"list silenttimeout", shown<kSilent>},
    {"list finaltimeout", shown<kFinal>},
    {"list offertimeout", shown<kOffer>},
    {"list deletedelay", shown<kDelay>},
    {"list loglevels", shown<kLevel>},
    {"list loglevel", shown<kLevel>},
    {"list redisallowederrors", nothing_to_do<kNoRedis>},
    {"list redisdisabletime", nothing_to_do<kNoRedis>},
    {"list redisconnecttimeout", nothing_to_do<kNoRedis>},
    {"list rediscmdtimeout", nothing_to_do<kNoRedis>},
    {"get", get_parameter},
    {"set redisallowederrors", nothing_to_do<kNoRedis>, true},
    {"set redisdisabletime", nothing_to_do<kNoRedis>, true},
    {"set redisconnecttimeout", nothing_to_do<kNoRedis>, true},
    {"set rediscmdtimeout", nothing_to_do<kNoRedis>, true},
    {"set maxopenfiles", nothing_to_do<kFixed>, true},
    {"set controltos", nothing_to_do<kFixed>, true},
    {"set", set_parameter, true},
    {"params revert", revert_parameters, true},
    {"params", parameters},
    {"call list", sessions},
    {"call info", session},
    {"call terminate", terminate, true},
    {"terminate", terminate, true},
    {"debug", debug_call, true},
    {"ksadd", nothing_to_do<kNoRedis>, true},
    {"ksrm", nothing_to_do<kNoRedis>, true},
    {"kslist", nothing_to_do<kNoRedis>},
    {"active", nothing_to_do<kNoSharing>, true},
    {"standby", nothing_to_do<kNoSharing>, true},
    {"usage", help},
    {"help", help},
});

std::string help(const TextContext&, std::string_view) {
  std::string text;
  for (const Row& row : kRows) text += fmt::format("{}\n", row.words);
  return text;
}

/// The row whose words begin the line, and what is behind them; null if there is none.
std::pair<const Row*, std::string_view> found_row(std::string_view line) {
  for (const Row& row : kRows) {
    if (!line.starts_with(row.words)) continue;
    std::string_view rest = line.substr(row.words.size());
    if (!rest.empty() && rest.front() != ' ') continue;
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    return {&row, rest};
  }
  return {nullptr, {}};
}

}  // namespace

bool only_reads(std::string_view line) {
  const Row* row = found_row(line).first;
  return row != nullptr && !row->changes;
}

std::string run_text_command(std::string_view line, SessionManager& manager, const ServiceView& service,
                             const Clock& clock) {
  while (line.ends_with('\n') || line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
  const auto [row, rest] = found_row(line);
  if (row != nullptr) return row->run({manager, service, clock}, rest);
  return fmt::format("Unknown or incomplete command: '{}' (help lists them)\n",
                     printable(line.substr(0, 200)));
}

}  // namespace ferry::ng
