// A master key as signalling gave it.
#pragma once

#include "relay/base/bytes.hpp"
#include "relay/base/srtp_suite.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include <string.h>

namespace ferry {

/// Octets of a secret, wiped when they die (media-security SRT-15). Never printed.
template <std::size_t Capacity>
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(Bytes from) : size_(std::min(from.size(), Capacity)) {
    std::copy_n(from.begin(), size_, octets_.begin());
  }
  SecretBytes(const SecretBytes&) = default;
  SecretBytes& operator=(const SecretBytes&) = default;
  ~SecretBytes() { explicit_bzero(octets_.data(), octets_.size()); }

  [[nodiscard]] Bytes get() const noexcept { return Bytes(octets_).first(size_); }
  bool operator==(const SecretBytes&) const = default;

 private:
  std::array<std::byte, Capacity> octets_{};
  std::size_t size_ = 0;
};

/// One direction of one medium: never used for two (SRT-1). `key` and `salt` have the sizes of the suite.
struct SrtpMasterKey {
  SrtpSuite suite = SrtpSuite::kAes128Cm80;
  SecretBytes<32> key;
  SecretBytes<14> salt;
  /// Master key identifier that packets carry; empty = none (RFC 3711 §3.1).
  std::vector<std::byte> mki;

  bool operator==(const SrtpMasterKey&) const = default;
};

}  // namespace ferry
