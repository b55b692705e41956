// bencode: integers, byte strings, lists, dictionaries. Lenient in what it reads (NG reference, section 2).
#pragma once

#include "control/value/value.hpp"
#include "relay/base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace ferry::ng {

/// Bounds of one message (media-security CTL-4).
struct DecodeLimits {
  std::size_t bytes = 256 * 1024;
  std::size_t depth = 16;
  std::size_t elements = 4096;
  /// The end of the text closes what is still open, as present relays do with datagrams.
  bool close_at_end = false;
};

enum class DecodeError : std::uint8_t { kIncomplete, kMalformed, kTooDeep, kTooManyElements, kTooLarge };
std::string_view to_string(DecodeError error) noexcept;

struct Decoded {
  Value value;
  /// Octets of the document; what follows is not looked at.
  std::size_t size = 0;
  /// Repeated dictionary keys; the last one won.
  std::size_t repeated_keys = 0;
};

/// Decodes the document at the start of `text`. Iterative: depth costs no stack. `kIncomplete` means that
/// more octets could complete it (streams wait, datagrams are malformed).
[[nodiscard]] Result<Decoded, DecodeError> decode_bencode(std::string_view text,
                                                          const DecodeLimits& limits = {});

[[nodiscard]] std::string encode_bencode(const Value& value);

}  // namespace ferry::ng
