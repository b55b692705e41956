// SPDX-License-Identifier: Apache-2.0
// Executes commands of the rtpproxy protocol.
//
// `handle_line` parses a command, `execute` calls the function of its letter, and `log_line` writes its line.
// The protocol replies with numbers of errors only, so the reason of a refusal is kept beside (`fault_`) for
// the log and for `explain`.
//
// Subcommands behind `&&` act on the session of the main command. The first error ends them, and results
// without data at the end of the reply are left out.
//
// The trap: a subcommand may delete the session. `Context::call` is null from then on.

#include "control/protocol/rtpproxy/service.hpp"

#include "control/log/log.hpp"
#include "control/protocol/refusal_log.hpp"
#include "control/protocol/rtpproxy/statistics.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace ferry::rtpproxy {

namespace {

constexpr std::string_view kVersion = "20040107";
constexpr std::size_t kMaxReply = 1024;
constexpr unsigned kPromptPacketMs = 10;

/// Features that `VF` confirms (docs/reference/rtpproxy.md#features). 20081224 depends on the options.
constexpr std::array<std::string_view, 24> kFeatures = {
    "20040107", "20050322", "20060704", "20071116", "20071218", "20080403", "20081102", "20090810",
    "20140323", "20140617", "20141004", "20150330", "20150420", "20150617", "20191015", "20200226",
    "20230205", "20230314", "20230424", "20250523", "20251015", "20260306", "20260308", "20260309"};
constexpr std::string_view kNotifyFeature = "20081224";

constexpr std::array<std::string_view, 5> kUsualCounters = {"ttl", "npkts_ina", "npkts_ino", "nrelayed",
                                                            "ndropped"};

/// Where a command names its parties, and its name in the log.
struct CommandShape {
  char letter = 0;
  std::string_view name;
  /// Index of the first tag among its values; the Call-ID is the first value. 0 = it names no call.
  std::size_t first_tag = 0;
  bool changes = true;
};
constexpr auto kShapes = std::to_array<CommandShape>({{'U', "U (offer)", 3},
                                                      {'L', "L (answer)", 3},
                                                      {'D', "D (delete)", 1},
                                                      {'P', "P (play)", 3},
                                                      {'S', "S (stop playing)", 1},
                                                      {'R', "R (record)", 1},
                                                      {'C', "C (copy)", 2},
                                                      {'N', "N (stop recording)", 1},
                                                      {'Q', "Q (query)", 1, false},
                                                      {'I', "I (info)", 0, false},
                                                      {'G', "G (counters)", 0, false},
                                                      {'V', "V (version)", 0, false},
                                                      {'X', "X (delete all)", 0}});

/// Reason and text of an error code: the protocol itself has numbers only.
struct CodeRow {
  ErrorCode code{};
  RefusalReason reason{};
  /// Empty = the text of the reason.
  std::string_view text{};
};
// clang-format off
constexpr auto kCodes = std::to_array<CodeRow>({
    {ErrorCode::kNoSession, RefusalReason::kUnknownCall, "no such session"},
    {ErrorCode::kNoPort, refusal_for(PortFailure::kNoAddress), "no port can be opened for that side"},
    {ErrorCode::kNoSecondPort, refusal_for(PortFailure::kNoAddress), "no port can be opened for that side"},
    {ErrorCode::kNoMemory, refusal_for(PortFailure::kNoMemory)},
    {ErrorCode::kOverload, RefusalReason::kOverload},
    {ErrorCode::kShutDown, RefusalReason::kDraining},
    {ErrorCode::kUnknownAddress, RefusalReason::kInterface, "no local address has this label"},
    {ErrorCode::kNoRoute, RefusalReason::kInterface, "no local address has a route to that address"},
    {ErrorCode::kNoSuchFamily, refusal_for(PortFailure::kNoFamily)},
    {ErrorCode::kRemoteAddress, RefusalReason::kMessage, "the remote address cannot be used"},
    {ErrorCode::kNoPrompt, RefusalReason::kOther, "no such prompt in rtpp-prompts"},
    {ErrorCode::kCopy, RefusalReason::kOther, "the copy's target is not allowed"},
    {ErrorCode::kNoNotification, RefusalReason::kOther, "no rtpp-notify is configured"},
    {ErrorCode::kUnknownCommand, RefusalReason::kMessage, "unknown command"},
});
// clang-format on

/// The error code of a fault of a `U` or `L`. The protocol has one number if no session could be made, and
/// another one if an existing session got no second port.
struct FaultCode {
  RequestFault fault{};
  ErrorCode code{};
  /// If the session existed before.
  ErrorCode later_code{};
  /// Empty = the text of the fault's reason.
  std::string_view text{};
};
// clang-format off
constexpr auto kFaultCodes = std::to_array<FaultCode>({
    {RequestFault::kNoPortsLeft, ErrorCode::kNoPort, ErrorCode::kNoSecondPort},
    {RequestFault::kNoFamily, ErrorCode::kNoPort, ErrorCode::kNoSecondPort},
    {RequestFault::kNoLocalAddress, ErrorCode::kNoPort, ErrorCode::kNoSecondPort},
    {RequestFault::kNoDescriptors, ErrorCode::kNoPort, ErrorCode::kNoSecondPort},
    {RequestFault::kNoPortMemory, ErrorCode::kNoMemory, ErrorCode::kNoMemory},
    {RequestFault::kPortRefused, ErrorCode::kNoPort, ErrorCode::kNoSecondPort},
    {RequestFault::kDraining, ErrorCode::kOverload, ErrorCode::kOverload},
    {RequestFault::kSessionLimit, ErrorCode::kOverload, ErrorCode::kOverload},
    {RequestFault::kCpuLimit, ErrorCode::kOverload, ErrorCode::kOverload},
    {RequestFault::kLoadLimit, ErrorCode::kOverload, ErrorCode::kOverload},
    {RequestFault::kBandwidthLimit, ErrorCode::kOverload, ErrorCode::kOverload},
    {RequestFault::kMemoryLimit, ErrorCode::kOverload, ErrorCode::kOverload},
    {RequestFault::kTooManyParties, ErrorCode::kOverload, ErrorCode::kOverload},
    {RequestFault::kDeniedSdp, ErrorCode::kRemoteAddress, ErrorCode::kRemoteAddress, "no party may be at the remote address (LAT-11a)"},
    {RequestFault::kUnknownCall, ErrorCode::kNoSession, ErrorCode::kNoSession, "no such session"},
    {RequestFault::kOtherProtocolsCall, ErrorCode::kNoPort, ErrorCode::kNoSecondPort, "a call of the NG protocol has this name"},
});
// clang-format on

const FaultCode& code_of(RequestFault fault) {
  const auto* const found = std::ranges::find(kFaultCodes, fault, &FaultCode::fault);
  return found == kFaultCodes.end() ? kFaultCodes.front() : *found;
}

CodeRow row_of(ErrorCode code) {
  const auto* const found = std::ranges::find(kCodes, code, &CodeRow::code);
  CodeRow row = found == kCodes.end() ? CodeRow{code, RefusalReason::kMessage, "bad syntax"} : *found;
  if (row.text.empty()) row.text = ferry::row_of(row.reason).text;
  return row;
}

/// Reason and text of a fault that the sessions refused.
CodeRow told_as(RequestFault fault) {
  const FaultCode& found = code_of(fault);
  const RefusalReason reason = ferry::row_of(fault).reason;
  return {found.code, reason, found.text.empty() ? ferry::row_of(reason).text : found.text};
}

std::string error_text(ErrorCode code) { return fmt::format("E{}", static_cast<int>(code)); }

std::string_view value_or_empty(const Words& words, std::size_t index) {
  return index < words.values.size() ? words.values[index] : std::string_view();
}

RtpproxyNames names_at(const Words& words, std::size_t first_tag) {
  return {words.values[0], words.values[first_tag], value_or_empty(words, first_tag + 1)};
}

/// True if every letter of `modifiers` is one of `allowed`, in any case.
bool are_among(std::string_view modifiers, std::string_view allowed) {
  return std::ranges::all_of(modifiers, [&](char c) {
    return allowed.find(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c)) != std::string_view::npos;
  });
}

