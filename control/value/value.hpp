// SPDX-License-Identifier: Apache-2.0
// The data model of requests and replies: what bencode and JSON have in common. Values own their data. Not
// safe for two threads at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ferry {

class Value;
struct DictEntry;
using List = std::vector<Value>;

/// Dictionary in the order of insertion. A repeated key keeps its place and takes the last value (CTL-4).
class Dict {
 public:
  /// Adds or replaces a member, and returns the stored value.
  Value& set(std::string key, Value value);
  /// Makes room for this many members, so that the dictionary need not allocate for each of the first ones.
  void reserve(std::size_t members);
  /// The member with this key; null if there is none. Valid until the dictionary changes.
  [[nodiscard]] const Value* find(std::string_view key) const;
  [[nodiscard]] Value* find(std::string_view key);
  /// Number and order of the members.
  [[nodiscard]] bool empty() const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] const DictEntry* begin() const;
  [[nodiscard]] const DictEntry* end() const;
  bool operator==(const Dict& other) const;

  Dict();
  Dict(const Dict& other);
  Dict(Dict&& other) noexcept;
  Dict& operator=(const Dict& other);
  Dict& operator=(Dict&& other) noexcept;
  ~Dict();

 private:
  std::vector<DictEntry> entries_;
};

/// An integer, a byte string, a list or a dictionary; 0 by default.
class Value {
 public:
  Value() = default;
  Value(std::int64_t number) : data_(number) {}       // NOLINT(google-explicit-constructor)
  Value(int number) : data_(std::int64_t{number}) {}  // NOLINT(google-explicit-constructor)
  Value(std::uint64_t number)
      : data_(static_cast<std::int64_t>(number)) {}             // NOLINT(google-explicit-constructor)
  Value(std::uint32_t number) : data_(std::int64_t{number}) {}  // NOLINT(google-explicit-constructor)
  Value(std::string text) : data_(std::move(text)) {}           // NOLINT(google-explicit-constructor)
  Value(std::string_view text) : data_(std::string(text)) {}    // NOLINT(google-explicit-constructor)
  Value(const char* text) : data_(std::string(text)) {}         // NOLINT(google-explicit-constructor)
  Value(List list) : data_(std::move(list)) {}                  // NOLINT(google-explicit-constructor)
  Value(Dict dict) : data_(std::move(dict)) {}                  // NOLINT(google-explicit-constructor)

  /// The data if the value has that type, else null.
  [[nodiscard]] const std::int64_t* integer() const { return std::get_if<std::int64_t>(&data_); }
  [[nodiscard]] const std::string* string() const { return std::get_if<std::string>(&data_); }
  [[nodiscard]] const List* list() const { return std::get_if<List>(&data_); }
  [[nodiscard]] const Dict* dict() const { return std::get_if<Dict>(&data_); }
  [[nodiscard]] List* list() { return std::get_if<List>(&data_); }
  [[nodiscard]] Dict* dict() { return std::get_if<Dict>(&data_); }

  /// The integer, or the number that a string spells completely; nothing for other values. Strings are
  /// decimal; with `based` they may begin with 0x (hexadecimal) or 0 (octal); such numbers have no sign.
  [[nodiscard]] std::optional<std::int64_t> as_integer(bool based = false) const;

  bool operator==(const Value& other) const = default;

 private:
  std::variant<std::int64_t, std::string, List, Dict> data_;
};

/// One member of a dictionary.
struct DictEntry {
  std::string key;
  Value value;
  bool operator==(const DictEntry&) const = default;
};

}  // namespace ferry
