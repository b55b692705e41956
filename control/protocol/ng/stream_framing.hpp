// Where a message of an NG stream ends (NG reference, section 1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry::ng {

/// What is known of the message at the front of a stream.
enum class Framing : std::uint8_t {
  kIncomplete,
  kWhole,
  kBroken,   // where it ends nobody can know
  kTooLarge  // CTL-4
};

/// Finds the end of `cookie SP document`, bencode or JSON. Each octet is looked at once, however small the
/// pieces are that it comes in. It checks brackets and lengths; whether the document is good is for its
/// decoder. Pure.
class StreamFraming {
 public:
  static constexpr std::size_t kMaxCookie = 1024;
  static constexpr std::size_t kMaxDocument = 256 * 1024;
  static constexpr std::size_t kMaxDepth = 16;

  /// `text` is all that has come since the message began: what was there before must be the same.
  Framing look(std::string_view text);
  /// Octets of a whole message.
  [[nodiscard]] std::size_t size() const { return at_; }
  /// For the next message.
  void reset() { *this = StreamFraming(); }

 private:
  enum class Inside : std::uint8_t { kDocument, kLength, kInteger, kString, kEscape };
  /// One octet of the document. kIncomplete = it goes on.
  Framing step_json(char octet);
  Framing step_bencode(char octet);
  /// Something of bencode is whole; the document is, if nothing is open.
  [[nodiscard]] Framing close_one() const { return depth_ == 0 ? Framing::kWhole : Framing::kIncomplete; }

  std::size_t at_ = 0;
  std::size_t document_ = 0;  // where it begins; 0 = the cookie is not over
  std::size_t depth_ = 0;
  std::size_t length_ = 0;  // of the bencode string that is being read; what is left of it
  unsigned digits_ = 0;
  Inside inside_ = Inside::kDocument;
  bool is_json_ = false;
};

}  // namespace ferry::ng
