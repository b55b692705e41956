// Which names an HTTP client may call this host by (CTL-13).
#pragma once

#include "control/protocol/http/request_reader.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::http {

/// A page of another site can have its own name point at this host and then read what the relay answers (DNS
/// rebinding). The browser still says that name in Host, so only names that are ours are served: address
/// literals, `localhost`, and those that are given. `GET /metrics` is served under any name of one label too:
/// Prometheus calls a container by the name of its service, nobody can register such a name, and metrics have
/// no names, numbers or addresses (CTL-8). Pure.
class HostGuard {
 public:
  /// `*.example.com` stands for every name with one more label.
  explicit HostGuard(std::vector<std::string> names) : names_(std::move(names)) {}

  /// The value of Host, or an authority, with or without a port.
  [[nodiscard]] bool knows(std::string_view host) const;
  /// The name in a request that is not ours; nothing if there is none. HTTP/1.0 has no Host, and no browser
  /// speaks it.
  [[nodiscard]] std::optional<std::string> foreign_name(const Request& request) const;

 private:
  std::vector<std::string> names_;
};

/// RFC 9112 §3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0.
bool has_good_host_count(const Request& request);

/// The host part of `host[:port]`, without the dot of a full name at its end; nothing if it is neither.
std::optional<std::string_view> host_of(std::string_view text);

/// Names of this host: its own, that without the domain, and what `hosts` (hosts(5)) has beside it.
std::vector<std::string> names_of_host(std::string_view name, std::string_view hosts);

}  // namespace ferry::http
