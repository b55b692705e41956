// SPDX-License-Identifier: Apache-2.0
// Makes text from the network safe for a terminal, a log line or a text protocol, and converts it back
// (CTL-14).
#pragma once

#include <string>
#include <string_view>

namespace ferry {

/// Replaces each dangerous octet of `text` by `\xNN` in lower case and keeps everything else. Different texts
/// stay different. These are replaced:
/// - the control characters C0, DEL and U+0080–U+009F, and the backslash;
/// - the bidirectional controls U+061C, U+200E, U+200F, U+202A–U+202E and U+2066–U+2069;
/// - octets that are not UTF-8;
/// - the ASCII characters in `also`.
[[nodiscard]] std::string printable(std::string_view text, std::string_view also = {});

/// Reverses `printable`: each `\xNN`, with digits of either case, becomes its octet. Everything else stays,
/// also a backslash that does not begin such a form.
[[nodiscard]] std::string from_printable(std::string_view text);

/// True if the text is valid UTF-8 (RFC 3629 §4): no surrogates, no form that is longer than needed.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace ferry
