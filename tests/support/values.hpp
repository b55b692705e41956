// SPDX-License-Identifier: Apache-2.0
// Random values of the NG data model, for properties of its codecs.
#pragma once

#include "control/value/value.hpp"

#include <string>

#include <rapidcheck.h>

namespace ferry::test {

/// Any value of at most `depth` levels. Its strings have any octets, or with `is_text` those of ASCII alone;
/// keys of a dictionary are all different.
inline rc::Gen<Value> any_value(unsigned depth = 4, bool is_text = false) {
  const auto string = is_text ? rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127))
                              : rc::gen::arbitrary<std::string>();
  const auto number =
      rc::gen::map(rc::gen::arbitrary<std::int64_t>(), [](std::int64_t n) { return Value(n); });
  const auto text = rc::gen::map(string, [](std::string t) { return Value(std::move(t)); });
  if (depth == 0) return rc::gen::oneOf(number, text);
  const auto list = rc::gen::exec([=] {
    List members;
    for (auto n = *rc::gen::inRange(0, 4); n > 0; --n) members.push_back(*any_value(depth - 1, is_text));
    return Value(std::move(members));
  });
  const auto dict = rc::gen::exec([=] {
    Dict members;
    for (auto n = *rc::gen::inRange(0, 4); n > 0; --n)
      members.set(*string + std::to_string(n), *any_value(depth - 1, is_text));
    return Value(std::move(members));
  });
  return rc::gen::oneOf(number, text, list, dict);
}

}  // namespace ferry::test
