// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/http/origin_guard.hpp"

#include "control/protocol/http/host_guard.hpp"
#include "control/sdp/sdp.hpp"

namespace ferry::http {

namespace {

using sdp::equal_ignoring_case;

/// The port of an authority whose host is `host`; that of the scheme if the authority names none.
std::string_view port_of(std::string_view authority, std::string_view scheme) {
  const auto colon = authority.rfind(':');
  const auto bracket = authority.rfind(']');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  const std::string_view port = has_port ? authority.substr(colon + 1) : std::string_view();
  if (!port.empty()) return port;
  return equal_ignoring_case(scheme, "https") ? "443" : "80";
}

bool is_own_origin(std::string_view origin, const Request& request, bool has_tls) {
  const auto mark = origin.find("://");
  if (mark == std::string_view::npos) return false;
  const std::string_view scheme = origin.substr(0, mark);
  const std::string_view page = origin.substr(mark + 3);
  const std::string_view asked = request.header("Host");
  const bool is_secure = has_tls || equal_ignoring_case(request.header("X-Forwarded-Proto"), "https");
  const std::string_view own_scheme = is_secure ? "https" : "http";
  const auto from = host_of(page);
  const auto to = host_of(asked);
  return from && to && equal_ignoring_case(*from, *to) && equal_ignoring_case(scheme, own_scheme) &&
         port_of(page, own_scheme) == port_of(asked, own_scheme);
}

}  // namespace

Requester requester_of(const Request& request, bool has_tls) {
  // Origin says more than Sec-Fetch-Site, which some browsers set amiss for WebSockets.
  if (request.has_header("Origin"))
    return is_own_origin(request.header("Origin"), request, has_tls) ? Requester::kOwn
                                                                     : Requester::kForeignOrigin;
  const std::string_view site = request.header("Sec-Fetch-Site");
  // A page of another port of the same host is of the same site, too.
  const bool is_own =
      site.empty() || equal_ignoring_case(site, "same-origin") || equal_ignoring_case(site, "none");
  return is_own ? Requester::kOwn : Requester::kForeignPage;
}

}  // namespace ferry::http
