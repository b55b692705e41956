// SPDX-License-Identifier: Apache-2.0
// Tells the requests of the relay's own page from those that pages of other sites let a browser send
// (CTL-13).
#pragma once

#include "control/protocol/http/request_reader.hpp"

namespace ferry::http {

/// Who lets a client send a request, as browsers tell it. A page cannot forge what is read here.
enum class Requester : std::uint8_t {
  /// The page of this listener, somebody who typed the address, or a program: these send neither Origin nor
  /// Sec-Fetch-Site.
  kOwn,
  /// A page with another scheme, host or port, by its Origin (RFC 6454 §7).
  kForeignOrigin,
  /// A page of another origin that the browser does not name: it fetches a script or an image, or follows a
  /// link (Fetch Metadata, Sec-Fetch-Site).
  kForeignPage
};

/// Reads from the headers who it is. `has_tls`: the client speaks HTTPS to the relay. Without TLS the page
/// may have been loaded by HTTPS from a proxy in front of the relay, if that proxy says so
/// (X-Forwarded-Proto). Pure.
[[nodiscard]] Requester requester_of(const Request& request, bool has_tls);

}  // namespace ferry::http
