// SPDX-License-Identifier: Apache-2.0
// Single values of a record: what is saved is loaded again, and what is damaged is refused.

#include "control/record/values.hpp"

#include <bitset>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::test::values_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

const InterfaceSet& relay() {
  static const InterfaceSet set =
      InterfaceSet::build({parse_interface_spec("one/192.0.2.1"), parse_interface_spec("six/2001:db8::1")},
                          UdpPort{30000}, UdpPort{30009}, false)
          .value();
  return set;
}

RecordContext context(Instant origin = Instant{1h}) {
  RecordContext result;
  result.origin = origin;
  result.interfaces = &relay();
  return result;
}

template <class T>
json saved(const T& value) {
  return JsonValue<T>::save(value, context());
}
template <class T>
T loaded(const json& from) {
  return JsonValue<T>::load(from, context());
}

TEST(RecordValues, WholeNumbersStayInTheirRange) {
  const struct {
    json from;
    bool is_good;
  } rows[] = {{0, true},
              {255, true},
              {256, false},
              {-1, false},
              {1.0, false},
              {"1", false},
              {true, false},
              {nullptr, false},
              {json::array({1}), false},
              {std::numeric_limits<std::uint64_t>::max(), false}};
  for (const auto& row : rows) {
    if (row.is_good)
      EXPECT_EQ(loaded<std::uint8_t>(row.from), row.from.get<unsigned>());
    else
      EXPECT_THROW(loaded<std::uint8_t>(row.from), std::exception) << row.from;
  }
  EXPECT_EQ(loaded<std::int64_t>(saved(std::numeric_limits<std::int64_t>::min())),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(loaded<std::uint64_t>(saved(std::numeric_limits<std::uint64_t>::max())),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_THROW(loaded<bool>(1), std::exception);
  EXPECT_EQ(loaded<UdpPort>(65535), UdpPort{65535});
  EXPECT_THROW(loaded<UdpPort>(65536), std::exception);
  EXPECT_EQ(loaded<AddressFamily>(2), AddressFamily::kIpv6);
  EXPECT_THROW(loaded<AddressFamily>(3), std::exception) << "no such enumerator";
}

// Monotonic clocks of two processes have nothing to do with each other.
TEST(RecordValues, ATimeIsADistanceFromTheBeginOfTheCall) {
  const RecordContext here = context(Instant{1h});
  const RecordContext there = context(Instant{5h});
  for (const Duration after : {Duration{-3s}, Duration{1ns}, Duration{90min}}) {
    const json at = JsonValue<Instant>::save(here.origin + after, here);
    EXPECT_EQ(at, after.count());
    EXPECT_EQ(JsonValue<Instant>::load(at, there), there.origin + after);
  }
  for (const Instant fixed : {Instant{}, Instant::max()})
    EXPECT_EQ(JsonValue<Instant>::load(JsonValue<Instant>::save(fixed, here), there), fixed);
  for (const json& bad : {json("soon"), json(1.5), json::object()})
    EXPECT_THROW(loaded<Instant>(bad), std::exception) << bad;
}

TEST(RecordValues, AddressesAreTextAndNoneIsEmpty) {
  for (const char* text : {"192.0.2.1", "2001:db8::1", ""}) {
    const IpAddress address = *text == '\0' ? IpAddress{} : *IpAddress::parse(text);
    EXPECT_EQ(saved(address), text);
    EXPECT_EQ(loaded<IpAddress>(text), address);
  }
  for (const char* text : {"192.0.2.1:4000", "[2001:db8::1]:4000", ""}) {
    const Endpoint endpoint = *text == '\0' ? Endpoint{} : *Endpoint::parse(text);
    EXPECT_EQ(saved(endpoint), text);
    EXPECT_EQ(loaded<Endpoint>(text), endpoint);
  }
  for (const json& bad : {json("192.0.2.256"), json("host"), json(" "), json(4), json(nullptr)}) {
    EXPECT_THROW(loaded<IpAddress>(bad), std::exception) << bad;
    EXPECT_THROW(loaded<Endpoint>(bad), std::exception) << bad;
  }
  EXPECT_THROW(loaded<Endpoint>("192.0.2.1"), std::exception);
}

TEST(RecordValues, OctetsAreHexadecimalDigits) {
  rc::check([](const std::vector<std::uint8_t>& octets) {
    std::vector<std::byte> bytes;
    for (const std::uint8_t each : octets) bytes.push_back(std::byte{each});
    const json text = saved(bytes);
    RC_ASSERT(text.get<std::string>().size() == 2 * bytes.size());
    RC_ASSERT(loaded<std::vector<std::byte>>(text) == bytes);
  });
  EXPECT_EQ(saved(std::vector{std::byte{0x0a}, std::byte{0xf5}}), "0af5");
  for (const json& bad : {json("0"), json("0g"), json("0A"), json(" 0"), json(10)})
    EXPECT_THROW(loaded<std::vector<std::byte>>(bad), std::exception) << bad;
}

TEST(RecordValues, BitsAreADigitEach) {
  EXPECT_EQ(saved(std::bitset<4>("0110")), "0110");
  EXPECT_EQ(loaded<std::bitset<4>>("0110"), std::bitset<4>("0110"));
  EXPECT_THROW(loaded<std::bitset<4>>("01x0"), std::exception);
}

TEST(RecordValues, ReferencesAreFoundByNameAtTheOtherRelay) {
  const LogicalInterface* six = relay().find("six");
  EXPECT_EQ(saved(six), "six");
  EXPECT_EQ(loaded<const LogicalInterface*>("six"), six);
  EXPECT_EQ(saved(static_cast<const LogicalInterface*>(nullptr)), nullptr);
  EXPECT_EQ(loaded<const LogicalInterface*>(nullptr), nullptr);
  EXPECT_THROW(loaded<const LogicalInterface*>("two"), std::exception);
  const LocalAddress* local = &six->addresses[0];
  EXPECT_EQ(saved(local), "2001:db8::1");
  EXPECT_EQ(loaded<const LocalAddress*>("2001:db8::1"), local);
  EXPECT_EQ(loaded<const LocalAddress*>(nullptr), nullptr);
  for (const char* bad : {"192.0.2.2", "", "six"})
    EXPECT_THROW(loaded<const LocalAddress*>(bad), std::exception) << bad;
}

}  // namespace
}  // namespace ferry::test::values_test
