// SPDX-License-Identifier: Apache-2.0
#include "relay/core/dtls/flights.hpp"

#include <algorithm>
#include <optional>

namespace ferry {

namespace {

// Largest message: a certificate of 16 kB (DTL-12) and its surroundings.
constexpr std::uint32_t kMostOctets = 17 * 1024;

// A message that may come, with the least and the largest number of octets in it.
struct MessageRow {
  std::uint8_t type;
  std::uint32_t least;
  std::uint32_t most;
};
// Messages that a client hears, by type: HelloRequest, ServerHello, HelloVerifyRequest, NewSessionTicket,
// Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone, CertificateStatus.
constexpr std::array<MessageRow, 9> kOfServer = {{{0, 0, 0},
                                                  {2, 38, kMostOctets},
                                                  {3, 3, 258},
                                                  {4, 6, kMostOctets},
                                                  {11, 3, kMostOctets},
                                                  {12, 4, kMostOctets},
                                                  {13, 3, kMostOctets},
                                                  {14, 0, 0},
                                                  {22, 4, kMostOctets}}};
// Messages that a server hears, by type: ClientHello, Certificate, CertificateVerify, ClientKeyExchange.
constexpr std::array<MessageRow, 4> kOfClient = {
    {{1, 38, kMostOctets}, {11, 3, kMostOctets}, {15, 4, kMostOctets}, {16, 1, kMostOctets}}};

template <std::size_t Rows>
bool has_row(const std::array<MessageRow, Rows>& rows, const HandshakePiece& piece) noexcept {
  return std::ranges::any_of(rows, [&](const MessageRow& row) {
    return row.type == piece.type && piece.length >= row.least && piece.length <= row.most;
  });
}

/// FNV-1a. It tells the messages of a peer apart and protects nothing.
std::uint64_t digest_of(Bytes octets) noexcept {
  std::uint64_t digest = 0xcbf29ce484222325;
  for (const std::byte each : octets)
    digest = (digest ^ std::to_integer<std::uint64_t>(each)) * 0x100000001b3;
  return digest;
}

}  // namespace

bool is_plausible(Bytes records, DtlsRole role) noexcept {
  PieceReader reader(records);
  while (const auto piece = reader.next()) {
    // Only a message without contents may have an empty piece.
    if (piece->octets.empty() && piece->length != 0) return false;
    if (!(role == DtlsRole::kClient ? has_row(kOfServer, *piece) : has_row(kOfClient, *piece))) return false;
  }
  return reader.is_good();
}

bool FlightWatch::note(Bytes records) noexcept {
  PieceReader reader(records);
  bool is_one = true;
  while (const auto piece = reader.next()) {
    // A server's flight has no more messages than this.
    if (piece->sequence >= seen_.size()) continue;
    Seen& seen = seen_[piece->sequence];
    const auto size = static_cast<std::uint32_t>(piece->octets.size());
    const std::uint64_t digest = digest_of(piece->octets);
    // The first message under a number is taken as it comes.
    if (!seen.is_set) {
      seen = {piece->type, piece->length, piece->offset, size, digest, true};
      continue;
    }
    // Pieces may be cut differently when repeated; only equal pieces can be compared.
    const bool is_same_piece = seen.offset == piece->offset && seen.size == size;
    if (seen.type != piece->type || seen.length != piece->length || (is_same_piece && seen.digest != digest))
      is_one = false;
  }
  return is_one;
}

}  // namespace ferry
