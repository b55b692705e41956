// SPDX-License-Identifier: Apache-2.0
// Fills what a record holds with random values, by the same lists of fields that save and load it.
#pragma once

#include "control/record/dtls_section.hpp"
#include "control/record/leg_section.hpp"
#include "control/record/media_section.hpp"
#include "control/record/rtpproxy_section.hpp"
#include "control/record/sdes_section.hpp"
#include "control/record/state_section.hpp"
#include "control/record/transport_section.hpp"

#include <random>

namespace ferry::test {

class RandomFields {
 public:
  /// Borrows the interfaces.
  RandomFields(std::uint64_t seed, const InterfaceSet& interfaces) : random_(seed), interfaces_(interfaces) {}

  /// A number below `end`.
  std::size_t below(std::size_t end) { return random_() % end; }
  bool coin() { return below(2) == 0; }

  template <class T>
  void operator()(const char*, T& value) {
    fill(value);
  }
  template <class T>
  void bounded(const char*, T& value, T most) {
    value = static_cast<T>(below(std::size_t{most} + 1));
  }
  template <class T, std::size_t kSize>
  void prefix(const char*, std::array<T, kSize>& values, std::uint8_t& size) {
    size = static_cast<std::uint8_t>(below(kSize + 1));
    for (std::size_t i = 0; i < size; ++i) fill(values[i]);
  }
  template <class... T>
  void skip(T&...) {}
  template <class Base>
  void base(Base& value) {
    Fields<Base>::list(*this, value);
  }

  template <class T>
  requires HasFields<T>
  void fill(T& value) { Fields<T>::list(*this, value); }
  template <std::integral T>
  void fill(T& value) {
    value = static_cast<T>(random_());
    if constexpr (std::same_as<T, bool>) value = coin();
  }
  template <class T>
  requires std::is_enum_v<T>
  void fill(T& value) { value = static_cast<T>(below(kEnumerators<T>)); }
  template <class T>
  requires std::integral<decltype(T::value)> && std::is_aggregate_v<T>
  void fill(T& wrapped) { fill(wrapped.value); }
  void fill(std::string& text) {
    static constexpr std::array<std::string_view, 6> kLetters = {"a", "Z", "\"", "\\", "\n", "\u00e4"};
    text.clear();
    for (std::size_t i = below(6); i > 0; --i) text += kLetters[below(kLetters.size())];
  }
  template <class Number, class Unit>
  void fill(std::chrono::duration<Number, Unit>& length) {
    length = std::chrono::duration<Number, Unit>{below(100'000)};
  }
  void fill(Instant& at) {
    switch (below(3)) {
      case 0:
        at = Instant{};
        return;
      case 1:
        at = Instant::max();
        return;
      default:
        at = Instant{Duration{1 + below(1'000'000'000'000)}};
    }
  }
  void fill(WallTime& at) { at = WallTime{Duration{below(1'000'000'000'000)}}; }
  void fill(IpAddress& address) {
    address = coin() ? IpAddress{} : IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(below(256))});
  }
  void fill(Endpoint& endpoint) {
    endpoint = {};
    if (coin())
      endpoint = {IpAddress::v4({192, 0, 2, 7}), UdpPort{static_cast<std::uint16_t>(1 + below(65'535))}};
  }
  template <std::size_t kSize>
  void fill(std::bitset<kSize>& bits) {
    for (std::size_t i = 0; i < kSize; ++i) bits[i] = coin();
  }
  void fill(std::vector<std::byte>& octets) {
    octets.resize(below(5));
    for (std::byte& octet : octets) octet = static_cast<std::byte>(random_());
  }
  void fill(const LogicalInterface*& interface) { interface = interfaces_.default_interface(); }
  void fill(const LocalAddress*& local) { local = &interfaces_.default_interface()->addresses.front(); }
  // The test chooses them: they are of the call.
  void fill(Leg*&) {}
  void fill(Media*&) {}

  void fill(FingerprintHash& hash) { hash = kFingerprintHashes[below(kFingerprintHashes.size())].hash; }
  void fill(Fingerprint& fingerprint) {
    fill(fingerprint.hash);
    fingerprint.octets.assign(row_of(fingerprint.hash).octets, static_cast<std::byte>(random_()));
  }
  // Certificates are the matter of tests with handshakes.
  void fill(std::shared_ptr<const DtlsIdentity>&) {}
  void fill(sdp::CryptoLine& line) {
    SrtpMasterKey key;
    fill(key);
    line = sdp::parse_crypto(JsonValue<SrtpMasterKey>::save(key, {}).get<std::string>()).value();
    line.tag = static_cast<std::uint32_t>(1 + below(99));
    fill(line.is_offerers);
  }
  void fill(SrtpMasterKey& key) {
    const SrtpSuiteRow& row = row_of(SrtpSuite::kAes128Cm80);
    std::vector<std::byte> octets(46);
    for (std::byte& octet : octets) octet = static_cast<std::byte>(random_());
    key.suite = row.suite;
    key.key = SecretBytes<32>(Bytes(octets).first(row.key));
    key.salt = SecretBytes<14>(Bytes(octets).subspan(row.key, row.salt));
  }
  void fill(ReplayWindow& window) {
    window = ReplayWindow(64 * (1 + below(16)));
    for (std::size_t i = below(4); i > 0; --i) window.accept(below(100'000));
  }
  void fill(DropCounters& drops) {
    for (const DropReasonRow& row : kDropReasonRows)
      drops.set(row.reason, static_cast<std::uint32_t>(coin() ? 0 : below(100)));
  }
  void fill(std::optional<TransportSnapshot::Dtls>& dtls) {
    dtls.reset();
    if (coin()) return;
    dtls = std::remove_cvref_t<decltype(*dtls)>{};
    for (TransportSnapshot::Handshake& each : *dtls) {
      if (coin()) continue;
      each.state = DtlsChannel::State::kReady;
      fill(each.keys.emplace().receive);
      fill(each.keys->send);
      fill(each.association);
    }
  }

  template <class T>
  requires(!HasJsonValue<std::optional<T>>) void fill(std::optional<T>& value) {
    value.reset();
    if (!coin()) return;
    value = T{};
    fill(*value);
  }
  template <class T>
  void fill(std::unique_ptr<T>& value) {
    value.reset();
    if (coin()) return;
    value = std::make_unique<T>();
    fill(*value);
  }
  template <class T>
  requires HasFields<T>
  void fill(std::shared_ptr<const T>& value) {
    value.reset();
    if (coin()) return;
    T made;
    fill(made);
    value = std::make_shared<const T>(std::move(made));
  }
  void fill(CodecList& list) {
    std::vector<NumberedFormat> formats;
    fill(formats);
    list = CodecList(formats);
  }
  template <class T>
  void fill(std::vector<T>& values) {
    values.clear();
    for (std::size_t i = below(3); i > 0; --i) fill(values.emplace_back());
  }
  template <class T, std::size_t kSize>
  void fill(std::array<T, kSize>& values) {
    for (T& value : values) fill(value);
  }

 private:
  std::mt19937_64 random_;
  const InterfaceSet& interfaces_;
};

}  // namespace ferry::test
