// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/pages/pages.hpp"

#include <array>
#include <cstdlib>
#include <memory>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
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

/// Adds the options of the query to the command as they are. Numbers and switches are recognised by their
/// text.
void add_query(json& request, std::string_view query) {
  evkeyvalq pairs{};
  if (evhttp_parse_query_str(std::string(query).c_str(), &pairs) != 0) return;
  for (const evkeyval* pair = pairs.tqh_first; pair != nullptr; pair = pair->next.tqe_next) {
    const std::string_view value = pair->value == nullptr ? "" : pair->value;
    if (std::string_view(pair->key) == "command" || std::string_view(pair->key) == "call_id") continue;
    if (value == "true" || value == "1")
      request[pair->key] = true;
    else
      request[pair->key] = std::string(value);
  }
  evhttp_clear_headers(&pairs);
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

std::optional<Reply> Pages::get(std::string_view target) const {
  const auto mark = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, mark);
  const std::string_view query = target.substr(std::min(mark + 1, target.size()));
  if (path == "/health/live") return page(200, "text/plain", "alive\n");
  if (path == "/health/ready") {
    if (manager_.is_draining()) return page(503, "text/plain", "draining: no new calls\n");
    return page(200, "text/plain", "ready\n");
  }
  if (path == "/metrics") return page(200, "text/plain; version=0.0.4; charset=utf-8", metrics_.text());
  for (const ApiRow& row : kApi) {
    const bool takes_call = row.path.ends_with('/');
    if (takes_call ? !path.starts_with(row.path) || path.size() == row.path.size() : path != row.path)
      continue;
    json request = {{"command", row.command}};
    add_query(request, query);
    if (takes_call) request["call_id"] = decoded(path.substr(row.path.size()));
    return page_of(cli_.execute(request, "http"));
  }
  return std::nullopt;
}

}  // namespace ferry::pages
