// SPDX-License-Identifier: Apache-2.0
// Reads and writes a=setup, a=fingerprint and a=tls-id (RFC 4145 §4, RFC 8122 §5, RFC 8842 §4). Pure.
#pragma once

#include "control/sdp/sdp.hpp"
#include "relay/core/dtls/fingerprint.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// Value of a=setup; kNone if there is none.
enum class Setup : std::uint8_t { kNone, kActpass, kActive, kPassive };

/// What a party's SDP says about its DTLS.
struct DtlsDescription {
  /// Fingerprints by hashes that the relay knows; others are skipped.
  std::vector<Fingerprint> fingerprints;
  Setup setup = Setup::kNone;
  /// Empty = none.
  std::string tls_id;
  bool operator==(const DtlsDescription&) const = default;
};

/// Reads the attributes of a section. `fingerprints` is empty if the section has none that can be read.
[[nodiscard]] DtlsDescription read_dtls(const MediaSection& section);

/// Parses the value of a=fingerprint: a hash and its octets, with one colon between two octets and none
/// elsewhere (RFC 8122 §5). Nothing if the value has another form, the hash is unknown, or its octets
/// are too few or too many.
[[nodiscard]] std::optional<Fingerprint> parse_fingerprint(std::string_view value);
/// Writes the value of a=fingerprint.
[[nodiscard]] std::string write_fingerprint(const Fingerprint& fingerprint);

/// Finds a hash by its name, such as `SHA-256`, in any case, with or without the hyphen. Nothing if it is
/// unknown.
[[nodiscard]] std::optional<FingerprintHash> parse_hash(std::string_view name) noexcept;

}  // namespace ferry::sdp
