// SPDX-License-Identifier: Apache-2.0
// Checks the host name in HTTP requests, against DNS rebinding (CTL-13).
#pragma once

#include "control/protocol/http/request_reader.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::http {

/// Knows the names that HTTP clients may call this host by. A web page of another site can let its own name
/// point at this host and then read the replies of the relay (DNS rebinding). The browser still sends that
/// name in Host, so only our own names are served: address literals, `localhost`, and the names that are
/// given.
///
/// `GET /metrics` is also served under any name of a single label. Prometheus calls a container by the name
/// of its service, nobody can register such a name, and metrics contain no names, numbers or addresses
/// (CTL-8). Pure.
class HostGuard {
 public:
  /// `names` may contain `*.example.com`, which stands for every name with exactly one more label.
  explicit HostGuard(std::vector<std::string> names) : names_(std::move(names)) {}

  /// True if `host`, the value of Host or an authority with or without a port, names this host.
  [[nodiscard]] bool knows(std::string_view host) const;
  /// The name in a request that is not ours; nothing if all is well. A request of HTTP/1.0 may have no Host,
  /// and no browser speaks it.
  [[nodiscard]] std::optional<std::string> foreign_name(const Request& request) const;

 private:
  std::vector<std::string> names_;
};

/// True if the number of Host lines is allowed: exactly one in HTTP/1.1, at most one in HTTP/1.0 (RFC 9112
/// §3.2).
bool has_good_host_count(const Request& request);

/// The host part of `host[:port]`, without a dot at its end. Nothing if the text does not have that form. The
/// view points into `text`.
std::optional<std::string_view> host_of(std::string_view text);

/// Names of this host: `name`, `name` without its domain, and the names that `hosts` (hosts(5)) lists beside
/// it.
std::vector<std::string> names_of_host(std::string_view name, std::string_view hosts);

}  // namespace ferry::http
