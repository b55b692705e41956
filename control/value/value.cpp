// SPDX-License-Identifier: Apache-2.0
#include "control/value/value.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace ferry {

Dict::Dict() = default;
Dict::Dict(const Dict& other) = default;
Dict::Dict(Dict&& other) noexcept = default;
Dict& Dict::operator=(const Dict& other) = default;
Dict& Dict::operator=(Dict&& other) noexcept = default;
Dict::~Dict() = default;

bool Dict::empty() const { return entries_.empty(); }
std::size_t Dict::size() const { return entries_.size(); }
const DictEntry* Dict::begin() const { return entries_.data(); }
const DictEntry* Dict::end() const { return entries_.data() + entries_.size(); }

Value& Dict::set(std::string key, Value value) {
  if (Value* known = find(key)) {
    *known = std::move(value);
    return *known;
  }
  return entries_.emplace_back(DictEntry{std::move(key), std::move(value)}).value;
}

void Dict::reserve(std::size_t members) { entries_.reserve(members); }

const Value* Dict::find(std::string_view key) const {
  const auto found = std::ranges::find(entries_, key, &DictEntry::key);
  return found == entries_.end() ? nullptr : &found->value;
}

Value* Dict::find(std::string_view key) { return const_cast<Value*>(std::as_const(*this).find(key)); }

bool Dict::operator==(const Dict& other) const { return entries_ == other.entries_; }

std::optional<std::int64_t> Value::as_integer(bool based) const {
  if (const auto* number = integer()) return *number;
  const auto* text = string();
  if (text == nullptr) return std::nullopt;
  std::string_view digits = *text;
  int base = 10;
  if (based && digits.starts_with("0x")) {
    base = 16;
    digits.remove_prefix(2);
    // `from_chars` would accept a sign behind the base.
    if (digits.starts_with('-')) return std::nullopt;
  } else if (based && digits.size() > 1 && digits.starts_with('0')) {
    base = 8;
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace ferry
