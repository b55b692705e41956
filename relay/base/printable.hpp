// Text from the network, made safe for a terminal, a log line or a text protocol (CTL-14), and back.
#pragma once

#include <string>
#include <string_view>

namespace ferry {

/// Writes as `\xNN` (lower case, an octet each): C0, DEL, the code points U+0080–U+009F, the bidirectional
/// controls U+061C, U+200E, U+200F, U+202A–U+202E and U+2066–U+2069, octets that are no UTF-8, the backslash,
/// and the characters of `also` (ASCII). Everything else stays. Different texts stay different.
[[nodiscard]] std::string printable(std::string_view text, std::string_view also = {});

/// The text that `printable` was given: each `\xNN` (either case) becomes its octet, and everything else
/// stays, as does a backslash that begins no such form.
[[nodiscard]] std::string from_printable(std::string_view text);

/// Whether the text is UTF-8 as RFC 3629 has it: no surrogates, nothing longer than needed.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace ferry
