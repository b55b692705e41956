// a=crypto lines (RFC 4568), and which of them go into an offer.
#pragma once

#include "relay/base/bytes.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// The suites that lines may name, in the order of an offer.
struct CryptoSuite {
  std::string_view name;
  std::uint8_t key = 16;
  std::uint8_t salt = 14;
  /// Named for literal compatibility only: F8 and no encryption are never used (media-security SRT-8).
  bool is_legacy = false;
};
inline constexpr std::array<CryptoSuite, 12> kCryptoSuites = {{{"AEAD_AES_256_GCM", 32, 12},
                                                               {"AEAD_AES_128_GCM", 16, 12},
                                                               {"AES_256_CM_HMAC_SHA1_80", 32, 14},
                                                               {"AES_256_CM_HMAC_SHA1_32", 32, 14},
                                                               {"AES_192_CM_HMAC_SHA1_80", 24, 14},
                                                               {"AES_192_CM_HMAC_SHA1_32", 24, 14},
                                                               {"AES_CM_128_HMAC_SHA1_80", 16, 14},
                                                               {"AES_CM_128_HMAC_SHA1_32", 16, 14},
                                                               {"F8_128_HMAC_SHA1_80", 16, 14, true},
                                                               {"F8_128_HMAC_SHA1_32", 16, 14, true},
                                                               {"NULL_HMAC_SHA1_80", 16, 14, true},
                                                               {"NULL_HMAC_SHA1_32", 16, 14, true}}};

/// Without case; null if nobody knows it.
const CryptoSuite* find_crypto_suite(std::string_view name) noexcept;

/// One usable line. Holds a key: never logged (SRT-15).
struct CryptoLine {
  std::uint32_t tag = 0;
  const CryptoSuite* suite = nullptr;
  /// Master key and salt, of the suite's sizes.
  std::vector<std::byte> key_and_salt;
  /// As packets carry it, 1 to 8 octets; empty = none.
  std::vector<std::byte> mki;
  /// UNENCRYPTED_SRTP and so on, as written.
  std::vector<std::string> parameters;

  bool operator==(const CryptoLine&) const = default;
};

/// The value of an a=crypto attribute. Nothing if it cannot be parsed, its suite is unknown or its key has
/// another size: such lines are passed over. Of several keys the first is taken; its lifetime is not kept.
std::optional<CryptoLine> parse_crypto(std::string_view value);

struct CryptoStyle {
  /// Keeps the '=' of base64.
  bool pad = false;
  /// Says how many packets the key is good for.
  bool lifetime = false;
};
/// The value of an a=crypto attribute.
std::string write_crypto(const CryptoLine& line, CryptoStyle style);

/// Key `SDES` of a request, or its `SDES-` flags. Suite names without case.
struct SdesPolicy {
  bool off = false;
  std::vector<std::string> without;
  /// Wins over `without`.
  std::vector<std::string> only;
  /// None of our own in an offer.
  bool no_new = false;
  /// These come first.
  std::vector<std::string> order;
  /// Session parameters that every line gets.
  std::vector<std::string> parameters;

  [[nodiscard]] bool allows(const CryptoSuite& suite) const;
};

/// Octets for a key and a salt.
using FreshKey = std::function<std::vector<std::byte>(std::size_t)>;

/// The lines of an offer: those of the offerer with their tags and keys, then new ones behind its highest
/// tag. `legacy`: also suites that are never chosen.
std::vector<CryptoLine> sdes_offer(std::span<const CryptoLine> offerers, const SdesPolicy& policy,
                                   bool legacy, const FreshKey& fresh);

}  // namespace ferry::sdp
