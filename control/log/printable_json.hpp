// SPDX-License-Identifier: Apache-2.0
// Makes JSON safe whose texts come from the network, for people and for machines (CTL-14, RFC 8259 section
// 8.1). Pure; safe on any thread.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// For people: passes every text, names of members included, through `printable`.
void make_printable(nlohmann::json& document);

/// For machines: makes texts that are no UTF-8 printable, because JSON cannot hold them. All other texts stay
/// as they are. Commands accept the printable form.
void make_utf8(nlohmann::json& document);

/// Writes JSON in ASCII, on one line or with `indent` blanks for each level. Characters that a terminal could
/// take for a command become `\uNNNN`, which keeps the value. Texts that are no UTF-8 are changed as by
/// `make_utf8`.
[[nodiscard]] std::string to_ascii(nlohmann::json document, int indent = -1);

/// Writes one text as a JSON string with its quotation marks, in the same way.
[[nodiscard]] std::string to_ascii_string(std::string_view text);

}  // namespace ferry
