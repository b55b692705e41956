// What `a=rtpmap`, `a=fmtp` and static payload types say of audio.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/audio/codec.hpp"

#include <optional>
#include <string_view>

namespace ferry {

/// The format of a static payload type that is audio (RFC 3551 §6). Nothing for dynamic and unassigned ones,
/// and for video.
[[nodiscard]] std::optional<AudioFormat> static_audio_format(PayloadType type);

/// The value of one parameter of `a=fmtp`, for example `octet-align`; "1" if it stands without a value, empty
/// if it is not there. Borrowed from `parameters`.
[[nodiscard]] std::string_view format_parameter(std::string_view parameters, std::string_view name) noexcept;

/// The value of a parameter that is a decimal number. Nothing if it is not there or is something else.
[[nodiscard]] std::optional<std::uint32_t> format_number(std::string_view parameters,
                                                         std::string_view name) noexcept;

}  // namespace ferry