bool has_letter(std::string_view modifiers, char lower) {
  return modifiers.find(lower) != std::string_view::npos ||
         modifiers.find(static_cast<char>(lower - 32)) != std::string_view::npos;
}

/// Lists counters by name, with a blank between them. The error is true if the text is too long, and false if
/// a name is unknown.
template <class Find>
Result<std::string, bool> list_counters(std::span<const std::string_view> names, bool verbose, Find find) {
  std::string text;
  for (const std::string_view name : names) {
    const auto value = find(name);
    if (!value) return fail(false);
    if (!text.empty()) text += ' ';
    if (verbose) text.append(name).append("=");
    text += *value;
  }
  if (text.size() > kMaxReply) return fail(true);
  return text;
}

}  // namespace

Service::Service(SessionManager& manager, InterfaceSet& interfaces, std::function<Clock()> clock,
                 ServiceConfig config, const NotifyTargets& targets)
    : manager_(manager),
      interfaces_(interfaces),
      clock_(std::move(clock)),
      config_(std::move(config)),
      targets_(targets),
      sessions_(manager.rtpproxy_sessions()),
      prompts_(config_.prompt_directories) {}

std::optional<std::string> Service::handle(std::string_view message, const IpAddress& source) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto start = message.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return std::nullopt;
  message.remove_prefix(start);
  const auto end = std::min(message.find_first_of(kBlanks), message.size());
  const std::string_view cookie = message.substr(0, end);
  message.remove_prefix(end);
  const std::string key = source.to_string().append(" ").append(cookie);
  if (const auto known = cache_.find(key)) {
    ++totals_.repeated;
    return std::string(*known);
  }
  std::string reply = std::string(cookie).append(" ").append(handle_line(message, source));
  cache_.store(key, reply, clock_().now);
  return reply;
}

