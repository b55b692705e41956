// JSON documents as Values: booleans are 0/1, null is nothing (NG reference, section 2).
#pragma once

#include "control/protocol/ng/bencode.hpp"

namespace ferry::ng {

/// Decodes one JSON document that is the whole of `text`. Octets that are no UTF-8 are kept in strings.
[[nodiscard]] Result<Decoded, DecodeError> decode_json(std::string_view text,
                                                       const DecodeLimits& limits = {});

/// Strings that are no UTF-8 are written with U+FFFD in place of the bad octets.
[[nodiscard]] std::string encode_json(const Value& value);

}  // namespace ferry::ng
