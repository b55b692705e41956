// a=crypto lines (RFC 4568), and which of them go into an offer.
#pragma once

#include "relay/base/secret_bytes.hpp"
#include "relay/base/srtp_suite.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// Without case; null if nobody knows it.
const SrtpSuiteRow* find_crypto_suite(std::string_view name) noexcept;

/// One usable line. Holds a key: never logged (SRT-15).
struct CryptoLine {
  std::uint32_t tag = 0;
  const SrtpSuiteRow* suite = nullptr;
  /// Master key and salt, of the suite's sizes.
  SecretBytes<46> key_and_salt;
  /// As packets carry it, 1 to 8 octets; empty = none.
  std::vector<std::byte> mki;
  /// UNENCRYPTED_SRTP and so on, as written.
  std::vector<std::string> parameters;
  /// In an offer: the key is the offerer's, not ours.
  bool is_offerers = false;

  /// RFC 4568 §6.3: left plain or unauthenticated by agreement, which we do not agree to (SRT-12).
  [[nodiscard]] bool weakens() const noexcept;
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
  /// None of our own in an offer. Wins over `only` and `without`.
  bool no_new = false;
  /// These come first.
  std::vector<std::string> order;

  [[nodiscard]] bool allows(const SrtpSuiteRow& suite) const;
};

/// Key and salt for a line of our own.
using FreshKey = std::function<SecretBytes<46>(const SrtpSuiteRow&)>;

struct SdesOfferRules {
  /// Also suites that are never chosen.
  bool legacy = false;
  /// Lines of the offerer get keys of our own.
  bool recrypt = false;
};
/// The lines of an offer: those of the offerer with their tags and keys, then new ones behind its highest
/// tag.
std::vector<CryptoLine> sdes_offer(std::span<const CryptoLine> offerers, const SdesPolicy& policy,
                                   SdesOfferRules rules, const FreshKey& fresh);

}  // namespace ferry::sdp
