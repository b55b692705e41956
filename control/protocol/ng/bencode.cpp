// SPDX-License-Identifier: Apache-2.0
// Decodes without recursion: `open_` is the stack of lists and dictionaries that are not closed. A value is
// finished when it is a number or a string, or when `e` closes a container. It then goes into the innermost
// open container, or is the result.

#include "control/protocol/ng/bencode.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <vector>

namespace ferry::ng {

std::string_view to_string(DecodeError error) noexcept {
  switch (error) {
    case DecodeError::kIncomplete:
      return "incomplete";
    case DecodeError::kMalformed:
      return "malformed";
    case DecodeError::kTooDeep:
      return "nested too deep";
    case DecodeError::kTooManyElements:
      return "too many elements";
    case DecodeError::kTooLarge:
      return "too large";
  }
  return "unknown";
}

namespace {

/// A list or dictionary that is being filled.
struct Open {
  Value container;
  // For dictionaries: the key that waits for its value.
  std::optional<std::string> key;
};

/// Members of a usual request, and elements of its lists.
constexpr std::size_t kUsualMembers = 12;
constexpr std::size_t kUsualElements = 2;
/// How deep lists and dictionaries stand in each other in a usual request.
constexpr std::size_t kUsualDepth = 4;

class Decoder {
 public:
  Decoder(std::string_view text, const DecodeLimits& limits) : text_(text), limits_(limits) {
    open_.reserve(kUsualDepth);
  }

  Result<Decoded, DecodeError> run() {
    if (text_.size() > limits_.bytes) return fail(DecodeError::kTooLarge);
    while (true) {
      const bool close = at_ >= text_.size() && limits_.close_at_end && !open_.empty();
      if (at_ >= text_.size() && !close) return fail(DecodeError::kIncomplete);
      const char c = close ? 'e' : text_[at_];
      std::optional<Value> finished;
      if (c == 'd' || c == 'l') {
        ++at_;
        if (open_.size() == limits_.depth) return fail(DecodeError::kTooDeep);
        if (!open_.empty() && open_.back().container.dict() != nullptr && !open_.back().key) {
          // Keys are strings.
          return fail(DecodeError::kMalformed);
        }
        open_.push_back({c == 'd' ? Value(Dict{}) : Value(List{}), std::nullopt});
        // A container that grows member by member allocates over and over. Only the dictionary of the request
        // gets much room, because a message may have thousands of containers.
        if (List* list = open_.back().container.list())
          list->reserve(kUsualElements);
        else if (open_.size() == 1)
          open_.back().container.dict()->reserve(kUsualMembers);
        continue;
      }
      if (c == 'e') {
        if (open_.empty() || open_.back().key) return fail(DecodeError::kMalformed);
        if (!close) ++at_;
        finished = std::move(open_.back().container);
        open_.pop_back();
      } else if (c == 'i') {
        auto number = read_integer();
        if (!number) return fail(number.error());
        finished = *number;
      } else if (c >= '0' && c <= '9') {
        auto string = read_string();
        if (!string) return fail(string.error());
        if (!open_.empty() && open_.back().container.dict() != nullptr && !open_.back().key) {
          open_.back().key = std::move(*string);
          continue;
        }
        finished = std::move(*string);
      } else {
        return fail(DecodeError::kMalformed);
      }
      if (++elements_ > limits_.elements) return fail(DecodeError::kTooManyElements);
      if (open_.empty()) return Decoded{std::move(*finished), at_, repeated_};
      if (!store(std::move(*finished))) return fail(DecodeError::kMalformed);
    }
  }

 private:
  bool store(Value value) {
    Open& open = open_.back();
    if (List* list = open.container.list()) {
      list->push_back(std::move(value));
      return true;
    }
    if (!open.key) return false;
    if (open.container.dict()->find(*open.key) != nullptr) ++repeated_;
    open.container.dict()->set(std::move(*open.key), std::move(value));
    open.key.reset();
    return true;
  }

  Result<Value, DecodeError> read_integer() {
    const auto end = text_.find('e', at_);
    // The longest 64-bit number has 20 characters. If no end is in sight by then, none will come.
    if (end == std::string_view::npos) {
      return fail(text_.size() - at_ > 21 ? DecodeError::kMalformed : DecodeError::kIncomplete);
    }
    std::int64_t number = 0;
    const char* last = text_.data() + end;
    const auto [stop, error] = std::from_chars(text_.data() + at_ + 1, last, number);
    if (error != std::errc{} || stop != last) return fail(DecodeError::kMalformed);
    at_ = end + 1;
    return Value(number);
  }

  Result<std::string, DecodeError> read_string() {
    std::uint64_t length = 0;
    const char* end = text_.data() + text_.size();
    const auto [stop, error] = std::from_chars(text_.data() + at_, end, length);
    if (error != std::errc{}) return fail(DecodeError::kMalformed);
    if (stop == end) return fail(DecodeError::kIncomplete);
    if (*stop != ':') return fail(DecodeError::kMalformed);
    if (length > limits_.bytes) return fail(DecodeError::kMalformed);
    const std::size_t start = static_cast<std::size_t>(stop - text_.data()) + 1;
    if (length > text_.size() - start) return fail(DecodeError::kIncomplete);
    at_ = start + length;
    return std::string(text_.substr(start, length));
  }

  std::string_view text_;
  const DecodeLimits& limits_;
  std::size_t at_ = 0;
  std::size_t elements_ = 0;
  std::size_t repeated_ = 0;
  std::vector<Open> open_;
};

void append_number(std::string& out, std::int64_t number) {
  // The longest 64-bit number has 20 characters.
  std::array<char, 24> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end);
}

void append_string(std::string& out, std::string_view text) {
  append_number(out, static_cast<std::int64_t>(text.size()));
  out += ':';
  out += text;
}

/// Octets of a number in digits.
std::size_t digits_of(std::int64_t number) {
  std::size_t digits = number < 0 ? 2 : 1;
  while ((number /= 10) != 0) ++digits;
  return digits;
}

std::size_t size_of_string(std::string_view text) {
  return digits_of(static_cast<std::int64_t>(text.size())) + 1 + text.size();
}

/// Octets that `append` writes.
std::size_t size_of(const Value& value) {
  if (const auto* number = value.integer()) return digits_of(*number) + 2;
  if (const auto* text = value.string()) return size_of_string(*text);
  std::size_t size = 2;
  if (const auto* list = value.list()) {
    for (const Value& member : *list) size += size_of(member);
  } else if (const auto* dict = value.dict()) {
    for (const auto& [key, member] : *dict) size += size_of_string(key) + size_of(member);
  }
  return size;
}

void append(std::string& out, const Value& value) {
  if (const auto* number = value.integer()) {
    out += 'i';
    append_number(out, *number);
    out += 'e';
  } else if (const auto* text = value.string()) {
    append_string(out, *text);
  } else if (const auto* list = value.list()) {
    out += 'l';
    for (const Value& member : *list) append(out, member);
    out += 'e';
  } else if (const auto* dict = value.dict()) {
    out += 'd';
    for (const auto& [key, member] : *dict) {
      append_string(out, key);
      append(out, member);
    }
    out += 'e';
  }
}

}  // namespace

Result<Decoded, DecodeError> decode_bencode(std::string_view text, const DecodeLimits& limits) {
  return Decoder(text, limits).run();
}

std::string encode_bencode(const Value& value) {
  std::string out;
  out.reserve(size_of(value));
  append(out, value);
  return out;
}

}  // namespace ferry::ng