std::string Service::handle_line(std::string_view line, const IpAddress& source) {
  ++totals_.received;
  const auto command = parse_command(line);
  const Instant before = clock_().now;
  fault_.reset();
  const Outcome outcome = command ? execute(*command, source) : fail(command.error());
  log_line(line, command ? &*command : nullptr, outcome, source, clock_().now - before);
  std::string reply;
  if (outcome) {
    ++totals_.succeeded;
    reply = *outcome;
  } else {
    ++totals_.failed;
    // `L` replies 0, which is no port, if the session is unknown.
    const bool is_lookup = command && command->letter == 'L' && outcome.error() == ErrorCode::kNoSession;
    reply = is_lookup ? "0" : error_text(outcome.error());
  }
  ++totals_.replied;
  return reply += '\n';
}

void Service::log_line(std::string_view line, const Command* command, const Outcome& outcome,
                       const IpAddress& source, Duration time) {
  const char letter = command != nullptr ? command->letter : '\0';
  const auto shape = std::ranges::find(kShapes, letter, &CommandShape::letter);
  CommandReport report{.protocol = "rtpproxy", .command = line.substr(0, 60), .client = source, .time = time};
  if (shape != kShapes.end()) {
    report.command = shape->name;
    report.changes = shape->changes;
    if (shape->first_tag != 0) {
      report.call_id = value_or_empty(*command, 0);
      report.from_tag = value_or_empty(*command, shape->first_tag);
      // `U` may have a target of notifications behind its tags.
      const std::size_t count = command->values.size();
      const bool has_to_tag = shape->first_tag != 3 || (letter != 'P' ? count == 5 || count == 7 : true);
      if (has_to_tag) report.to_tag = value_or_empty(*command, shape->first_tag + 1);
    }
  }
  if (outcome) {
    if (letter == 'U' || letter == 'L') report.local = *outcome;
    log_command(report);
    return;
  }
  const CodeRow row = fault_ ? told_as(*fault_) : row_of(outcome.error());
  const std::string refusal = fmt::format("{} ({})", row.text, error_text(outcome.error()));
  report.refusal = refusal;
  note_refusal(manager_, report, row.reason, letter == 'D' || letter == 'X', clock_());
}

Service::Outcome Service::execute(const Command& command, const IpAddress& client) {
  switch (command.letter) {
    case 'V':
      return command.is_feature_query ? features(command) : Outcome(std::string(kVersion));
    case 'U':
    case 'L':
      return signal(command, client);
    case 'D':
      return remove(command);
    case 'P':
      return play(command);
    case 'S':
      return stop(command);
    case 'R':
      return record(command, client);
    case 'C':
      return copy(command, client);
    case 'N':
      return stop_recording(command);
    case 'Q':
      return query(command);
    case 'I':
      return info(command);
    case 'G':
      return statistics(command);
    default:
      sessions_.remove_all(clock_());
      return "0";
  }
}

