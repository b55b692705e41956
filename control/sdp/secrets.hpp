// SPDX-License-Identifier: Apache-2.0
// Removes secrets from SDP for records and logs: keys (RFC 4568) and passwords (RFC 8839).
#pragma once

#include <string>
#include <string_view>

namespace ferry::sdp {

/// Returns the body with `k=`, `a=crypto` and `a=ice-pwd` lines cut off behind their names. It reads lines
/// exactly as the parser does, however a device writes them, so that no key is in use that would be shown
/// here. Pure.
[[nodiscard]] std::string without_secrets(std::string_view body);

}  // namespace ferry::sdp
