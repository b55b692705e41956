// a=setup, a=fingerprint and a=tls-id (RFC 4145 §4, RFC 8122 §5, RFC 8842 §4).
#pragma once

#include "control/sdp/sdp.hpp"
#include "relay/base/fingerprint.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

enum class Setup : std::uint8_t { kNone, kActpass, kActive, kPassive };

/// What a party says of its own DTLS.
struct DtlsDescription {
  /// Of hashes that we know; others are passed over.
  std::vector<Fingerprint> fingerprints;
  Setup setup = Setup::kNone;
  std::string tls_id;
  bool operator==(const DtlsDescription&) const = default;
};

/// Without fingerprints if the section has none that can be read.
[[nodiscard]] DtlsDescription read_dtls(const MediaSection& section);

/// Of an a=fingerprint value. Nothing if the hash is unknown or the octets are not those of it.
[[nodiscard]] std::optional<Fingerprint> parse_fingerprint(std::string_view value);
[[nodiscard]] std::string write_fingerprint(const Fingerprint& fingerprint);

/// `SHA-256` and the like, in any case, with or without the dash.
[[nodiscard]] std::optional<FingerprintHash> parse_hash(std::string_view name) noexcept;

}  // namespace ferry::sdp
