// SPDX-License-Identifier: Apache-2.0
// Executes the operator's commands by the table `kRows`.
//
// `execute` first turns printed Call-IDs of the request into real ones, then runs the command, then makes the
// texts of the reply safe: printable for people, UTF-8 for machines (CTL-14). So commands handle real
// Call-IDs only.
//
// `list` sorts twice. Verdicts of running calls are renewed in turns, so those of the first calls may be old;
// these calls are looked at anew and sorted again before the reply is made.

#include "control/protocol/cli/cli_service.hpp"

#include "control/command/recordings.hpp"
#include "control/log/log.hpp"
#include "control/log/printable_json.hpp"
#include "control/protocol/ng/json_codec.hpp"
#include "relay/base/ensure.hpp"
#include "relay/base/printable.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include <fmt/format.h>
#include <malloc.h>
#include <nlohmann/json.hpp>

namespace ferry::cli {

using nlohmann::json;

namespace {

constexpr std::size_t kTopCalls = 200;
/// Calls of a list that are looked at anew before it is answered.
constexpr std::size_t kFreshCalls = 256;

json error(std::string text) { return {{"error", std::move(text)}}; }

std::string text_of(const json& request, const char* key) {
  const auto found = request.find(key);
  return found != request.end() && found->is_string() ? found->get<std::string>() : std::string();
}
bool flag_of(const json& request, const char* key) {
  const auto found = request.find(key);
  return found != request.end() && found->is_boolean() && found->get<bool>();
}
/// Reads a number; command lines send numbers as text.
std::optional<std::int64_t> number_of(const json& request, const char* key) {
  const auto found = request.find(key);
  if (found == request.end()) return std::nullopt;
  if (found->is_number_integer()) return found->get<std::int64_t>();
  if (!found->is_string()) return std::nullopt;
  return Value(std::string_view(found->get_ref<const std::string&>())).as_integer();
}

/// Sorts calls in which somebody hears nothing first, then those that are heard badly, and so on. Calls that
/// are equally bad are sorted by loss.
double worst_first(const CallSummary& call) {
  const HealthFinding& found = call.health->found();
  return 1000.0 * found.urgency() + std::min<double>(found.loss_percent, 100.0);
}

/// A key to sort calls by: the worst or largest first, and for `age` the oldest first.
struct SortRow {
  std::string_view name;
  double (*key)(const CallSummary& call);
};
constexpr std::array<SortRow, 7> kSorts = {{
    {"severity", worst_first},
    {"age", [](const CallSummary& c) { return c.age_s; }},
    {"loss", [](const CallSummary& c) { return c.loss_percent; }},
    {"packets", [](const CallSummary& c) { return static_cast<double>(c.packets); }},
    {"refused", [](const CallSummary& c) { return static_cast<double>(c.refused); }},
    {"jitter", [](const CallSummary& c) { return c.jitter_ms; }},
    {"idle", [](const CallSummary& c) { return c.last_packet_age_s.value_or(c.age_s); }},
}};

/// Any other state is "silent": nothing has come for some seconds.
bool is_in_state(const CallSummary& summary, std::string_view state) {
  // In seconds.
  constexpr double kSilent = 5.0;
  const Call& call = *summary.call;
  if (state == "deleting") return call.delete_at.has_value();
  if (state == "answered") return call.answered && !call.delete_at;
  if (state == "offered") return !call.answered && !call.delete_at;
  return summary.last_packet_age_s.value_or(kSilent + 1) > kSilent;
}

bool matches(const Call& call, const std::string& text) {
  return call.id.find(text) != std::string::npos || std::ranges::any_of(call.legs, [&](const auto& leg) {
           return leg->tag.find(text) != std::string::npos;
         });
}

/// Adds what the last look at the call found.
void add_health(json& j, const CallSummary& summary, const Clock& clock) {
  const HealthFinding& found = summary.health->found();
  j["severity"] = to_string(found.severity);
  j["verdict"] = to_string(found.cause);
  j["hears"] = to_string(found.hears);
  j["bad"] = summary.health->is_bad() && !summary.call->delete_at;
  j["loss_10s_percent"] = found.loss_percent;
  j["jitter_10s_ms"] = found.jitter_ms;
  j["longest_loss_burst_10s"] = found.longest_burst;
  if (summary.health->looked_at() == Instant{}) return;
  const WallTime since =
      clock.wall - std::chrono::duration_cast<Duration>(clock.now - summary.health->since());
  j["since"] = std::chrono::duration_cast<std::chrono::seconds>(since.time_since_epoch()).count();
  if (found.severity == Severity::kFine || found.leg >= summary.call->legs.size()) return;
  j["where"] = {{"leg", summary.call->legs[found.leg]->tag},
                {"media", found.media},
                {"direction", to_string(found.direction)}};
}

/// One call of a list.
json summary_json(const CallSummary& summary, const Clock& clock) {
  const Call& call = *summary.call;
  json tags = json::array();
  for (const auto& leg : call.legs) tags.push_back(leg->tag);
  json j = {{"call_id", call.id},
            {"age_s", summary.age_s},
            {"tags", std::move(tags)},
            {"medias", summary.medias},
            {"answered", call.answered},
            {"worker", call.worker},
            {"deleting", call.delete_at.has_value()},
            {"packets", summary.packets},
            {"lost", summary.lost},
            {"loss_percent", summary.loss_percent},
            {"jitter_ms", summary.jitter_ms},
            {"refused", summary.refused},
            {"kernel_streams", summary.kernel_streams}};
  add_health(j, summary, clock);
  if (summary.last_packet_age_s) j["last_packet_age_s"] = *summary.last_packet_age_s;
  return j;
}

/// Lists the requests that were refused since the start, by reason; the reason of the newest one comes first.
json refused_by_reason(const RefusedRequests& refused, Instant now) {
  std::vector<std::size_t> reasons;
  const auto& totals = refused.totals();
  for (std::size_t i = 0; i < totals.size(); ++i) {
    if (totals[i].count != 0) reasons.push_back(i);
  }
  std::ranges::stable_sort(reasons, std::greater{}, [&](std::size_t i) { return totals[i].last_at; });
  json list = json::array();
  for (const std::size_t i : reasons)
    list.push_back({{"reason", kRefusalRows[i].name},
                    {"count", totals[i].count},
                    {"age_s", std::chrono::duration<double>(now - totals[i].last_at).count()}});
  return list;
}

}  // namespace

struct CliService::Row {
  std::string_view name;
  json (CliService::*run)(const json& request);
};
/// `trace` is missing here: its reply has many lines, so the server carries it out.
const CliService::Row CliService::kRows[] = {
    {"list", &CliService::list},
    {"top", &CliService::top},
    {"show", &CliService::show},
    {"explain", &CliService::explain},
    {"where", &CliService::where},
    {"terminate", &CliService::terminate},
    {"record", &CliService::record},
    {"stats", &CliService::stats},
    {"interfaces", &CliService::interfaces},
    {"ports", &CliService::ports},
    {"engines", &CliService::engines},
    {"get", &CliService::get},
    {"set", &CliService::set},
    {"params", &CliService::params},
    {"log", &CliService::log_level},
    {"drain", &CliService::drain},
    {"ready", &CliService::ready},
    {"facts", &CliService::facts},
    {"unknown-flags", &CliService::unknown_flags},
    {"version", &CliService::version},
};

json CliService::execute(const json& request, std::string_view peer) {
  const std::string command = text_of(request, "command");
  const auto* const row = std::ranges::find(kRows, std::string_view(command), &Row::name);
  if (row == std::end(kRows)) return error("unknown command");
  const bool is_printed = flag_of(request, "printable");
  json plain = request;
  for (const char* key : {"call_id", "what"}) {
    if (plain.contains(key)) plain[key] = call_id_of(text_of(request, key), is_printed);
  }
  if (is_printed && plain.contains("match")) plain["match"] = from_printable(text_of(request, "match"));
  const std::string call_id = text_of(plain, "call_id");
  const log::Scope scope(log::Subsystem::kControl, call_id);
  peer_ = peer;
  json reply;
  try {
    reply = (this->*row->run)(plain);
  } catch (const json::exception& e) {
    reply = error(e.what());
  }
  is_printed ? make_printable(reply) : make_utf8(reply);
  return reply;
}

std::string CliService::call_id_of(const std::string& text, bool is_printed) const {
  std::string meant = from_printable(text);
  if (meant == text) return text;
  const auto is_known = [this](const std::string& id) {
    return manager_.find(id) != nullptr || !manager_.sessions_of(id).empty() ||
           !manager_.explain(id, false, clock_()).is_null();
  };
  const std::string& first = is_printed ? meant : text;
  const std::string& second = is_printed ? text : meant;
  return is_known(first) || !is_known(second) ? first : second;
}

json CliService::list(const json& request) {
  static constexpr std::array<std::string_view, 5> kStates = {"", "offered", "answered", "deleting",
                                                              "silent"};
  const std::string state = text_of(request, "state");
  if (std::ranges::find(kStates, state) == kStates.end())
    return error(fmt::format("no state '{}': offered, answered, deleting, silent", state));
  const std::string by = text_of(request, "sort");
  const auto* const sort =
      std::ranges::find(kSorts, by.empty() ? "age" : std::string_view(by), &SortRow::name);
  if (sort == kSorts.end())
    return error(fmt::format("cannot sort by '{}': severity, age, loss, packets, refused, jitter, idle", by));
  const std::string match = text_of(request, "match");
  const Clock clock = clock_();
  auto calls = manager_.summaries(clock);
  std::erase_if(calls, [&](const CallSummary& call) {
    return (!state.empty() && !is_in_state(call, state)) || (!match.empty() && !matches(*call.call, match));
  });
  const bool reverse = flag_of(request, "reverse");
  // Calls with equal keys stay in the order of their begin.
  const auto put_in_order = [&] {
    std::ranges::sort(calls, [&](const CallSummary& a, const CallSummary& b) {
      const double x = sort->key(a);
      const double y = sort->key(b);
      if (x != y) return reverse ? x < y : x > y;
      return a.call->serial < b.call->serial;
    });
  };
  put_in_order();
  const std::size_t found = calls.size();
  const auto limit = number_of(request, "limit");
  if (limit && *limit >= 0) calls.resize(std::min(calls.size(), static_cast<std::size_t>(*limit)));
  std::vector<const Call*> first;
  for (const CallSummary& call : calls) {
    if (first.size() == kFreshCalls) break;
    first.push_back(call.call);
  }
  manager_.look_at(first, clock);
  put_in_order();
  json list = json::array();
  for (const CallSummary& call : calls) list.push_back(summary_json(call, clock));
  return {{"calls", std::move(list)}, {"found", found}, {"total", manager_.size()}};
}

/// The reply has totals, not rates: the client computes these from two replies.
json CliService::top(const json& request) {
  json asked = request;
  if (text_of(request, "sort").empty()) asked["sort"] = "severity";
  if (!number_of(request, "limit")) asked["limit"] = kTopCalls;
  json reply = list(asked);
  if (reply.contains("error")) return reply;
  std::uint64_t packets = 0;
  std::uint64_t kernel = 0;
  std::uint64_t errors = 0;
  for (std::size_t i = 0; i < manager_.plane().workers(); ++i) {
    const WorkerTotals& totals = manager_.plane().worker(i).totals();
    packets += totals.packets.load();
    kernel += totals.offloaded_packets.load();
    errors += totals.errors.load();
  }
  reply["packets"] = packets;
  reply["kernel_packets"] = kernel;
  reply["refused"] = errors;
  const Instant now = clock_().now;
  reply["refused_requests"] = refused_by_reason(manager_.refused_requests(), now);
  reply["at_s"] = std::chrono::duration<double>(now.time_since_epoch()).count();
  reply["software"] = fmt::format("{} {}", manager_.config().software_name, FERRY_VERSION);
  return reply;
}

json CliService::no_call(const json& request, std::string_view otherwise) const {
  const auto sessions = manager_.sessions_of(text_of(request, "call_id"));
  if (sessions.empty()) return error(std::string(otherwise));
  return error(fmt::format("{} sessions have this Call-ID, name one of them: '{}'", sessions.size(),
                           fmt::join(sessions, "', '")));
}

json CliService::show(const json& request) {
  json call = manager_.show(text_of(request, "call_id"), clock_());
  return call.is_null() ? no_call(request, "no such call") : call;
}

json CliService::explain(const json& request) {
  json reply = manager_.explain(text_of(request, "call_id"), flag_of(request, "packets"), clock_());
  return reply.is_null()
             ? no_call(request,
                       "no such call, and none that ended badly or was refused is kept under this name")
             : reply;
}

/// Makes a packet of the arguments, so that its way can be computed without sending it.
json CliService::where(const json& request) {
  WherePacket packet;
  const auto from = Endpoint::parse(text_of(request, "from"));
  const auto to = number_of(request, "to");
  if (!from || !to || *to < 1 || *to > 65535)
    return error("where needs from=ADDRESS:PORT and to=PORT of the relay");
  packet.from = *from;
  packet.to = UdpPort{static_cast<std::uint16_t>(*to)};
  packet.type = PayloadType{static_cast<std::uint8_t>(number_of(request, "type").value_or(0) & 127)};
  packet.ssrc = Ssrc{static_cast<std::uint32_t>(number_of(request, "ssrc").value_or(0))};
  packet.sequence = SeqNo{static_cast<std::uint16_t>(number_of(request, "seq").value_or(0))};
  const std::string hex = text_of(request, "hex");
  if (hex.size() % 2 != 0 || hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
    return error("hex= takes pairs of hexadecimal digits");
  for (std::size_t i = 0; i < hex.size(); i += 2)
    packet.datagram.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  json reply = manager_.where(text_of(request, "call_id"), packet, clock_());
  return reply.is_null() ? no_call(request, "no such call") : reply;
}

json CliService::terminate(const json& request) {
  const Clock clock = clock_();
  if (flag_of(request, "all")) {
    const std::size_t count = manager_.terminate_all(clock);
    manager_.flush(clock);
    log::warn("{} terminated all {} calls", peer_, count);
    return {{"terminated", count}};
  }
  const std::string call_id = text_of(request, "call_id");
  const bool found = manager_.terminate(call_id, clock);
  manager_.flush(clock);
  if (!found) return no_call(request, "no such call");
  log::warn("{} terminated call {}", peer_, log::quote(call_id));
  return {{"terminated", 1}};
}

json CliService::record(const json& request) {
  const std::string action = text_of(request, "action");
  Request order;
  order.call_id = text_of(request, "call_id");
  Recordings& recordings = manager_.recordings();
  if (manager_.find(*order.call_id) == nullptr) return no_call(request, "no such call");
  if (action == "start") {
    recordings.start(order);
  } else if (action == "stop") {
    recordings.stop(order);
  } else if (action == "pause") {
    recordings.pause(order);
  } else {
    return error("record needs start, stop or pause");
  }
  manager_.flush(clock_());
  // A start without a recording directory fails without an error of its own.
  const CallRecording* recording = manager_.find(*order.call_id)->recording();
  if (recording == nullptr && action == "start") return error("the daemon has no recording-dir");
  return {{"recording", recording == nullptr ? "off" : recording->is_paused() ? "paused" : "on"}};
}

json CliService::stats(const json&) {
  json j = json::parse(ng::encode_json(Value(ng_.statistics())));
  json drops = json::object();
  json send_errors = json::object();
  std::uint64_t unserved = 0;
  std::uint64_t other_types = 0;
  for (std::size_t i = 0; i < manager_.plane().workers(); ++i) {
    const WorkerTotals& totals = manager_.plane().worker(i).totals();
    unserved += totals.unserved_ports.load();
    other_types += totals.other_type_packets.load();
    for (const DropReasonRow& row : kDropReasonRows) {
      const std::uint64_t count = totals.drops[static_cast<std::size_t>(row.reason)].load();
      if (count != 0)
        drops[std::string(row.name)] = drops.value(std::string(row.name), std::uint64_t{0}) + count;
    }
    for (const SendErrorRow& row : kSendErrorRows) {
      const std::uint64_t count = totals.send_errors[static_cast<std::size_t>(row.error)].load();
      if (count != 0)
        send_errors[std::string(row.name)] =
            send_errors.value(std::string(row.name), std::uint64_t{0}) + count;
    }
  }
  j["drops"] = std::move(drops);
  j["send_errors"] = std::move(send_errors);
  j["unserved_ports"] = unserved;
  j["other_type_packets"] = other_types;
  j["control"] = {{"cached_replies", ng_.cache().size()},
                  {"cached_bytes", ng_.cache().bytes()},
                  {"errors", ng_.errors()},
                  {"repeated_keys", ng_.repeated_keys()}};
  const auto kept = manager_.kept_size();
  j["refused_requests"] = {{"kept", manager_.refused_requests().size()},
                           {"bytes", manager_.refused_requests().bytes()}};
  for (const RefusalRow& row : kRefusalRows) {
    const auto& total = manager_.refused_requests().totals()[static_cast<std::size_t>(row.refusal)];
    if (total.count != 0) j["refused_requests"][std::string(row.name)] = total.count;
  }
  j["kept_calls"] = {{"calls", kept.calls}, {"bytes", kept.bytes}};
  // Memory in use, without what the allocator keeps, so that it can be compared before and after calls.
  j["memory"] = {{"heap_in_use", mallinfo2().uordblks + mallinfo2().hblkhd}};
  if (daemon_.recorder) j["recorder"] = daemon_.recorder();
  if (daemon_.events) j["events"] = daemon_.events();
  if (daemon_.rtpproxy) j["rtpproxy"] = daemon_.rtpproxy();
  j["draining"] = manager_.is_draining();
  j["broken_invariants"] = g_broken_invariants.load();
  return j;
}

json CliService::interfaces(const json&) {
  const json statistics = json::parse(ng::encode_json(Value(ng_.statistics())));
  return {{"interfaces", statistics["interfaces"]}};
}

json CliService::ports(const json& request) {
  json list = json::array();
  for (const LogicalInterface& logical : manager_.interfaces().all()) {
    for (const LocalAddress& local : logical.addresses) {
      const PortPool& pool = *local.ports;
      list.push_back({{"interface", logical.name},
                      {"address", local.address.to_string()},
                      {"advertised", local.advertised.to_string()},
                      {"first", pool.first().value},
                      {"last", pool.last().value},
                      {"pairs", pool.total()},
                      {"used", pool.used()},
                      {"resting", pool.resting()},
                      {"forced_reuses", pool.forced_reuses()},
                      {"ice_port", local.ice_port.value}});
    }
  }
  json reply = {{"ports", std::move(list)}};
  if (!flag_of(request, "holders")) return reply;
  json holders = json::array();
  manager_.each_call([&](const Call& call) {
    for (const auto& leg : call.legs) {
      for (const MediaTransport& transport : leg->transports) {
        for (const LocalPorts& ports : transport.ports) {
          if (ports.closed) continue;
          holders.push_back({{"address", ports.local->address.to_string()},
                             {"port", ports.port.value},
                             {"call_id", call.id},
                             {"leg", leg->tag},
                             {"media", transport.medias().front()->index},
                             {"active", &ports == transport.active_ports()}});
        }
      }
    }
  });
  std::ranges::sort(holders.get_ref<json::array_t&>(),
                    [](const json& a, const json& b) { return a["port"] < b["port"]; });
  reply["holders"] = std::move(holders);
  return reply;
}

json CliService::engines(const json&) {
  return daemon_.engines ? daemon_.engines() : error("there is no engine");
}

json CliService::get(const json& request) {
  if (daemon_.parameters == nullptr) return error("there are no parameters");
  const std::string name = text_of(request, "name");
  json values = json::object();
  for (const auto& each : daemon_.parameters->list()) {
    if (name.empty() || each.name == name) values[std::string(each.name)] = each.value;
  }
  if (values.empty()) return error(fmt::format("no run-time parameter is called '{}'", name));
  return {{"parameters", std::move(values)}};
}

json CliService::set(const json& request) {
  if (daemon_.parameters == nullptr) return error("there are no parameters");
  const std::string name = text_of(request, "name");
  const std::string value = text_of(request, "value");
  const std::string before = daemon_.parameters->get(name).value_or("");
  if (std::string wrong = daemon_.parameters->set(name, value); !wrong.empty())
    return error(std::move(wrong));
  const std::string after = daemon_.parameters->get(name).value_or("");
  log::warn("{} set {} from {} to {}", peer_, name, log::quote(before), log::quote(after));
  return {{"parameters", {{name, after}}}};
}

json CliService::params(const json& request) {
  if (daemon_.parameters == nullptr) return error("there are no parameters");
  const std::string what = text_of(request, "what");
  if (!what.empty() && what != "diff") return error("params takes nothing, or diff");
  json list = json::array();
  for (const auto& each : daemon_.parameters->list()) {
    if (what == "diff" && each.value == each.at_start) continue;
    list.push_back(
        {{"name", each.name}, {"value", each.value}, {"at_start", each.at_start}, {"help", each.help}});
  }
  return {{"params", std::move(list)}};
}

/// `what` is a subsystem, a call or nothing, which means all subsystems. A call has two levels only: 7 logs
/// all of it, any other level is that of the subsystem.
json CliService::log_level(const json& request) {
  const std::string what = text_of(request, "what");
  const auto level = number_of(request, "level");
  if (level && (*level < 0 || *level > 7)) return error("levels are 0 to 7");
  const auto subsystem = log::parse_subsystem(what);
  if (level && what.empty()) {
    log::set_level(static_cast<int>(*level));
  } else if (level && subsystem) {
    log::set_level(*subsystem, static_cast<int>(*level));
  } else if (!what.empty() && !subsystem) {
    Call* call = manager_.find(what);
    if (call == nullptr) return error(fmt::format("'{}' is neither a subsystem nor a call", what));
    if (level) call->debug = *level >= 7;
    return {{"levels", {{what, call->debug ? 7 : log::level_of(log::Subsystem::kMedia)}}}};
  }
  if (level)
    log::warn("{} set the log level of {} to {}", peer_, what.empty() ? "everything" : log::quote(what),
              *level);
  json levels = json::object();
  for (std::size_t i = 0; i < log::kSubsystems.size(); ++i)
    levels[std::string(log::kSubsystems[i])] = log::level_of(static_cast<log::Subsystem>(i));
  return {{"levels", std::move(levels)}};
}

json CliService::drain(const json& request) {
  if (!daemon_.drain) return error("this daemon does not drain");
  const bool on = text_of(request, "what") != "off";
  log::warn("{} {}", peer_,
            on ? "drains the relay: no new calls, it ends after the last one" : "lets new calls in again");
  daemon_.drain(on);
  return {{"draining", on}, {"calls", manager_.size()}};
}

json CliService::ready(const json&) {
  if (manager_.is_draining()) return error("draining: no new calls");
  return {{"ready", true}, {"calls", manager_.size()}};
}

json CliService::facts(const json&) { return daemon_.facts ? daemon_.facts() : json::object(); }

json CliService::unknown_flags(const json&) {
  json list = json::array();
  for (const auto& [word, seen] : ng_.unknown_words()) {
    list.push_back({{"word", word}, {"count", seen.count}, {"did_you_mean", seen.suggestion}});
  }
  return {{"unknown", std::move(list)}};
}

json CliService::version(const json&) {
  return {{"version", FERRY_VERSION}, {"software", manager_.config().software_name}};
}

}  // namespace ferry::cli
