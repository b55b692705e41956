// SPDX-License-Identifier: Apache-2.0
// The fingerprint of a certificate, as `a=fingerprint` carries it (RFC 8122 §5).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ferry {

/// The hash functions that are supported, weakest first. MD2 and MD5 are left out on purpose.
enum class FingerprintHash : std::uint8_t { kSha1, kSha224, kSha256, kSha384, kSha512 };

/// Describes one hash function. The rows are in the order of the enum.
struct FingerprintHashRow {
  FingerprintHash hash;
  /// As written in `a=fingerprint`.
  std::string_view name;
  /// Length of a hash.
  std::uint8_t octets = 0;
};
inline constexpr std::array<FingerprintHashRow, 5> kFingerprintHashes = {{
    {FingerprintHash::kSha1, "sha-1", 20},
    {FingerprintHash::kSha224, "sha-224", 28},
    {FingerprintHash::kSha256, "sha-256", 32},
    {FingerprintHash::kSha384, "sha-384", 48},
    {FingerprintHash::kSha512, "sha-512", 64},
}};
/// The row of a hash function.
constexpr const FingerprintHashRow& row_of(FingerprintHash hash) noexcept {
  return kFingerprintHashes[static_cast<std::size_t>(hash)];
}

/// The hash of a certificate in DER form.
struct Fingerprint {
  FingerprintHash hash = FingerprintHash::kSha256;
  std::vector<std::byte> octets;
  auto operator<=>(const Fingerprint&) const = default;
};

}  // namespace ferry