Service::Outcome Service::features(const Command& command) const {
  const std::string_view date = command.values[0];
  const bool known =
      std::ranges::find(kFeatures, date) != kFeatures.end() || (date == kNotifyFeature && targets_.any());
  return known ? "1" : "0";
}

const LocalAddress* Service::bridge_address(char letter) const {
  const LogicalInterface* logical = interfaces_.find(letter == 'e' ? config_.external : config_.internal);
  return logical == nullptr ? nullptr : &logical->addresses.front();
}

/// Order: interfaces of a bridge by letter, then the address, label or route that the command names, then the
/// usual address.
Result<Service::Locals, ErrorCode> Service::locals_of(const SignalModifiers& modifiers) {
  using Local = SignalModifiers::Local;
  const LocalAddress* usual = &interfaces_.default_interface()->addresses.front();
  if (!config_.internal.empty()) usual = bridge_address('i');
  Locals locals{usual, usual};
  if (modifiers.bridge[0] != 0) {
    locals.near = bridge_address(modifiers.bridge[0]);
    if (modifiers.bridge[1] != 0) locals.far = bridge_address(modifiers.bridge[1]);
    return locals;
  }
  if (modifiers.local == Local::kUnsaid) {
    if (!modifiers.is_ipv6) return locals;
    for (const LogicalInterface& logical : interfaces_.all()) {
      if (const LocalAddress* v6 = logical.address_of(AddressFamily::kIpv6)) return Locals{v6, v6};
    }
    return fail(ErrorCode::kNoSuchFamily);
  }
  const LocalAddress* chosen = nullptr;
  if (modifiers.local == Local::kLabel) {
    const LogicalInterface* logical = interfaces_.find(modifiers.label);
    if (logical == nullptr) return fail(ErrorCode::kUnknownAddress);
    chosen = &logical->addresses.front();
  } else if (modifiers.local == Local::kRouteTo) {
    const auto own = interfaces_.route_to(modifiers.address);
    if (!own) return fail(ErrorCode::kNoRoute);
    chosen = interfaces_.local_address(*own);
    if (chosen == nullptr) return fail(ErrorCode::kNoRoute);
  } else {
    // Null if the address cannot be bound.
    chosen = interfaces_.local_address(modifiers.address);
  }
  return Locals{chosen, chosen};
}

/// A wildcard is not shown: the reply then has the port alone.
std::string Service::port_text(const RtpproxyPort& port) const {
  const IpAddress& shown = port.local->advertised;
  if (shown.is_unspecified()) return std::to_string(port.port.value);
  return fmt::format("{} {}{}", port.port.value, shown.to_string(), shown.is_v6() ? " 6" : "");
}

