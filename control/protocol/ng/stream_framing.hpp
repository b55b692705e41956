// SPDX-License-Identifier: Apache-2.0
// Finds where a message of an NG stream ends (docs/reference/ng.md#transports).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry::ng {

/// State of the message at the front of a stream.
enum class Framing : std::uint8_t {
  kIncomplete,
  kWhole,
  /// The document is broken, so that nobody can know where it ends.
  kBroken,
  /// More than a message may have (CTL-4).
  kTooLarge
};

/// Finds the end of a message `cookie SP document` in bencode or JSON. It looks at each octet once, however
/// small the pieces are in which the message comes. It checks brackets and lengths only; the decoder checks
/// the document. Pure.
class StreamFraming {
 public:
  /// Octets of a cookie and of a document, and nesting of a document, at most.
  static constexpr std::size_t kMaxCookie = 1024;
  static constexpr std::size_t kMaxDocument = 256 * 1024;
  static constexpr std::size_t kMaxDepth = 16;

  /// `text` is all that has come since the message began. What was there at the last call must be unchanged.
  Framing look(std::string_view text);
  /// Octets of a message that is `kWhole`.
  [[nodiscard]] std::size_t size() const { return at_; }
  /// Begins anew, for the next message.
  void reset() { *this = StreamFraming(); }

 private:
  enum class Inside : std::uint8_t { kDocument, kLength, kInteger, kString, kEscape };
  /// Takes one octet of the document. kIncomplete: the document goes on.
  Framing step_json(char octet);
  Framing step_bencode(char octet);
  /// An element of bencode is complete; if nothing is open, the document is, too.
  [[nodiscard]] Framing close_one() const { return depth_ == 0 ? Framing::kWhole : Framing::kIncomplete; }

  /// Octets that were looked at.
  std::size_t at_ = 0;
  /// Where the document begins; 0 = the cookie is not complete.
  std::size_t document_ = 0;
  std::size_t depth_ = 0;
  /// Length of the bencode string that is read; inside the string, the octets that are left.
  std::size_t length_ = 0;
  /// Digits of the number that is read.
  unsigned digits_ = 0;
  Inside inside_ = Inside::kDocument;
  bool is_json_ = false;
};

}  // namespace ferry::ng
