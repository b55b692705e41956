// SPDX-License-Identifier: Apache-2.0
// Lists of fields: each field of a record stands once, with its name, in a list that saving and loading
// share.
#pragma once

#include "control/record/values.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace ferry {

/// The members of `T` as a record holds them. A specialization has one function
///
///     template <class Archive, class Value> static void list(Archive& a, Value& v);
///
/// which names every member of `T`, in any order: `a("name", v.member)` for what is kept, and
/// `a.skip(v.member)` for what is not, with the reason. A test counts the members of `T` and fails when the
/// list leaves one out. `base_fields` stands for the members of a base class.
template <class T>
struct Fields;

template <class T>
concept HasFields = requires {
  sizeof(Fields<T>);
};

/// An object that says nothing is kept as if there were none: `Fields<T>::kEmptyIsNone` is true.
template <class T>
concept EmptyIsNone = HasFields<T> && requires {
  requires Fields<T>::kEmptyIsNone;
};

/// The list of the base class `Base` of `value`, in the same component.
template <class Base, class Archive, class Value>
void base_fields(Archive& archive, Value& value) {
  using Qualified = std::conditional_t<std::is_const_v<Value>, const Base, Base>;
  archive.base(static_cast<Qualified&>(value));
}

template <class T>
inline constexpr bool kIsPointed = false;
template <class T>
inline constexpr bool kIsPointed<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsPointed<std::unique_ptr<T>> = true;
template <class T>
inline constexpr bool kIsPointed<std::shared_ptr<const T>> = true;
/// Lists that keep themselves packed: the record has their elements.
template <class T>
concept IsPacked = requires(const T& list) {
  T(list.formats());
};
template <class T>
inline constexpr bool kIsArray = false;
template <class T, std::size_t kSize>
inline constexpr bool kIsArray<std::array<T, kSize>> = true;

/// Writes the fields of one component.
class RecordWriter {
 public:
  /// Borrows the context.
  explicit RecordWriter(const RecordContext& context) : context_(context) {}

  template <class T>
  void operator()(const char* name, const T& value) {
    fields_[name] = to_json(value);
  }
  /// A number that is at most `most`.
  template <class T>
  void bounded(const char* name, const T& value, T /*most*/) {
    (*this)(name, value);
  }
  /// The first `size` elements of an array.
  template <class T, std::size_t kSize>
  void prefix(const char* name, const std::array<T, kSize>& values, const std::uint8_t& size) {
    nlohmann::json& list = fields_[name] = nlohmann::json::array();
    for (std::size_t i = 0; i < size; ++i) list.push_back(to_json(values[i]));
  }
  /// Members that the record does not hold.
  template <class... T>
  void skip(const T&...) {}
  template <class Base>
  void base(const Base& value) {
    Fields<Base>::list(*this, value);
  }

  [[nodiscard]] nlohmann::json take() { return std::move(fields_); }

  template <class T>
  [[nodiscard]] nlohmann::json to_json(const T& value) const {
    if constexpr (HasFields<T>) {
      RecordWriter inner(context_);
      Fields<T>::list(inner, value);
      return inner.take();
    } else if constexpr (HasJsonValue<T>) {
      return JsonValue<T>::save(value, context_);
    } else if constexpr (kIsPointed<T>) {
      return value ? pointed_json(*value) : nlohmann::json();
    } else if constexpr (IsPacked<T>) {
      return to_json(value.formats());
    } else {
      nlohmann::json list = nlohmann::json::array();
      for (const auto& each : value) list.push_back(to_json(each));
      return list;
    }
  }

 private:
  template <class T>
  [[nodiscard]] nlohmann::json pointed_json(const T& value) const {
    nlohmann::json written = to_json(value);
    if constexpr (EmptyIsNone<T>) {
      if (written == to_json(T{})) return nullptr;
    }
    return written;
  }

  const RecordContext& context_;
  nlohmann::json fields_ = nlohmann::json::object();
};

/// Whether a component may lack fields.
enum class FieldsPresent : std::uint8_t {
  /// It is of the present version: a missing field is damage.
  kAll,
  /// It is of an older version: a missing field keeps its default.
  kSome,
};

/// Reads the fields of one component. Throws `std::exception` with a sentence about the first field that is
/// damaged.
class RecordReader {
 public:
  /// Borrows both.
  RecordReader(const nlohmann::json& fields, const RecordContext& context, FieldsPresent present)
      : fields_(fields), context_(context), present_(present) {}

  template <class T>
  void operator()(const char* name, T& value) {
    read(name, [&](const nlohmann::json& from) { this->from_json(from, value); });
  }
  template <class T>
  void bounded(const char* name, T& value, T most) {
    read(name, [&](const nlohmann::json& from) {
      this->from_json(from, value);
      if (value > most) throw std::out_of_range("the number is too large");
    });
  }
  template <class T, std::size_t kSize>
  void prefix(const char* name, std::array<T, kSize>& values, std::uint8_t& size) {
    read(name, [&](const nlohmann::json& from) {
      if (!from.is_array() || from.size() > kSize) throw std::out_of_range("the list is too long");
      size = 0;
      for (const nlohmann::json& each : from) this->from_json(each, values[size++]);
    });
  }
  template <class... T>
  void skip(T&...) {}
  template <class Base>
  void base(Base& value) {
    Fields<Base>::list(*this, value);
  }

  template <class T>
  void from_json(const nlohmann::json& from, T& value) const {
    if constexpr (HasFields<T>) {
      if (!from.is_object()) throw std::invalid_argument("it is no object");
      RecordReader inner(from, context_, present_);
      Fields<T>::list(inner, value);
    } else if constexpr (HasJsonValue<T>) {
      value = JsonValue<T>::load(from, context_);
    } else if constexpr (kIsPointed<T>) {
      point(from, value);
    } else if constexpr (IsPacked<T>) {
      decltype(value.formats()) elements;
      from_json(from, elements);
      value = T(elements);
    } else if constexpr (kIsArray<T>) {
      if (!from.is_array() || from.size() != value.size())
        throw std::invalid_argument("the list has another length");
      for (std::size_t i = 0; i < value.size(); ++i) from_json(from[i], value[i]);
    } else {
      if (!from.is_array()) throw std::invalid_argument("it is no list");
      value.clear();
      for (const nlohmann::json& each : from) from_json(each, value.emplace_back());
    }
  }

 private:
  template <class T>
  void point(const nlohmann::json& from, std::optional<T>& value) const {
    value.reset();
    if (from.is_null()) return;
    value = T{};  // clang 14 takes no emplace() of a nested class with default members
    from_json(from, *value);
  }
  template <class T>
  void point(const nlohmann::json& from, std::unique_ptr<T>& value) const {
    value.reset();
    if (from.is_null()) return;
    value = std::make_unique<T>();
    from_json(from, *value);
  }
  template <class T>
  void point(const nlohmann::json& from, std::shared_ptr<const T>& value) const {
    value.reset();
    if (from.is_null()) return;
    T read;
    from_json(from, read);
    value = std::make_shared<const T>(std::move(read));
  }
  template <class Read>
  void read(const char* name, Read read_value) {
    const auto found = fields_.find(name);
    if (found == fields_.end()) {
      if (present_ == FieldsPresent::kSome) return;
      throw std::invalid_argument(std::string("the field ").append(name).append(" is missing"));
    }
    try {
      read_value(*found);
    } catch (const std::exception& e) {
      throw std::invalid_argument(std::string(name).append(": ").append(e.what()));
    }
  }

  const nlohmann::json& fields_;
  const RecordContext& context_;
  FieldsPresent present_;
};

}  // namespace ferry
