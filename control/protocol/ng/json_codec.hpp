// SPDX-License-Identifier: Apache-2.0
// Reads and writes JSON documents as Values: booleans become 0 and 1, and null becomes nothing
// (docs/reference/ng.md#encodings). Pure; safe on any thread.
#pragma once

#include "control/protocol/ng/bencode.hpp"

namespace ferry::ng {

/// Decodes the JSON document that `text` consists of. Octets in strings that are no UTF-8 are kept. `limits`
/// are those of bencode; `close_at_end` has no effect.
[[nodiscard]] Result<Decoded, DecodeError> decode_json(std::string_view text,
                                                       const DecodeLimits& limits = {});

/// Encodes a value. Octets that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string encode_json(const Value& value);

}  // namespace ferry::ng
