// SPDX-License-Identifier: Apache-2.0
#include "codecs/audio/g711.hpp"

#include <algorithm>

// spandsp's headers need these before them.
#include <cmath>
#include <cstdio>

#include <spandsp.h>

namespace ferry {

namespace {

template <class Value, class Make>
std::array<Value, 256> table_of(Make make) {
  std::array<Value, 256> made{};
  for (std::size_t i = 0; i < made.size(); ++i) made[i] = make(static_cast<std::uint8_t>(i));
  return made;
}

}  // namespace

const std::array<std::int16_t, 256>& g711_samples(Law law) {
  static const auto mu = table_of<std::int16_t>([](std::uint8_t code) { return ulaw_to_linear(code); });
  static const auto a = table_of<std::int16_t>([](std::uint8_t code) { return alaw_to_linear(code); });
  return law == Law::kMu ? mu : a;
}

void translate_g711(Law from, Bytes payload, MutableBytes out) {
  static const auto to_a =
      table_of<std::byte>([](std::uint8_t code) { return std::byte{linear_to_alaw(ulaw_to_linear(code))}; });
  static const auto to_mu =
      table_of<std::byte>([](std::uint8_t code) { return std::byte{linear_to_ulaw(alaw_to_linear(code))}; });
  const auto& table = from == Law::kMu ? to_a : to_mu;
  std::ranges::transform(payload, out.begin(),
                         [&table](std::byte octet) { return table[std::to_integer<std::uint8_t>(octet)]; });
}

}  // namespace ferry
