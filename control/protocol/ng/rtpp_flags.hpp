// The `rtpp-flags` string (NG reference, section 12): one text that holds keys, lists and flags.
#pragma once

#include "control/value/value.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ferry::ng {

/// The words of one string. Nothing is an error: what cannot be read is left out.
struct RtppFlags {
  Dict keys;
  std::vector<std::string> flags;
};

/// Reads `word key=value key=[a b] key=[k1=v k2=[x y]]`, nesting bounded.
[[nodiscard]] RtppFlags parse_rtpp_flags(std::string_view text);

/// `--` means `=`, `..` means a blank, inside codec specifications, SDP attributes and tags.
[[nodiscard]] std::string unescape(std::string_view text);

/// The bare transport words of such a string (`RTP/SAVP`, `SRTP`, `AVPF`, `DTLS` …), combined bit by bit.
class TransportWords {
 public:
  /// False if the word is none of them.
  bool take(std::string_view word);
  /// The protocol of all words taken, or empty if there was none.
  [[nodiscard]] std::string protocol() const;

 private:
  bool any_ = false;
  bool secure_ = false;
  bool feedback_ = false;
  bool dtls_ = false;
};

}  // namespace ferry::ng
