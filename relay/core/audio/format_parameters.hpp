// SPDX-License-Identifier: Apache-2.0
// The parameters of `a=fmtp`, one by one. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ferry {

/// The value of one parameter of `a=fmtp`, for example `octet-align`; "1" if it stands without a value, empty
/// if it is not there. Borrowed from `parameters`.
[[nodiscard]] std::string_view format_parameter(std::string_view parameters, std::string_view name) noexcept;

/// The value of a parameter that is a decimal number. Nothing if it is not there or is something else.
[[nodiscard]] std::optional<std::uint32_t> format_number(std::string_view parameters,
                                                         std::string_view name) noexcept;

}  // namespace ferry
