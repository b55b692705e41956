// SPDX-License-Identifier: Apache-2.0
#include "control/record/values.hpp"

#include <algorithm>
#include <string_view>

namespace ferry {

using nlohmann::json;

namespace {

constexpr std::string_view kNever = "never";
constexpr std::string_view kHexDigits = "0123456789abcdef";

}  // namespace

json JsonValue<Instant>::save(Instant at, const RecordContext& context) {
  if (at == Instant{}) return nullptr;
  if (at == Instant::max()) return kNever;
  return (at - context.origin).count();
}

Instant JsonValue<Instant>::load(const json& from, const RecordContext& context) {
  if (from.is_null()) return Instant{};
  if (from.is_string() && from.get<std::string>() == kNever) return Instant::max();
  return context.origin + Duration{JsonValue<Duration::rep>::load(from, context)};
}

json JsonValue<IpAddress>::save(const IpAddress& address, const RecordContext&) {
  return address.family() == AddressFamily::kNone ? std::string() : address.to_string();
}

IpAddress JsonValue<IpAddress>::load(const json& from, const RecordContext&) {
  const auto text = from.get<std::string>();
  if (text.empty()) return {};
  const auto address = IpAddress::parse(text);
  if (!address) throw std::invalid_argument("it is no address");
  return *address;
}

json JsonValue<Endpoint>::save(const Endpoint& endpoint, const RecordContext&) {
  return endpoint.is_set() ? endpoint.to_string() : std::string();
}

Endpoint JsonValue<Endpoint>::load(const json& from, const RecordContext&) {
  const auto text = from.get<std::string>();
  if (text.empty()) return {};
  const auto endpoint = Endpoint::parse(text);
  if (!endpoint) throw std::invalid_argument("it is no address with a port");
  return *endpoint;
}

json JsonValue<std::vector<std::byte>>::save(const std::vector<std::byte>& octets, const RecordContext&) {
  std::string text;
  text.reserve(2 * octets.size());
  for (const std::byte octet : octets) {
    text += kHexDigits[std::to_integer<std::size_t>(octet >> 4)];
    text += kHexDigits[std::to_integer<std::size_t>(octet & std::byte{15})];
  }
  return text;
}

std::vector<std::byte> JsonValue<std::vector<std::byte>>::load(const json& from, const RecordContext&) {
  const auto text = from.get<std::string>();
  if (text.size() % 2 != 0) throw std::invalid_argument("half an octet");
  std::vector<std::byte> octets;
  octets.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::size_t high = kHexDigits.find(text[i]);
    const std::size_t low = kHexDigits.find(text[i + 1]);
    if (high == kHexDigits.npos || low == kHexDigits.npos)
      throw std::invalid_argument("it is no hexadecimal digit");
    octets.push_back(static_cast<std::byte>(high << 4 | low));
  }
  return octets;
}

json JsonValue<const LogicalInterface*>::save(const LogicalInterface* interface, const RecordContext&) {
  return interface == nullptr ? json() : json(interface->name);
}

const LogicalInterface* JsonValue<const LogicalInterface*>::load(const json& from,
                                                                 const RecordContext& context) {
  if (from.is_null()) return nullptr;
  const auto* interface = context.interfaces->find(from.get<std::string>());
  if (interface == nullptr) throw std::invalid_argument("this relay has no such interface");
  return interface;
}

json JsonValue<const LocalAddress*>::save(const LocalAddress* local, const RecordContext&) {
  return local == nullptr ? json() : json(local->address.to_string());
}

const LocalAddress* JsonValue<const LocalAddress*>::load(const json& from, const RecordContext& context) {
  if (from.is_null()) return nullptr;
  const auto* local = context.interfaces->known_address(JsonValue<IpAddress>::load(from, context));
  if (local == nullptr) throw std::invalid_argument("this relay has no such address");
  return local;
}

}  // namespace ferry
