// JSON whose texts come from the network, for people and for machines (CTL-14, RFC 8259 section 8.1).
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// For people: every text in it, names of members included, as `printable` writes it.
void make_printable(nlohmann::json& document);

/// For machines: texts stay as they are, but JSON cannot hold one that is no UTF-8. Such a text, and no
/// other, becomes what `printable` makes of it; commands accept that form.
void make_utf8(nlohmann::json& document);

/// One line, or indented lines, of ASCII: what a terminal could take for a command is `\uNNNN`, which keeps
/// the value. Texts that are no UTF-8 become what `make_utf8` makes of them.
[[nodiscard]] std::string to_ascii(nlohmann::json document, int indent = -1);

/// A text as a JSON string with its quotation marks, in the same way.
[[nodiscard]] std::string to_ascii_string(std::string_view text);

}  // namespace ferry
