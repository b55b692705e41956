// SPDX-License-Identifier: Apache-2.0
// Reads the `rtpp-flags` string: one text that holds keys, lists and flags (docs/reference/ng.md#rtpp-flags).
// Pure; safe on any thread.
#pragma once

#include "control/value/value.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace ferry::ng {

/// The keys and flags of one string. Nothing is an error: text that cannot be read is left out.
struct RtppFlags {
  Dict keys;
  std::vector<std::string> flags;
};

/// Reads `word key=value key=[a b] key=[k1=v k2=[x y]]`. Nesting is bounded.
[[nodiscard]] RtppFlags parse_rtpp_flags(std::string_view text);

/// Undoes the escapes in codec specifications, SDP attributes and tags: `--` means `=`, and `..` means a
/// blank.
[[nodiscard]] std::string unescape(std::string_view text);

/// Collects the transport words of such a string (`RTP/SAVP`, `SRTP`, `AVPF`, `DTLS` …), each of which adds a
/// property.
class TransportWords {
 public:
  /// Takes a word. False if it is no transport word.
  bool take(std::string_view word);
  /// The protocol with all properties taken; empty if there was no such word.
  [[nodiscard]] std::string protocol() const;

 private:
  bool any_ = false;
  bool secure_ = false;
  bool feedback_ = false;
  bool dtls_ = false;
};

}  // namespace ferry::ng
