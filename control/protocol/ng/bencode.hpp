// SPDX-License-Identifier: Apache-2.0
// Reads and writes bencode: integers, byte strings, lists and dictionaries. It is lenient in what it reads
// (docs/reference/ng.md#encodings). Pure; safe on any thread.
#pragma once

#include "control/value/value.hpp"
#include "relay/base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace ferry::ng {

/// Bounds of one message (CTL-4): octets, nesting, and number of elements.
struct DecodeLimits {
  std::size_t bytes = 256 * 1024;
  std::size_t depth = 16;
  std::size_t elements = 4096;
  /// If true, the end of the text closes lists and dictionaries that are still open, as present relays do
  /// with datagrams.
  bool close_at_end = false;
};

/// Why a message cannot be decoded.
enum class DecodeError : std::uint8_t { kIncomplete, kMalformed, kTooDeep, kTooManyElements, kTooLarge };
/// Name of the error for tests and logs.
std::string_view to_string(DecodeError error) noexcept;

/// A decoded document. It owns its texts.
struct Decoded {
  Value value;
  /// Octets that the document takes; later ones are not looked at.
  std::size_t size = 0;
  /// Number of repeated dictionary keys, of which the last value counts.
  std::size_t repeated_keys = 0;
};

/// Decodes the document at the start of `text`. It is iterative, so nesting costs no stack. `kIncomplete`
/// means that more octets could complete the document: streams wait for them, a datagram is malformed.
[[nodiscard]] Result<Decoded, DecodeError> decode_bencode(std::string_view text,
                                                          const DecodeLimits& limits = {});

/// Encodes a value. Dictionaries keep their order.
[[nodiscard]] std::string encode_bencode(const Value& value);

}  // namespace ferry::ng
