// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/pages/pages.hpp"

#include "control/log/printable_json.hpp"
#include "control/protocol/pages/web_files.hpp"
#include "relay/base/memory.hpp"
#include "relay/base/random.hpp"

#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry::pages {

using http::Reply;
using nlohmann::json;

namespace {

std::string decoded(std::string_view text) {
  std::size_t size = 0;
  const std::unique_ptr<char, decltype(&std::free)> raw(evhttp_uridecode(std::string(text).c_str(), 0, &size),
                                                        &std::free);
  return raw ? std::string(raw.get(), size) : std::string();
}

/// A path below `/api/v1`, and the command that answers it. A path that ends in a slash is followed by a
/// Call-ID.
struct ApiRow {
  std::string_view path;
  std::string_view command;
};
constexpr std::array<ApiRow, 8> kApi = {{{"/api/v1/calls", "list"},
                                         {"/api/v1/calls/", "show"},
                                         {"/api/v1/explain/", "explain"},
                                         {"/api/v1/stats", "stats"},
                                         {"/api/v1/interfaces", "interfaces"},
                                         {"/api/v1/ports", "ports"},
                                         {"/api/v1/engines", "engines"},
                                         {"/api/v1/version", "version"}}};

/// Calls `take` with each name and value of a query, decoded.
template <class Take>
void each_of(std::string_view query, Take take) {
  evkeyvalq pairs{};
  if (evhttp_parse_query_str(std::string(query).c_str(), &pairs) != 0) return;
  for (const evkeyval* pair = pairs.tqh_first; pair != nullptr; pair = pair->next.tqe_next)
    take(std::string_view(pair->key), std::string_view(pair->value == nullptr ? "" : pair->value));
  evhttp_clear_headers(&pairs);
}

/// Reads a whole number; nothing if the text is none.
template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Adds the options of the query to the command as they are. Numbers and switches are recognised by their
/// text.
void add_query(json& request, std::string_view query) {
  each_of(query, [&](std::string_view key, std::string_view value) {
    if (key == "command" || key == "call_id") return;
    if (value == "true" || value == "1")
      request[std::string(key)] = true;
    else
      request[std::string(key)] = std::string(value);
  });
}

Reply page(int status, std::string type, std::string body) {
  return {status, status == 200 ? "OK" : "Failed", std::move(type), std::move(body), {}};
}

Reply page_of(const json& reply) {
  const bool failed = reply.contains("error");
  const bool is_missing = failed && reply["error"].get_ref<const std::string&>().starts_with("no such");
  return page(failed ? (is_missing ? 404 : 400) : 200, "application/json",
              reply.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

}  // namespace

Pages::Pages(cli::CliService& cli, const metrics::Metrics& metrics, SessionManager& manager)
    : cli_(cli),
      metrics_(metrics),
      manager_(manager),
      board_(manager.services(), manager.health(), random_hex(8)) {}

void Pages::tick(const Clock& clock) {
  // Without memory for them, calls have no sample of this second (C-12).
  (void)had_memory([&] { board_.tick(clock); });
}

json Pages::fleet() const {
  std::uint64_t packets = 0;
  std::uint64_t kernel = 0;
  std::uint64_t bytes = 0;
  std::uint64_t dropped = 0;
  for (std::size_t i = 0; i < manager_.plane().workers(); ++i) {
    const WorkerTotals& totals = manager_.plane().worker(i).totals();
    packets += totals.packets.load();
    kernel += totals.offloaded_packets.load();
    bytes += totals.bytes.load();
    dropped += totals.errors.load();
  }
  const BadCalls bad = manager_.health().bad_calls();
  return {{"hear_nothing", bad.hear_nothing},
          {"hear_some", bad.hear_some},
          {"packets", packets},
          {"kernel_packets", kernel},
          {"bytes", bytes},
          {"dropped", dropped},
          {"rejected_calls", manager_.totals().rejected},
          {"draining", manager_.is_draining()},
          {"software", fmt::format("{} {}", manager_.config().software_name, FERRY_VERSION)}};
}

Reply Pages::board(std::string_view query) {
  CallBoard::Wish wish;
  std::string problem;
  each_of(query, [&](std::string_view key, std::string_view value) {
    if (key == "match") wish.match = value;
    if (key == "cursor") wish.cursor = value;
    if (key != "limit") return;
    const auto limit = number_in<std::size_t>(value);
    limit&&* limit <= CallBoard::kMostRows ? void(wish.limit = *limit)
                                           : void(problem = "limit is a number up to 500");
  });
  if (!problem.empty()) return page_of({{"error", problem}});
  json reply = board_.rows(wish, cli_.now());
  reply["fleet"] = fleet();
  make_utf8(reply);
  return page_of(reply);
}

Reply Pages::timeline(std::string_view number) const {
  const auto serial = number_in<std::uint64_t>(number);
  json reply = serial ? board_.timeline(*serial) : nullptr;
  if (reply.is_null()) reply = {{"error", "no such call: a path below timeline/ ends in the id of a row"}};
  make_utf8(reply);
  return page_of(reply);
}

std::optional<Reply> Pages::get(std::string_view target) {
  const auto mark = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, mark);
  const std::string_view query = target.substr(std::min(mark + 1, target.size()));
  if (path == "/health/live") return page(200, "text/plain", "alive\n");
  if (path == "/health/ready") {
    if (manager_.is_draining()) return page(503, "text/plain", "draining: no new calls\n");
    return page(200, "text/plain", "ready\n");
  }
  if (path == "/metrics") return page(200, "text/plain; version=0.0.4; charset=utf-8", metrics_.text());
  if (path == "/api/v1/board") return board(query);
  if (constexpr std::string_view kTimeline = "/api/v1/timeline/"; path.starts_with(kTimeline))
    return timeline(path.substr(kTimeline.size()));
  for (const ApiRow& row : kApi) {
    const bool takes_call = row.path.ends_with('/');
    if (takes_call ? !path.starts_with(row.path) || path.size() == row.path.size() : path != row.path)
      continue;
    json request = {{"command", row.command}};
    add_query(request, query);
    if (takes_call) request["call_id"] = decoded(path.substr(row.path.size()));
    return page_of(cli_.execute(request, "http"));
  }
  return web_file(path, false);
}

}  // namespace ferry::pages
