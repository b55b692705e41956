// SPDX-License-Identifier: Apache-2.0
#include "control/telemetry/hep.hpp"

#include <chrono>
#include <limits>

namespace ferry::telemetry {

namespace {

/// Chunk types of the generic vendor.
enum class Chunk : std::uint16_t {
  kFamily = 1,
  kIpProtocol = 2,
  kFrom4 = 3,
  kTo4 = 4,
  kFrom6 = 5,
  kTo6 = 6,
  kFromPort = 7,
  kToPort = 8,
  kSeconds = 9,
  kMicroseconds = 10,
  kType = 11,
  kAgent = 12,
  kPassword = 14,
  kPayload = 15,
  kCorrelation = 17,
};

/// Numbers that HEP has for address families and protocols, on every system.
constexpr std::uint8_t kFamilyV4 = 2;
constexpr std::uint8_t kFamilyV6 = 10;
constexpr std::uint8_t kUdp = 17;

class Writer {
 public:
  Writer() : packet_("HEP3\0\0", 6) {}

  template <class Number>
  void number(Chunk chunk, Number value) {
    head(chunk, sizeof value);
    put(value);
  }
  void text(Chunk chunk, std::string_view octets) {
    head(chunk, octets.size());
    packet_ += octets;
  }
  /// The packet with its length; nothing if it is too long.
  std::optional<std::string> finish() && {
    if (is_too_long_ || packet_.size() > kMost) return std::nullopt;
    packet_[4] = static_cast<char>(packet_.size() >> 8);
    packet_[5] = static_cast<char>(packet_.size() & 0xff);
    return std::move(packet_);
  }

 private:
  static constexpr std::size_t kMost = std::numeric_limits<std::uint16_t>::max();
  static constexpr std::size_t kHead = 6;

  template <class Number>
  void put(Number value) {
    for (std::size_t shift = sizeof value * 8; shift > 0; shift -= 8)
      packet_ += static_cast<char>((value >> (shift - 8)) & 0xff);
  }
  void head(Chunk chunk, std::size_t size) {
    is_too_long_ |= size + kHead > kMost;
    put(std::uint16_t{0});
    put(static_cast<std::uint16_t>(chunk));
    put(static_cast<std::uint16_t>(size + kHead));
  }

  std::string packet_;
  bool is_too_long_ = false;
};

std::string_view octets_of(const IpAddress& address) {
  return {reinterpret_cast<const char*>(address.octets().data()), address.is_v6() ? 16u : 4u};
}

}  // namespace

std::optional<std::string> encode_hep(const HepMessage& message) {
  const bool is_v6 = message.from.address.is_v6() || message.to.address.is_v6();
  const auto family = is_v6 ? AddressFamily::kIpv6 : AddressFamily::kIpv4;
  // Addresses of two families cannot stand in one packet, so the other one is left unset.
  const auto fitting = [&](const IpAddress& address) {
    return address.family() == family ? address : IpAddress::unspecified(family);
  };
  const auto us =
      std::chrono::duration_cast<std::chrono::microseconds>(message.at.time_since_epoch()).count();
  Writer writer;
  writer.number(Chunk::kFamily, is_v6 ? kFamilyV6 : kFamilyV4);
  writer.number(Chunk::kIpProtocol, kUdp);
  writer.text(is_v6 ? Chunk::kFrom6 : Chunk::kFrom4, octets_of(fitting(message.from.address)));
  writer.text(is_v6 ? Chunk::kTo6 : Chunk::kTo4, octets_of(fitting(message.to.address)));
  writer.number(Chunk::kFromPort, message.from.port.value);
  writer.number(Chunk::kToPort, message.to.port.value);
  writer.number(Chunk::kSeconds, static_cast<std::uint32_t>(us / 1'000'000));
  writer.number(Chunk::kMicroseconds, static_cast<std::uint32_t>(us % 1'000'000));
  writer.number(Chunk::kType, message.type);
  writer.number(Chunk::kAgent, message.agent);
  if (!message.password.empty()) writer.text(Chunk::kPassword, message.password);
  if (!message.call_id.empty()) writer.text(Chunk::kCorrelation, message.call_id);
  writer.text(Chunk::kPayload, message.payload);
  return std::move(writer).finish();
}

}  // namespace ferry::telemetry
