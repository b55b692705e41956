// SPDX-License-Identifier: Apache-2.0
// Removes the addresses of parties from sentences of verdicts, before they go to the log (CTL-11).
#pragma once

#include <string>
#include <string_view>

namespace ferry::log {

/// Returns the sentence without the end of each IP address: `192.0.2.10:4000` becomes `192.0.x:4000`, and
/// `[2001:db8::1]:4000` becomes `[2001:db8:x]:4000`. What is left still tells inside from outside. All other
/// text stays. Pure.
[[nodiscard]] std::string mask_addresses(std::string_view sentence);

}  // namespace ferry::log
