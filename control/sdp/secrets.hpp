// Bodies for records and logs, without what must not be in them (keys of RFC 4568, passwords of RFC 8839).
#pragma once

#include <string>
#include <string_view>

namespace ferry::sdp {

/// The body with `k=`, `a=crypto` and `a=ice-pwd` lines cut off behind their names, however a device writes
/// them: as the parser reads them, so that no key is used that would be shown here.
[[nodiscard]] std::string without_secrets(std::string_view body);

}  // namespace ferry::sdp
