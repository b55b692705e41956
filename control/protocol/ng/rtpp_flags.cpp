// SPDX-License-Identifier: Apache-2.0
// Reads the flag string with a reader that never fails: each step takes what it can read and skips the rest.
// People write these strings by hand in scripts of a proxy, so blanks, commas and stray brackets are
// tolerated. Nesting is bounded, because a bracket calls the reader again.

#include "control/protocol/ng/rtpp_flags.hpp"

#include <algorithm>
#include <array>

namespace ferry::ng {

namespace {

constexpr unsigned kMaxDepth = 8;

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlanks), rest_.size())); }
  /// Skips blanks, and the commas that some people write between members.
  void skip_separators() {
    while (!rest_.empty() && (is_blank(rest_.front()) || rest_.front() == ',')) rest_.remove_prefix(1);
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  bool take(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// Cuts off the text up to a blank or one of `stops`.
  std::string_view word(std::string_view stops) {
    const auto end = std::min(rest_.find_first_of(std::string(kBlanks).append(stops)), rest_.size());
    const std::string_view found = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return found;
  }
  /// Cuts off a member of a list, without the commas around it.
  std::string_view member() {
    std::string_view found = word("]");
    while (found.ends_with(',')) found.remove_suffix(1);
    return found;
  }
  [[nodiscard]] bool next_is(char wanted) const { return rest_.starts_with(wanted); }

  /// Takes the `=` behind a key, with blanks around it. Blanks behind it belong to it only if there are some
  /// before it as well, or if a bracket follows; else the value is empty (`label= trust-address`).
  bool take_equals() {
    const std::string_view before = rest_;
    skip_blanks();
    const bool had_blanks = rest_.size() != before.size();
    if (!take('=')) {
      rest_ = before;
      return false;
    }
    const std::string_view behind = rest_;
    skip_blanks();
    if (!had_blanks && !next_is('[')) rest_ = behind;
    return true;
  }

  /// Reads what follows an opening bracket: a dictionary if the first member has the form `key=`, else a
  /// list.
  Value bracketed(unsigned depth) {
    List list;
    Dict dict;
    bool is_dict = false;
    for (bool first = true;; first = false) {
      skip_separators();
      if (at_end() || take(']')) break;
      if (first) is_dict = begins_with_key();
      if (!is_dict) {
        if (take('[')) {
          Value inner = depth < kMaxDepth ? bracketed(depth + 1) : Value();
          list.push_back(std::move(inner));
        } else {
          list.emplace_back(member());
        }
        continue;
      }
      const std::string_view key = word("=]");
      if (!take_equals()) continue;
      Value value;
      if (take('[')) {
        if (depth >= kMaxDepth) break;
        value = bracketed(depth + 1);
      } else {
        value = Value(member());
      }
      if (!key.empty()) dict.set(std::string(key), std::move(value));
    }
    if (is_dict) return Value(std::move(dict));
    return Value(std::move(list));
  }

 private:
  static constexpr std::string_view kBlanks = " \t\r\n";
  static bool is_blank(char c) { return kBlanks.find(c) != std::string_view::npos; }

  [[nodiscard]] bool begins_with_key() const {
    Reader ahead = *this;
    return !ahead.word("=]").empty() && ahead.take_equals();
  }

  std::string_view rest_;
};

}  // namespace

RtppFlags parse_rtpp_flags(std::string_view text) {
  RtppFlags result;
  Reader in(text);
  for (in.skip_blanks(); !in.at_end(); in.skip_blanks()) {
    const std::string_view word = in.word("=");
    if (!in.take_equals()) {
      if (!word.empty() && word.find_first_of("[]") == std::string_view::npos)
        result.flags.emplace_back(word);
      continue;
    }
    Value value;
    if (in.take('[')) {
      value = in.bracketed(0);
    } else {
      value = Value(in.word(""));
    }
    // A word without a name, stray brackets and `===` mean nothing.
    if (word.empty() || word.find_first_of("[]") != std::string_view::npos) continue;
    Value* known = result.keys.find(word);
    if (known == nullptr) {
      result.keys.set(std::string(word), std::move(value));
      continue;
    }
    // Values of a repeated key are collected in a list: `direction=a direction=b`.
    List list;
    if (const auto* before = known->list()) {
      list = *before;
    } else {
      list.push_back(*known);
    }
    if (const auto* more = value.list()) {
      list.insert(list.end(), more->begin(), more->end());
    } else {
      list.push_back(std::move(value));
    }
    *known = Value(std::move(list));
  }
  return result;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool twice = i + 1 < text.size() && text[i] == text[i + 1];
    if (twice && (text[i] == '-' || text[i] == '.')) {
      out += text[i] == '-' ? '=' : ' ';
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool TransportWords::take(std::string_view word) {
  enum class Bit : std::uint8_t { kKeep, kClear, kSet };
  struct Row {
    std::string_view word;
    Bit secure;
    Bit feedback;
    Bit dtls;
  };
  // A word sets or clears a property, or keeps it: `SRTP AVPF` says two things that add up.
  static constexpr std::array<Row, 11> kRows = {{
      {"RTP/AVP", Bit::kClear, Bit::kClear, Bit::kClear},
      {"RTP/AVPF", Bit::kClear, Bit::kSet, Bit::kClear},
      {"RTP/SAVP", Bit::kSet, Bit::kClear, Bit::kClear},
      {"RTP/SAVPF", Bit::kSet, Bit::kSet, Bit::kClear},
      {"UDP/TLS/RTP/SAVP", Bit::kSet, Bit::kClear, Bit::kSet},
      {"UDP/TLS/RTP/SAVPF", Bit::kSet, Bit::kSet, Bit::kSet},
      {"RTP", Bit::kClear, Bit::kKeep, Bit::kKeep},
      {"SRTP", Bit::kSet, Bit::kKeep, Bit::kKeep},
      {"AVP", Bit::kKeep, Bit::kClear, Bit::kKeep},
      {"AVPF", Bit::kKeep, Bit::kSet, Bit::kKeep},
      {"DTLS", Bit::kKeep, Bit::kKeep, Bit::kSet},
  }};
  const auto row = std::ranges::find(kRows, word, &Row::word);
  if (row == kRows.end()) return false;
  any_ = true;
  const auto apply = [](Bit bit, bool& target) {
    if (bit != Bit::kKeep) target = bit == Bit::kSet;
  };
  apply(row->secure, secure_);
  apply(row->feedback, feedback_);
  apply(row->dtls, dtls_);
  return true;
}

std::string TransportWords::protocol() const {
  if (!any_) return {};
  // DTLS keys SRTP, so it implies encryption.
  const bool secure = secure_ || dtls_;
  return std::string(dtls_ ? "UDP/TLS/" : "") + "RTP/" + (secure ? "SAVP" : "AVP") + (feedback_ ? "F" : "");
}

}  // namespace ferry::ng
