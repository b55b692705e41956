// SPDX-License-Identifier: Apache-2.0
#include "control/sdp/dtls.hpp"

#include "control/sdp/words.hpp"

#include <algorithm>

namespace ferry::sdp {

namespace {

constexpr std::size_t kMaxFingerprints = 16;
// RFC 8842 §4: a tls-id has 20 to 255 characters.
constexpr std::size_t kMaxTlsId = 255;

std::optional<unsigned> hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

Setup parse_setup(std::string_view value) noexcept {
  if (equal_ignoring_case(value, "actpass")) return Setup::kActpass;
  if (equal_ignoring_case(value, "active")) return Setup::kActive;
  if (equal_ignoring_case(value, "passive")) return Setup::kPassive;
  return Setup::kNone;
}

}  // namespace

std::optional<FingerprintHash> parse_hash(std::string_view name) noexcept {
  for (const FingerprintHashRow& row : kFingerprintHashes) {
    std::string bare(row.name);
    std::erase(bare, '-');
    if (equal_ignoring_case(name, row.name) || equal_ignoring_case(name, bare)) return row.hash;
  }
  return std::nullopt;
}

std::optional<Fingerprint> parse_fingerprint(std::string_view value) {
  const auto hash = parse_hash(next_word(value));
  if (!hash) return std::nullopt;
  Fingerprint fingerprint{*hash, {}};
  std::string_view rest = trim(value);
  while (rest.size() >= 2) {
    const auto high = hex_digit(rest[0]);
    const auto low = hex_digit(rest[1]);
    if (!high || !low) return std::nullopt;
    fingerprint.octets.push_back(static_cast<std::byte>(*high << 4 | *low));
    rest.remove_prefix(2);
    // A colon stands between two octets, never behind the last one (RFC 8122 §5).
    if (rest.size() < 3 || rest.front() != ':') break;
    rest.remove_prefix(1);
  }
  if (!rest.empty() || fingerprint.octets.size() != row_of(*hash).octets) return std::nullopt;
  return fingerprint;
}

std::string write_fingerprint(const Fingerprint& fingerprint) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text(row_of(fingerprint.hash).name);
  char before = ' ';
  for (const std::byte octet : fingerprint.octets) {
    text.push_back(before);
    text.push_back(kDigits[std::to_integer<std::size_t>(octet >> 4)]);
    text.push_back(kDigits[std::to_integer<std::size_t>(octet & std::byte{15})]);
    before = ':';
  }
  return text;
}

DtlsDescription read_dtls(const MediaSection& section) {
  DtlsDescription dtls;
  for (const std::string_view value : section.fingerprints) {
    auto fingerprint = parse_fingerprint(value);
    if (fingerprint && dtls.fingerprints.size() < kMaxFingerprints)
      dtls.fingerprints.push_back(std::move(*fingerprint));
  }
  dtls.setup = parse_setup(section.setup);
  dtls.tls_id = section.tls_id.substr(0, kMaxTlsId);
  return dtls;
}

}  // namespace ferry::sdp
