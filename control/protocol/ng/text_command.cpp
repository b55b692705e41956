#include "control/protocol/ng/text_command.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace ferry::ng {

namespace {

struct Context {
  SessionManager& manager;
  const Clock& clock;
};

/// Whether the call's open ports are of IPv4, of IPv6.
std::pair<bool, bool> families_of(const Call& call) {
  std::pair<bool, bool> found;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      const PortSet* ports = media->active_ports();
      if (ports == nullptr || ports->closed) continue;
      (ports->local->address.is_v6() ? found.second : found.first) = true;
    }
  }
  return found;
}

std::string num_sessions(const Context& context, std::string_view) {
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
      "0\nCurrent sessions ipv4 only media: {}\nCurrent sessions ipv6 only media: {}\nCurrent sessions ip "
      "mixed  "
      "media: {}\n",
      all, all, only_v4, only_v6, mixed);
}

std::string sessions(const Context& context, std::string_view) {
  std::string text;
  context.manager.each_call([&](const Call& call) { text += fmt::format("callid: {}\n", call.id); });
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
