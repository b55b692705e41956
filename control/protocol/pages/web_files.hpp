// SPDX-License-Identifier: Apache-2.0
// The files of the web page, which are linked into the program.
#pragma once

#include "control/protocol/http/command_handler.hpp"

#include <optional>
#include <string_view>

namespace ferry::pages {

/// The file at `path`, `/` or below `/web/`; nothing if there is no such file. The files say nothing of
/// calls: the page asks the API for them. `asks_for_token` tells the page that the API wants the token of
/// http-token (RFC 9110 §11.6.1). The browser may load and ask nothing but this host, and takes no text for
/// markup (CTL-14). Pure; any thread.
[[nodiscard]] std::optional<http::Reply> web_file(std::string_view path, bool asks_for_token);

}  // namespace ferry::pages
