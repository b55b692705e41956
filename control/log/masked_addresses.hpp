// Sentences of verdicts name addresses of parties; a log must not (CTL-11).
#pragma once

#include <string>
#include <string_view>

namespace ferry::log {

/// The sentence with the end of each IP address left out: `192.0.2.10:4000` becomes `192.0.x:4000`,
/// `[2001:db8::1]:4000` becomes `[2001:db8:x]:4000`. What is left tells inside from outside. All else stays.
[[nodiscard]] std::string mask_addresses(std::string_view sentence);

}  // namespace ferry::log
