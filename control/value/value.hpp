// The data that requests and replies are made of: what bencode and JSON have in common.
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

/// Dictionary in insertion order. A repeated key keeps its place and takes the last value (CTL-4).
class Dict {
 public:
  /// Sets or replaces; returns the stored value.
  Value& set(std::string key, Value value);
  [[nodiscard]] const Value* find(std::string_view key) const;
  [[nodiscard]] Value* find(std::string_view key);
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

  [[nodiscard]] const std::int64_t* integer() const { return std::get_if<std::int64_t>(&data_); }
  [[nodiscard]] const std::string* string() const { return std::get_if<std::string>(&data_); }
  [[nodiscard]] const List* list() const { return std::get_if<List>(&data_); }
  [[nodiscard]] const Dict* dict() const { return std::get_if<Dict>(&data_); }
  [[nodiscard]] List* list() { return std::get_if<List>(&data_); }
  [[nodiscard]] Dict* dict() { return std::get_if<Dict>(&data_); }

  /// An integer, or a string that spells one completely (decimal; with `based` also 0x and 0 prefixes).
  [[nodiscard]] std::optional<std::int64_t> as_integer(bool based = false) const;

  bool operator==(const Value& other) const = default;

 private:
  std::variant<std::int64_t, std::string, List, Dict> data_;
};

struct DictEntry {
  std::string key;
  Value value;
  bool operator==(const DictEntry&) const = default;
};

}  // namespace ferry
