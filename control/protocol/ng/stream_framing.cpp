// SPDX-License-Identifier: Apache-2.0
// Finds the end of a message octet by octet, without decoding it.
//
// For JSON it counts brackets outside of strings. For bencode it reads the lengths of strings and skips their
// octets, so that brackets in them do not count. All state is kept between calls, and each octet is looked at
// once.

#include "control/protocol/ng/stream_framing.hpp"

#include <algorithm>

namespace ferry::ng {

namespace {
/// The sign is counted, too.
constexpr unsigned kMaxIntegerDigits = 20;
constexpr unsigned kMaxLengthDigits = 7;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
}  // namespace

Framing StreamFraming::look(std::string_view text) {
  if (document_ == 0) {
    const auto blank = text.find(' ', at_);
    at_ = std::min(blank, text.size());
    if (at_ > kMaxCookie) return Framing::kTooLarge;
    if (blank == std::string_view::npos) return Framing::kIncomplete;
    document_ = ++at_;
  }
  while (at_ < text.size() && at_ - document_ < kMaxDocument) {
    if (at_ == document_) is_json_ = text[at_] == '{';
    if (!is_json_ && inside_ == Inside::kString) {
      const std::size_t taken = std::min(length_, text.size() - at_);
      at_ += taken;
      length_ -= taken;
      if (length_ != 0) break;
      inside_ = Inside::kDocument;
      if (close_one() == Framing::kWhole) return Framing::kWhole;
      continue;
    }
    const char octet = text[at_++];
    const Framing found = is_json_ ? step_json(octet) : step_bencode(octet);
    if (found != Framing::kIncomplete) return found;
  }
  return at_ - document_ >= kMaxDocument ? Framing::kTooLarge : Framing::kIncomplete;
}

Framing StreamFraming::step_json(char octet) {
  if (inside_ == Inside::kEscape) {
    inside_ = Inside::kString;
  } else if (inside_ == Inside::kString) {
    if (octet == '\\') inside_ = Inside::kEscape;
    if (octet == '"') inside_ = Inside::kDocument;
  } else if (octet == '"') {
    inside_ = Inside::kString;
  } else if (octet == '{' || octet == '[') {
    if (++depth_ > kMaxDepth) return Framing::kBroken;
  } else if (octet == '}' || octet == ']') {
    if (--depth_ == 0) return Framing::kWhole;
  }
  return Framing::kIncomplete;
}

Framing StreamFraming::step_bencode(char octet) {
  switch (inside_) {
    case Inside::kInteger:
      if (octet == 'e') {
        inside_ = Inside::kDocument;
        return close_one();
      }
      return (is_digit(octet) || octet == '-') && ++digits_ <= kMaxIntegerDigits ? Framing::kIncomplete
                                                                                 : Framing::kBroken;
    case Inside::kLength:
      if (octet == ':') {
        if (length_ > kMaxDocument) return Framing::kTooLarge;
        inside_ = length_ == 0 ? Inside::kDocument : Inside::kString;
        return length_ == 0 ? close_one() : Framing::kIncomplete;
      }
      if (!is_digit(octet) || ++digits_ > kMaxLengthDigits) return Framing::kBroken;
      length_ = length_ * 10 + static_cast<std::size_t>(octet - '0');
      return Framing::kIncomplete;
    default:
      break;
  }
  digits_ = 0;
  if (octet == 'd' || octet == 'l') return ++depth_ > kMaxDepth ? Framing::kBroken : Framing::kIncomplete;
  if (octet == 'e') return depth_ == 0 ? Framing::kBroken : (--depth_, close_one());
  if (octet == 'i') {
    inside_ = Inside::kInteger;
    return Framing::kIncomplete;
  }
  if (!is_digit(octet)) return Framing::kBroken;
  inside_ = Inside::kLength;
  length_ = static_cast<std::size_t>(octet - '0');
  digits_ = 1;
  return Framing::kIncomplete;
}

}  // namespace ferry::ng
