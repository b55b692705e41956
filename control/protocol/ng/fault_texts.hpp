// SPDX-License-Identifier: Apache-2.0
// The texts that NG has for what is wrong with a request. Clients compare them
// (docs/reference/ng.md#errors), so they are part of the protocol, with their spellings.
#pragma once

#include "control/request/fault.hpp"
#include "control/value/value.hpp"

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace ferry::ng {

struct FaultText {
  RequestFault fault{};
  /// With `{name}`, `{number}` and `{denial}` for what the error has.
  std::string_view text{};
};
/// The text of each fault, unless `fault_spellings` has another one for the command.
[[nodiscard]] const std::array<FaultText, kRequestFaults>& fault_texts();

/// Another spelling of `fault` in the replies to one command.
struct FaultSpelling {
  std::string_view command{};
  RequestFault fault{};
  std::string_view text{};
};
[[nodiscard]] std::span<const FaultSpelling> fault_spellings();

/// The text of what `error` says first, in a reply to `command`.
[[nodiscard]] std::string text_of(const RequestError& error, std::string_view command);

/// The reply to a command that was refused. `knows_load_limit`: the client announced that it understands
/// `load limit`.
[[nodiscard]] Dict refusal_reply(const RequestError& error, std::string_view command, bool knows_load_limit);

}  // namespace ferry::ng
