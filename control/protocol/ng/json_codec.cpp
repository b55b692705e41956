// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/ng/json_codec.hpp"

#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

namespace ferry::ng {

namespace {

using nlohmann::json;

/// Builds Values while the library parses, so that the bounds hold before memory is used.
class Builder : public nlohmann::json_sax<json> {
 public:
  explicit Builder(const DecodeLimits& limits) : limits_(limits) {}

  bool null() override { return store(std::nullopt); }
  bool boolean(bool value) override { return store(Value(std::int64_t{value})); }
  bool number_integer(number_integer_t value) override { return store(Value(std::int64_t{value})); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) return refuse(DecodeError::kMalformed);
    return store(Value(static_cast<std::int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t&) override {
    if (!(value > -9.0e18 && value < 9.0e18)) return refuse(DecodeError::kMalformed);
    return store(Value(static_cast<std::int64_t>(value)));
  }
  bool string(string_t& value) override { return store(Value(std::move(value))); }
  bool binary(binary_t&) override { return refuse(DecodeError::kMalformed); }
  bool start_object(std::size_t) override { return open(Value(Dict{})); }
  bool key(string_t& value) override {
    open_.back().key = std::move(value);
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Value(List{})); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return refuse(DecodeError::kMalformed);
  }

  [[nodiscard]] DecodeError error() const { return error_; }
  Decoded take() { return {std::move(root_), 0, repeated_}; }

 private:
  struct Open {
    Value container;
    std::string key;
  };
  bool refuse(DecodeError error) {
    error_ = error;
    return false;
  }
  bool open(Value container) {
    if (open_.size() == limits_.depth) return refuse(DecodeError::kTooDeep);
    open_.push_back({std::move(container), {}});
    return true;
  }
  bool close() {
    Value finished = std::move(open_.back().container);
    open_.pop_back();
    return store(std::move(finished));
  }
  bool store(std::optional<Value> value) {
    if (++elements_ > limits_.elements) return refuse(DecodeError::kTooManyElements);
    // null counts as if it were not there.
    if (!value) return true;
    if (open_.empty()) {
      root_ = std::move(*value);
    } else if (List* list = open_.back().container.list()) {
      list->push_back(std::move(*value));
    } else {
      Dict& dict = *open_.back().container.dict();
      if (dict.find(open_.back().key) != nullptr) ++repeated_;
      dict.set(std::move(open_.back().key), std::move(*value));
    }
    return true;
  }

  const DecodeLimits& limits_;
  DecodeError error_ = DecodeError::kMalformed;
  Value root_;
  std::vector<Open> open_;
  std::size_t elements_ = 0;
  std::size_t repeated_ = 0;
};

void append_string(std::string& out, const std::string& text) {
  // The library's writer escapes and repairs texts. It is used for strings only; the rest is structure.
  out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

void append_json(std::string& out, const Value& value) {
  if (const auto* number = value.integer()) {
    out += std::to_string(*number);
  } else if (const auto* text = value.string()) {
    append_string(out, *text);
  } else if (const auto* list = value.list()) {
    out += '[';
    bool first = true;
    for (const Value& member : *list) {
      if (!std::exchange(first, false)) out += ',';
      append_json(out, member);
    }
    out += ']';
  } else if (const auto* dict = value.dict()) {
    out += '{';
    bool first = true;
    for (const auto& [key, member] : *dict) {
      if (!std::exchange(first, false)) out += ',';
      append_string(out, key);
      out += ':';
      append_json(out, member);
    }
    out += '}';
  }
}

}  // namespace

Result<Decoded, DecodeError> decode_json(std::string_view text, const DecodeLimits& limits) {
  if (text.size() > limits.bytes) return fail(DecodeError::kTooLarge);
  Builder builder(limits);
  if (!json::sax_parse(text.begin(), text.end(), &builder)) return fail(builder.error());
  Decoded decoded = builder.take();
  decoded.size = text.size();
  return decoded;
}

std::string encode_json(const Value& value) {
  std::string out;
  append_json(out, value);
  return out;
}

}  // namespace ferry::ng
