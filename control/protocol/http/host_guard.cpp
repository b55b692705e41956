// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/http/host_guard.hpp"

#include "control/sdp/sdp.hpp"
#include "relay/base/address.hpp"

#include <algorithm>

namespace ferry::http {

namespace {

using sdp::equal_ignoring_case;

bool matches(std::string_view name, std::string_view host) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (!name.starts_with("*.")) return equal_ignoring_case(name, host);
  const auto dot = host.find('.');
  return dot != std::string_view::npos && dot != 0 && equal_ignoring_case(name.substr(1), host.substr(dot));
}

bool is_port(std::string_view text) {
  return text.size() <= 5 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// True if the text consists of characters of host names (RFC 952, and the underscore).
bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_';
  });
}

/// True for `GET /metrics` and nothing else: a request with Upgrade would turn the connection into a
/// WebSocket.
bool asks_for_metrics(const Request& request) {
  return request.method == "GET" && request.target == "/metrics" && !request.has_header("Upgrade");
}

/// True for a name of a single label. Nobody can register such a name, so no page of a stranger has it.
bool is_one_label(std::string_view text) {
  const auto host = host_of(text);
  return host && !host->starts_with('[') && host->find('.') == std::string_view::npos;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const auto start = line.find_first_not_of(" \t\r");
    if (start == std::string_view::npos) return words;
    line.remove_prefix(start);
    const auto end = std::min(line.find_first_of(" \t\r"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

}  // namespace

std::optional<std::string_view> host_of(std::string_view text) {
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    host = text.substr(0, bracket + 1);
    port = text.substr(bracket + 1);
    if (!IpAddress::parse(host.substr(1, host.size() - 2)).has_value()) return std::nullopt;
  } else {
    host = text.substr(0, text.find(':'));
    port = text.substr(host.size());
    if (host.ends_with('.')) host.remove_suffix(1);
    if (!is_name(host)) return std::nullopt;
  }
  if (port.empty()) return host;
  return is_port(port.substr(1)) && port.front() == ':' ? std::optional(host) : std::nullopt;
}

bool HostGuard::knows(std::string_view text) const {
  const auto host = host_of(text);
  if (!host) return false;
  if (host->starts_with('[') || IpAddress::parse(*host).has_value() ||
      equal_ignoring_case(*host, "localhost"))
    return true;
  return std::ranges::any_of(names_, [&](const std::string& name) { return matches(name, *host); });
}

std::optional<std::string> HostGuard::foreign_name(const Request& request) const {
  const auto serves = [&](std::string_view text) {
    return knows(text) || (asks_for_metrics(request) && is_one_label(text));
  };
  if (request.authority && !serves(*request.authority)) return *request.authority;
  const std::string host(request.header("Host"));
  if (request.has_header("Host") && !serves(host)) return host;
  return std::nullopt;
}

bool has_good_host_count(const Request& request) {
  const auto count = std::ranges::count_if(
      request.headers, [](const auto& each) { return equal_ignoring_case(each.first, "Host"); });
  return count == 1 || (count == 0 && request.minor_version == 0);
}

std::vector<std::string> names_of_host(std::string_view name, std::string_view hosts) {
  if (name.empty()) return {};
  std::vector<std::string> names = {std::string(name), std::string(name.substr(0, name.find('.')))};
  while (!hosts.empty()) {
    const auto end = std::min(hosts.find('\n'), hosts.size());
    const std::string_view line = hosts.substr(0, end);
    hosts.remove_prefix(std::min(end + 1, hosts.size()));
    // Each line has an address and its names.
    const auto words = words_of(line.substr(0, line.find('#')));
    const auto is_ours = [&](std::string_view word) { return equal_ignoring_case(word, name); };
    if (std::ranges::any_of(words, is_ours)) names.insert(names.end(), words.begin() + 1, words.end());
  }
  return names;
}

}  // namespace ferry::http
