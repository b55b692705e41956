// SPDX-License-Identifier: Apache-2.0
// Reads and writes a=crypto lines (RFC 4568), and chooses those of an offer. Pure, except for keys that
// `FreshKey` makes.
#pragma once

#include "relay/base/secret_bytes.hpp"
#include "relay/core/srtp/srtp_suite.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// Finds a suite by its name in any case; null if it is unknown.
const SrtpSuiteRow* find_crypto_suite(std::string_view name) noexcept;

/// One usable line. It holds a key and is never logged (SRT-15).
struct CryptoLine {
  std::uint32_t tag = 0;
  /// Row of the suite table, which lives as long as the program. Never null in a parsed line.
  const SrtpSuiteRow* suite = nullptr;
  /// Master key and salt, with the sizes of the suite.
  SecretBytes<46> key_and_salt;
  /// Master key identifier as packets carry it, 1 to 8 octets; empty = none.
  std::vector<std::byte> mki;
  /// Session parameters as written, such as UNENCRYPTED_SRTP.
  std::vector<std::string> parameters;
  /// In an offer: the key is the offerer's, not one of the relay.
  bool is_offerers = false;

  /// True if its parameters leave packets plain or unauthenticated (RFC 4568 §6.3). The relay does not agree
  /// to that (SRT-12).
  [[nodiscard]] bool weakens() const noexcept;
  bool operator==(const CryptoLine&) const = default;
};

/// Parses the value of a=crypto. Nothing if it cannot be parsed, its suite is unknown or its key has another
/// size: such lines are skipped. The first of several keys counts; its lifetime is not kept.
std::optional<CryptoLine> parse_crypto(std::string_view value);

/// How lines are written.
struct CryptoStyle {
  /// Keeps the '=' at the end of base64.
  bool pad = false;
  /// Writes for how many packets the key may be used.
  bool lifetime = false;
};
/// The value of an a=crypto attribute.
std::string write_crypto(const CryptoLine& line, CryptoStyle style);

/// What a request says about SDES: its key `SDES`, or its flags `SDES-`. Suite names may be in any case.
struct SdesPolicy {
  /// No lines at all.
  bool off = false;
  /// Suites that are left out.
  std::vector<std::string> without;
  /// The only suites that are used; empty = all. Counts more than `without`.
  std::vector<std::string> only;
  /// The offer gets no lines of the relay's own. Counts more than `only` and `without`.
  bool no_new = false;
  /// Suites that come first, in this order.
  std::vector<std::string> order;

  /// True if the relay may add or keep a line with this suite.
  [[nodiscard]] bool allows(const SrtpSuiteRow& suite) const;
};

/// Makes a random key and salt for a line of the relay's own.
using FreshKey = std::function<SecretBytes<46>(const SrtpSuiteRow&)>;

/// Rules of the configuration and the request.
struct SdesOfferRules {
  /// Also offer suites that the relay never chooses itself (option `sdes-legacy-suites`).
  bool legacy = false;
  /// Lines of the offerer get keys of the relay (flag `recrypt`).
  bool recrypt = false;
};
/// Returns the lines of an offer: those of the offerer with their tags and keys, then new ones with tags
/// above its highest one.
std::vector<CryptoLine> sdes_offer(std::span<const CryptoLine> offerers, const SdesPolicy& policy,
                                   SdesOfferRules rules, const FreshKey& fresh);

}  // namespace ferry::sdp
