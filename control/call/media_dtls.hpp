// SPDX-License-Identifier: Apache-2.0
// DTLS-SRTP of one transport: what was offered, what was taken, and the handshake that follows (RFC 5763, RFC
// 8842; rules DTL-1 to DTL-14). Control thread only.
//
// An offer goes `note_dtls_offer` (the offerer's own) and `offer_dtls` (toward the receiver); its answer goes
// `take_dtls_answer` and `answer_dtls`, or `forget_dtls` on a side that is keyed otherwise. `show_at` comes
// before each SDP that shows our ports, and `dtls_plan` gives what the worker is told.
#pragma once

#include "control/request/request.hpp"
#include "control/sdp/dtls.hpp"
#include "control/sdp/write.hpp"
#include "relay/core/dtls/dtls.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// The settings of DTLS, the same for all calls.
struct DtlsConfig {
  /// Makes handshakes. Null = DTLS is neither offered nor taken.
  std::shared_ptr<const DtlsBackend> backend;
  /// True if fingerprints of SHA-1 count too (option `dtls-sha1`, DTL-8).
  bool allow_sha1 = false;
  /// True if the relay waits for offerers that leave the choice to it (option `dtls-passive`). By default it
  /// begins the handshake.
  bool is_passive = false;
};

/// DTLS between this relay and one party, on one transport.
struct MediaDtls {
  /// The certificate that the party was or will be shown. It stays for the life of the transport; null before
  /// the first SDP with DTLS.
  std::shared_ptr<const DtlsIdentity> identity;
  /// The hash of our fingerprint.
  FingerprintHash hash = FingerprintHash::kSha256;
  /// Our `a=tls-id` (RFC 8842 §4), 32 hexadecimal digits. Empty = none is shown.
  std::string tls_id;

  /// The DTLS lines of the party's last SDP.
  sdp::DtlsDescription theirs;
  /// True if the party's last offer had a fingerprint.
  bool offered_by_peer = false;
  /// True if the party was offered DTLS.
  bool offered_to_peer = false;
  /// True if we wait for the party to begin where it leaves the choice (key `DTLS`). Unset = as configured.
  std::optional<bool> is_passive;

  /// True if the keys come by DTLS. Agreed by an answer, and in force until the next one.
  bool in_use = false;
  /// Our role in the handshake.
  DtlsRole role = DtlsRole::kServer;
  /// The party's lines and our role, as the handshake was told them. Another certificate, `tls-id` or role
  /// asks for another handshake (RFC 8842 §4). Without fingerprints there was none.
  sdp::DtlsDescription handshake_peer;
  DtlsRole handshake_role = DtlsRole::kServer;
  /// The number of the association, from 1. The worker begins another handshake when it changes.
  std::uint32_t association = 1;
  /// Our address that `tls_id` and `association` belong to. Unset = never shown (see `show_at`).
  Endpoint shown_at;
  /// The association that was agreed last. An offer that goes back to its address goes back to it.
  struct Agreed {
    /// Our address of that association. Unset = none was agreed.
    Endpoint at;
    /// `association` and `tls_id` at that address.
    std::uint32_t association = 0;
    std::string tls_id;
  };
  Agreed agreed;
  /// Cache of the plan that was made from the members above. Reset when one of them changes; `dtls_plan`
  /// makes it again.
  std::shared_ptr<const DtlsPlan> plan;
};

/// True if `theirs` has a fingerprint that we would compare with.
[[nodiscard]] bool is_usable(const sdp::DtlsDescription& theirs, const DtlsConfig& config);

/// Readies `dtls` for an offer to the party. `identity` is used if the party was shown none before.
void offer_dtls(MediaDtls& dtls, const DtlsWishes& wishes,
                const std::shared_ptr<const DtlsIdentity>& identity);
/// Notes that the next SDP for the party shows our address `local`. Another address than before is another
/// transport, which has an association of its own (DTL-1, RFC 8842 §3.2). So `tls-id` changes with the
/// address, and comes back with the agreed one.
void show_at(MediaDtls& dtls, const Endpoint& local);
/// Takes the lines of the party's offer, which may have none.
void note_dtls_offer(MediaDtls& dtls, sdp::DtlsDescription theirs, const DtlsWishes& wishes);
/// True if an answer takes the DTLS that was offered; `offered` is null if there was none. Lines of SDES come
/// first if the request prefers them.
[[nodiscard]] bool takes_dtls(const MediaDtls* offered, const sdp::MediaSection& answer,
                              const Request& request, const DtlsConfig& config);
/// Agrees to the party's answer, which takes our offer.
void take_dtls_answer(MediaDtls& dtls, sdp::DtlsDescription theirs);
/// Agrees to the party's offer, in our answer to it.
void answer_dtls(MediaDtls& dtls, const DtlsWishes& wishes, const DtlsConfig& config,
                 const std::shared_ptr<const DtlsIdentity>& identity);
/// Ends the agreement: the keys come by something else, or there are none.
void forget_dtls(MediaDtls& dtls);

/// The lines of an SDP for the party. The texts are empty if there is nothing to show.
[[nodiscard]] sdp::SectionEdit::Dtls dtls_lines(const MediaDtls& dtls, bool is_answer);

/// The handshake that the worker is told; null if none may happen. Before an answer the relay waits for the
/// peer to begin. `call` is `Call::serial`.
std::shared_ptr<const DtlsPlan> dtls_plan(MediaDtls& dtls, bool answered, std::uint64_t call,
                                          const DtlsConfig& config);

}  // namespace ferry