/// Carries out a `U` or `L`: reads modifiers, address and target of notifications, checks limits for a new
/// session, chooses local addresses, and opens the ports. `context` is filled for subcommands.
Service::Outcome Service::signal(const RtpproxyNames& names, bool is_answer, std::string_view modifiers,
                                 std::string_view address, std::string_view port, std::string_view target,
                                 std::string_view tag, const IpAddress& client, Context& context) {
  const auto parsed = parse_signal_modifiers(modifiers, !config_.internal.empty());
  if (!parsed) return fail(parsed.error());
  const auto remote = parse_remote(address, port, parsed->is_ipv6);
  if (!remote) return fail(remote.error());
  RtpproxySignal signal;
  if (!target.empty()) {
    if (!targets_.any()) return fail(ErrorCode::kNoNotification);
    const auto decoded = url_decoded(tag);
    // A line break would turn one notification into two.
    if (!decoded || decoded->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
      return fail(ErrorCode::kNotifyTag);
    signal.notify_target = targets_.allowed(target, client);
    if (!signal.notify_target.empty()) signal.notify_tag = *decoded;
  }
  const auto known = sessions_.find(names);
  if (!known && is_answer) return fail(ErrorCode::kNoSession);
  if (!known && (manager_.is_draining() || overloaded_)) {
    manager_.count_rejected();
    return fail(manager_.is_draining() ? ErrorCode::kShutDown : ErrorCode::kOverload);
  }
  signal.names = names;
  signal.is_answer = is_answer;
  signal.media = remote->endpoint;
  signal.is_on_hold = remote->is_on_hold;
  signal.asymmetric = parsed->asymmetric;
  signal.wants_new_port = parsed->wants_new_port;
  signal.is_weak = parsed->is_weak;
  signal.ptime_ms = parsed->ptime_ms;
  signal.codecs = parsed->codecs;
  // An existing session keeps its addresses unless the command chooses others.
  const bool chooses =
      parsed->local != SignalModifiers::Local::kUnsaid || (parsed->bridge[1] != 0 && parsed->wants_new_port);
  if (!known || chooses) {
    const auto locals = locals_of(*parsed);
    if (!locals) return fail(locals.error());
    if (locals->far == nullptr) return fail(known ? ErrorCode::kNoSecondPort : ErrorCode::kNoPort);
    signal.near = locals->near;
    signal.far = locals->far;
  }
  const auto opened = sessions_.signal(signal, clock_());
  if (!opened) {
    fault_ = opened.error();
    const FaultCode& row = code_of(*fault_);
    return fail(known ? row.later_code : row.code);
  }
  const auto match = sessions_.find(names);
  context.call = match->call;
  context.from = match->from;
  context.sender = is_answer ? match->other() : match->from;
  return port_text(*opened);
}

Service::Outcome Service::signal(const Command& command, const IpAddress& client) {
  Context context;
  context.client = &client;
  context.names = {command.values[0], command.values[3], {}};
  const std::size_t count = command.values.size();
  std::string_view target;
  std::string_view tag;
  if (count == 5 || count == 7) context.names.to_tag = command.values[4];
  if (count >= 6) {
    target = command.values[count - 2];
    tag = command.values[count - 1];
  }
  auto main = signal(context.names, command.letter == 'L', command.modifiers, command.values[1],
                     command.values[2], target, tag, client, context);
  if (!main) return main;
  return with_subcommands(std::move(*main), command, context);
}

std::string Service::with_subcommands(std::string main, const Command& command, Context context) {
  std::vector<std::string> results;
  // Results to show: successes without data at the end are left out.
  std::size_t used = 0;
  for (const Words& words : command.subcommands) {
    const Outcome outcome = execute_sub(words, context);
    results.push_back(outcome ? (outcome->empty() ? "0" : *outcome) : "-1");
    if (!outcome || !outcome->empty()) used = results.size();
    if (!outcome) break;
  }
  for (std::size_t i = 0; i < used; ++i) main.append(" && ").append(results[i]);
  return main;
}

Service::Outcome Service::execute_sub(const Words& words, Context& context) {
  if (context.call == nullptr) return fail(ErrorCode::kNoSession);
  Call& call = *context.call;
  const RtpproxyMatch match{context.call, context.from};
  switch (words.letter) {
    case 'D':
      sessions_.release(match, !words.modifiers.empty(), clock_());
      // The session may live on by another reference, but nothing more is done to it here.
      context.call = nullptr;
      return "";
    case 'S': {
      const std::size_t party = words.modifiers.empty() ? context.sender : 1 - context.sender;
      const std::string_view setting = words.values[0];
      const auto number = parse_number(setting.substr(4), 1, INT32_MAX);
      if (setting.starts_with("ttl=")) {
        sessions_.set_ttl(call, party, std::chrono::seconds(*number), clock_());
        return "";
      }
      if (!sessions_.set_tos(call, party, static_cast<std::uint8_t>(*number)))
        return fail(ErrorCode::kSubcommand);
      return "";
    }
    case 'L': {
      Context answer = context;
      return signal(context.names, true, words.modifiers, words.values[0], words.values[1], {}, {},
                    *context.client, answer);
    }
    case 'C': {
      const auto source = sessions_.find(names_at(words, 1));
      if (!source || !sessions_.feed(call, *source)) return fail(ErrorCode::kNoSession);
      return "";
    }
    default:
      break;
  }
  // M: DTMF events of the sender are reported to the target of the session.
  const std::size_t count = words.values.size();
  if (count < 1 || count > 3 || call.rtpproxy()->notify_target.empty()) return fail(ErrorCode::kSubcommand);
  const auto tag = url_decoded(words.values[0]);
  const auto is_hide = [](std::string_view word) { return word == "h" || word == "H"; };
  const bool hides = count > 1 && is_hide(words.values[count - 1]);
  const std::string_view type_text = count > (hides ? 2u : 1u) ? words.values[1] : "101";
  const auto type = parse_number(type_text, 0, 127);
  if (!tag || tag->empty() || tag->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos ||
      !type || (count == 3 && !hides))
    return fail(ErrorCode::kSubcommand);
  sessions_.catch_dtmf(call, context.sender, *tag, PayloadType{static_cast<std::uint8_t>(*type)}, hides);
  return "";
}

Service::Outcome Service::remove(const Command& command) {
  if (!are_among(command.modifiers, "w")) return fail(ErrorCode::kDeleteModifier);
  const auto matches = sessions_.find_all(names_at(command, 1));
  if (matches.empty()) return fail(ErrorCode::kNoSession);
  for (const RtpproxyMatch& match : matches)
    sessions_.release(match, has_letter(command.modifiers, 'w'), clock_());
  return "0";
}

/// `P` without a count plays once, a count of -1 plays for ever, and 0 stops.
Service::Outcome Service::play(const Command& command) {
  std::optional<std::int64_t> rounds = 1;
  if (!command.modifiers.empty()) rounds = parse_number(command.modifiers, Prompt::kForEver, INT32_MAX);
  if (!rounds) return fail(ErrorCode::kPlayCount);
  const auto match = sessions_.find(names_at(command, 3));
  if (!match) return fail(ErrorCode::kNoSession);
  if (*rounds == 0) {
    sessions_.stop_playing(*match->call, match->from);
    return "0";
  }
  const RtpproxyParty& party = match->call->rtpproxy()->parties[match->from];
  const bool by_session = command.values[2] == "session";
  std::optional<std::vector<PayloadType>> types =
      by_session ? party.codecs : parse_payload_types(command.values[2]);
  if (by_session && types->empty()) return fail(ErrorCode::kModifier);
  const std::uint16_t its_ptime = match->call->legs[match->from]->medias.front()->in_force().ptime_ms;
  const unsigned packet_ms = by_session && its_ptime != 0 ? its_ptime : kPromptPacketMs;
  PromptOrder order;
  order.rounds = *rounds;
  if (types) {
    for (const PayloadType type : *types) {
      order.prompt = prompts_.find(command.values[1], type, packet_ms);
      order.type = type;
      if (order.prompt) break;
    }
  }
  if (!order.prompt) return fail(ErrorCode::kNoPrompt);
  sessions_.play(*match->call, match->from, std::move(order));
  return "0";
}

Service::Outcome Service::stop(const Command& command) {
  const auto match = sessions_.find(names_at(command, 1));
  if (!match) return fail(ErrorCode::kNoSession);
  sessions_.stop_playing(*match->call, match->from);
  return "0";
}

Service::Outcome Service::record(const Command& command, const IpAddress& client) {
  if (!are_among(command.modifiers, "sp")) return fail(ErrorCode::kRecordModifier);
  if (has_letter(command.modifiers, 'p')) return fail(ErrorCode::kRecordModifierInUse);
  const auto matches = sessions_.find_all(names_at(command, 1));
  bool any = false;
  for (const RtpproxyMatch& match : matches) {
    any |= sessions_.record(
        match, {.single = has_letter(command.modifiers, 's'), .name = {}, .asked_by = client.to_string()});
  }
  return any ? Outcome("0") : fail(ErrorCode::kNoSession);
}

/// `C` copies a stream to an address (`udp:`), or records it in a file of the given name.
Service::Outcome Service::copy(const Command& command, const IpAddress& client) {
  constexpr std::string_view kUdp = "udp:";
  if (!are_among(command.modifiers, "sp")) return fail(ErrorCode::kRecordModifier);
  const bool shows_port = has_letter(command.modifiers, 'p');
  const auto match = sessions_.find(names_at(command, 2));
  if (!match) return fail(ErrorCode::kNoSession);
  const std::string_view target = command.values[1];
  if (target.starts_with(kUdp)) {
    const auto to = Endpoint::parse(target.substr(kUdp.size()));
    if (!to || to->port.value == 0) return fail(ErrorCode::kCopy);
    const auto from = sessions_.copy(*match, *to, clock_());
    if (!from) return fail(ErrorCode::kCopy);
    return shows_port ? port_text(*from) : "0";
  }
  // The target names one file in the recording directory, and no path.
  if (shows_port || target.find('/') != std::string_view::npos || target == "." || target == "..")
    return fail(ErrorCode::kCopy);
  const bool done = sessions_.record(*match, {.single = has_letter(command.modifiers, 's'),
                                              .name = std::string(target),
                                              .asked_by = client.to_string()});
  return done ? Outcome("0") : fail(ErrorCode::kCopy);
}

Service::Outcome Service::stop_recording(const Command& command) {
  const std::string_view modifiers = command.modifiers;
  const bool both = !modifiers.empty() && (modifiers.front() == 'a' || modifiers.front() == 'A');
  if (!modifiers.empty() && !both) return fail(ErrorCode::kRecordModifier);
  if (modifiers.size() > 1) return fail(ErrorCode::kRecordModifierInUse);
  bool any = false;
  for (const RtpproxyMatch& match : sessions_.find_all(names_at(command, 1)))
    any |= sessions_.stop_recording(match, both, clock_());
  return any ? Outcome("0") : fail(ErrorCode::kNoSession);
}

Service::Outcome Service::query(const Command& command) {
  Context context;
  context.names = {command.values[0], command.values[1], value_or_empty(command, 2)};
  const auto match = sessions_.find(context.names);
  if (!match) return fail(ErrorCode::kNoSession);
  if (!are_among(command.modifiers, "v")) return fail(ErrorCode::kQueryModifier);
  const RtpproxyFigures figures = sessions_.figures(*match, clock_());
  std::span<const std::string_view> names = kUsualCounters;
  if (command.values.size() > 3) names = std::span(command.values).subspan(3);
  auto text = list_counters(names, !command.modifiers.empty(),
                            [&](std::string_view name) { return query_counter(name, figures); });
  if (!text) return fail(text.error() ? ErrorCode::kQueryTooLong : ErrorCode::kUnknownCounter);
  context.call = match->call;
  context.from = context.sender = match->from;
  return with_subcommands(std::move(*text), command, context);
}

Service::Outcome Service::info(const Command& command) const {
  if (!are_among(command.modifiers, "bl")) return fail(ErrorCode::kInfoModifier);
  const PacketTotals packets = packet_totals(manager_.plane());
  const std::size_t active = manager_.rtpproxy_size();
  std::string text = fmt::format(
      "sessions created: {}\nactive sessions: {}\nactive streams: {}\npackets received: {}\npackets "
      "transmitted: {}",
      manager_.rtpproxy_totals().created, active, active * 2, packets.received,
      packets.relayed + packets.played);
  if (has_letter(command.modifiers, 'l')) text += fmt::format("\naverage load: {:f}", load_);
  return text;
}

Service::Outcome Service::statistics(const Command& command) const {
  if (!are_among(command.modifiers, "v")) return fail(ErrorCode::kStatisticsModifier);
  const PacketTotals packets = packet_totals(manager_.plane());
  auto text = list_counters(command.values, !command.modifiers.empty(), [&](std::string_view name) {
    return statistic(name, manager_.rtpproxy_totals(), totals_, packets, packet_rate_);
  });
  if (!text) return fail(text.error() ? ErrorCode::kStatisticsTooLong : ErrorCode::kUnknownStatistic);
  return std::move(*text);
}

std::string dtmf_line(const Call& call, const Leg& leg, const DtmfEvent& event) {
  constexpr std::string_view kDigits = "0123456789*#ABCD ";  // the last is the hook flash
  const RtpproxySession* session = call.rtpproxy();
  if (session == nullptr || session->notify_target.empty() || event.event >= kDigits.size()) return {};
  const std::size_t party = call.legs[0].get() == &leg ? 0 : 1;
  const auto& extras = session->parties[party].extras;
  if (!extras || extras->dtmf_tag.empty()) return {};
  return fmt::format("{} {} {} {} {}\n", extras->dtmf_tag, kDigits[event.event], event.volume, event.duration,
                     party);
}

}  // namespace ferry::rtpproxy
