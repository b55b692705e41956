#include "control/protocol/ng/text_command.hpp"

#include <array>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry::ng {

namespace {

struct Context {
  SessionManager& manager;
  const Clock& clock;
};

/// Family of a call's media: 4, 6, 10 for both, 0 for none.
int family_of(const nlohmann::json& call) {
  int family = 0;
  for (const auto& leg : call.at("legs")) {
    for (const auto& media : leg.at("medias")) {
      if (!media.contains("local")) continue;
      const int found = media["local"]["address"].get<std::string>().find(':') == std::string::npos ? 4 : 6;
      if (family != 0 && family != found) return 10;
      family = found;
    }
  }
  return family;
}

std::vector<std::string> call_ids(const Context& context) {
  std::vector<std::string> ids;
  const auto calls = context.manager.list_calls(context.clock);
  for (const auto& call : calls) ids.push_back(call.at("call_id"));
  return ids;
}

std::string num_sessions(const Context& context, std::string_view) {
  std::array<std::size_t, 11> families{};
  for (const std::string& id : call_ids(context)) {
    const auto call = context.manager.show(id, context.clock);
    if (!call.is_null()) ++families[static_cast<std::size_t>(family_of(call))];
  }
  const std::size_t all = context.manager.size();
  return fmt::format(
      "Current sessions own: {}\nCurrent sessions foreign: 0\nCurrent sessions total: {}\nCurrent transcoded "
      "media: 0\n"
      "Current sessions ipv4 only media: {}\nCurrent sessions ipv6 only media: {}\nCurrent sessions ip mixed "
      " media: {}\n",
      all, all, families[4], families[6], families[10]);
}

std::string sessions(const Context& context, std::string_view) {
  std::string text;
  const auto calls = context.manager.list_calls(context.clock);
  for (const auto& call : calls) text += fmt::format("callid: {}\n", call.at("call_id").get<std::string>());
  return text.empty() ? "No sessions on this media relay.\n" : text;
}

std::string totals(const Context& context, std::string_view) {
  const SessionTotals& t = context.manager.totals();
  const auto ended = [&](EndReason reason) { return t.ended[static_cast<std::size_t>(reason)]; };
  return fmt::format(
      "Total managed sessions: {}\nTotal rejected sessions: {}\nTotal timed-out sessions via TIMEOUT: {}\n"
      "Total timed-out sessions via SILENT_TIMEOUT: {}\nTotal timed-out sessions via FINAL_TIMEOUT: {}\n"
      "Total timed-out sessions via OFFER_TIMEOUT: {}\nTotal regular terminated sessions: {}\n"
      "Total forced terminated sessions: {}\nTotal number of streams with no relayed packets: {}\n"
      "Total number of 1-way streams: {}\n",
      t.managed, t.rejected, ended(EndReason::kTimeout), ended(EndReason::kSilentTimeout),
      ended(EndReason::kFinalTimeout), ended(EndReason::kOfferTimeout), ended(EndReason::kRegular),
      ended(EndReason::kForced), t.zero_way, t.one_way);
}

std::string max_sessions(const Context& context, std::string_view) {
  const std::size_t limit = context.manager.config().max_sessions;
  return limit == 0 ? "Maximum sessions configured: unlimited\n"
                    : fmt::format("Maximum sessions configured: {}\n", limit);
}

std::string interfaces(const Context& context, std::string_view) {
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

std::string terminate(const Context& context, std::string_view rest) {
  // CTL-7: nothing that ends everything comes by a control protocol.
  if (rest == "all" || rest == "own")
    return "Refused: terminate --all is for rtpferryctl on the local socket\n";
  if (context.manager.terminate(rest, context.clock)) return fmt::format("Call {} terminated\n", rest);
  return fmt::format("Call Id not found ({})\n", rest);
}

struct Row {
  std::string_view words;
  std::string (*run)(const Context&, std::string_view rest);
};
constexpr std::array<Row, 6> kRows = {{{"list numsessions", num_sessions},
                                       {"list sessions", sessions},
                                       {"list totals", totals},
                                       {"list maxsessions", max_sessions},
                                       {"list interfaces", interfaces},
                                       {"terminate", terminate}}};

}  // namespace

std::string run_text_command(std::string_view line, SessionManager& manager, const Clock& clock) {
  while (line.ends_with('\n') || line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
  const Context context{manager, clock};
  for (const Row& row : kRows) {
    if (!line.starts_with(row.words)) continue;
    std::string_view rest = line.substr(row.words.size());
    if (!rest.empty() && rest.front() != ' ') continue;
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    return row.run(context, rest);
  }
  return fmt::format("Unknown or incomplete command: '{}'\n", line.substr(0, 200));
}

}  // namespace ferry::ng
