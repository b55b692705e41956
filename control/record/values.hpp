// SPDX-License-Identifier: Apache-2.0
// Single values of a record: numbers, texts, times, addresses and references.
#pragma once

#include "control/record/context.hpp"
#include "relay/base/enum_bits.hpp"

#include <bitset>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

namespace ferry {

/// How one value is written: `static nlohmann::json save(const T&, const RecordContext&)` and
/// `static T load(const nlohmann::json&, const RecordContext&)`. `load` throws `std::exception` with a
/// sentence if the value is damaged.
template <class T>
struct JsonValue;

template <class T>
concept HasJsonValue = requires {
  sizeof(JsonValue<T>);
};

/// Number of enumerators of an enum whose values are kept as numbers. They begin at 0 and leave none out.
template <class Enum>
inline constexpr unsigned kEnumerators = 0;

template <std::integral T>
struct JsonValue<T> {
  static nlohmann::json save(T value, const RecordContext&) { return value; }
  static T load(const nlohmann::json& from, const RecordContext&) {
    if constexpr (std::same_as<T, bool>) {
      return from.get<bool>();
    } else {
      if (!from.is_number_integer()) throw std::invalid_argument("it is no whole number");
      const bool fits = from.is_number_unsigned() ? std::in_range<T>(from.get<std::uint64_t>())
                                                  : std::in_range<T>(from.get<std::int64_t>());
      if (!fits) throw std::out_of_range("the number is out of its range");
      return from.get<T>();
    }
  }
};

template <class T>
requires std::is_enum_v<T>
struct JsonValue<T> {
  static constexpr unsigned kCount = kEnumerators<T>;
  static_assert(kHasAtMost<T, kCount> && is_enumerator<static_cast<T>(kCount - 1)>(),
                "kEnumerators is the number of enumerators");
  static nlohmann::json save(T value, const RecordContext&) { return static_cast<unsigned>(value); }
  static T load(const nlohmann::json& from, const RecordContext& context) {
    const auto number = JsonValue<unsigned>::load(from, context);
    if (number >= kCount) throw std::out_of_range("the number stands for nothing");
    return static_cast<T>(number);
  }
};

/// Strong types around one number: SSRC, payload type, port, number of a media.
template <class T>
requires std::integral<decltype(T::value)> && std::is_aggregate_v<T>
struct JsonValue<T> {
  static nlohmann::json save(T wrapped, const RecordContext&) { return wrapped.value; }
  static T load(const nlohmann::json& from, const RecordContext& context) {
    return T{JsonValue<decltype(T::value)>::load(from, context)};
  }
};

template <>
struct JsonValue<std::string> {
  static nlohmann::json save(const std::string& text, const RecordContext&) { return text; }
  static std::string load(const nlohmann::json& from, const RecordContext&) {
    return from.get<std::string>();
  }
};

/// Lengths of time, in the unit of the member.
template <class Number, class Unit>
struct JsonValue<std::chrono::duration<Number, Unit>> {
  using Length = std::chrono::duration<Number, Unit>;
  static nlohmann::json save(Length length, const RecordContext&) { return length.count(); }
  static Length load(const nlohmann::json& from, const RecordContext& context) {
    return Length{JsonValue<Number>::load(from, context)};
  }
};

/// Null if it never happened, `"never"` if it never will, else nanoseconds since the call was made.
template <>
struct JsonValue<Instant> {
  static nlohmann::json save(Instant at, const RecordContext& context);
  static Instant load(const nlohmann::json& from, const RecordContext& context);
};
/// Nanoseconds since 1970.
template <>
struct JsonValue<WallTime> {
  static nlohmann::json save(WallTime at, const RecordContext&) { return at.time_since_epoch().count(); }
  static WallTime load(const nlohmann::json& from, const RecordContext& context) {
    return WallTime{Duration{JsonValue<Duration::rep>::load(from, context)}};
  }
};

/// Empty if it is not set.
template <>
struct JsonValue<IpAddress> {
  static nlohmann::json save(const IpAddress& address, const RecordContext&);
  static IpAddress load(const nlohmann::json& from, const RecordContext&);
};
template <>
struct JsonValue<Endpoint> {
  static nlohmann::json save(const Endpoint& endpoint, const RecordContext&);
  static Endpoint load(const nlohmann::json& from, const RecordContext&);
};

template <std::size_t kSize>
struct JsonValue<std::bitset<kSize>> {
  static nlohmann::json save(const std::bitset<kSize>& bits, const RecordContext&) {
    return bits.to_string();
  }
  static std::bitset<kSize> load(const nlohmann::json& from, const RecordContext&) {
    return std::bitset<kSize>(from.get<std::string>());
  }
};

/// Octets in hexadecimal digits.
template <>
struct JsonValue<std::vector<std::byte>> {
  static nlohmann::json save(const std::vector<std::byte>& octets, const RecordContext&);
  static std::vector<std::byte> load(const nlohmann::json& from, const RecordContext&);
};

// References. Loading fails if this relay has no such thing.

/// By name; null if none was chosen.
template <>
struct JsonValue<const LogicalInterface*> {
  static nlohmann::json save(const LogicalInterface* interface, const RecordContext&);
  static const LogicalInterface* load(const nlohmann::json& from, const RecordContext& context);
};
/// By address.
template <>
struct JsonValue<const LocalAddress*> {
  static nlohmann::json save(const LocalAddress* local, const RecordContext&);
  static const LocalAddress* load(const nlohmann::json& from, const RecordContext& context);
};
template <>
inline constexpr unsigned kEnumerators<AddressFamily> = 3;

}  // namespace ferry
