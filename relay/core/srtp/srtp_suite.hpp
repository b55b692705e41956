// SPDX-License-Identifier: Apache-2.0
// The crypto suites of SDES (RFC 4568 §6.2, RFC 6188, RFC 7714 §14).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ferry {

/// The suites in the order in which an offer prefers them (SRT-8).
enum class SrtpSuite : std::uint8_t {
  kAeadAes256Gcm,
  kAeadAes128Gcm,
  kAes256Cm80,
  kAes256Cm32,
  kAes192Cm80,
  kAes192Cm32,
  kAes128Cm80,
  kAes128Cm32,
  // These four are recognised in SDP but never used.
  kF8With80,
  kF8With32,
  kNullWith80,
  kNullWith32,
};

/// Describes one suite. All sizes are in octets.
struct SrtpSuiteRow {
  SrtpSuite suite;
  /// As written in `a=crypto`.
  std::string_view name;
  /// Length of the master key.
  std::uint8_t key = 16;
  /// Length of the master salt.
  std::uint8_t salt = 14;
  /// Authentication tag of an SRTP packet.
  std::uint8_t rtp_tag = 10;
  /// Authentication tag of an SRTCP packet: 80 bits even if SRTP has 32 (RFC 4568 §6.2.2).
  std::uint8_t rtcp_tag = 10;
  /// AES-GCM, where encrypting also authenticates (RFC 7714).
  bool is_aead = false;
  /// F8 or no encryption: may stand in an offer, is never chosen.
  bool is_legacy = false;
};

/// All suites, in the order of the enum.
inline constexpr std::array<SrtpSuiteRow, 12> kSrtpSuites = {{
    {SrtpSuite::kAeadAes256Gcm, "AEAD_AES_256_GCM", 32, 12, 16, 16, true},
    {SrtpSuite::kAeadAes128Gcm, "AEAD_AES_128_GCM", 16, 12, 16, 16, true},
    {SrtpSuite::kAes256Cm80, "AES_256_CM_HMAC_SHA1_80", 32, 14, 10, 10, false},
    {SrtpSuite::kAes256Cm32, "AES_256_CM_HMAC_SHA1_32", 32, 14, 4, 10, false},
    {SrtpSuite::kAes192Cm80, "AES_192_CM_HMAC_SHA1_80", 24, 14, 10, 10, false},
    {SrtpSuite::kAes192Cm32, "AES_192_CM_HMAC_SHA1_32", 24, 14, 4, 10, false},
    {SrtpSuite::kAes128Cm80, "AES_CM_128_HMAC_SHA1_80", 16, 14, 10, 10, false},
    {SrtpSuite::kAes128Cm32, "AES_CM_128_HMAC_SHA1_32", 16, 14, 4, 10, false},
    {SrtpSuite::kF8With80, "F8_128_HMAC_SHA1_80", 16, 14, 10, 10, false, true},
    {SrtpSuite::kF8With32, "F8_128_HMAC_SHA1_32", 16, 14, 4, 10, false, true},
    {SrtpSuite::kNullWith80, "NULL_HMAC_SHA1_80", 16, 14, 10, 10, false, true},
    {SrtpSuite::kNullWith32, "NULL_HMAC_SHA1_32", 16, 14, 4, 10, false, true},
}};
/// The suites that may be chosen, in the order of preference.
inline constexpr std::span<const SrtpSuiteRow> kUsableSrtpSuites{kSrtpSuites.data(), 8};

/// The row of a suite.
constexpr const SrtpSuiteRow& row_of(SrtpSuite suite) noexcept {
  return kSrtpSuites[static_cast<std::size_t>(suite)];
}

}  // namespace ferry
