// DTLS-SRTP of one media: what was offered, what was taken, and the handshake that follows (RFC 5763, RFC
// 8842, media-security section 5).
#pragma once

#include "control/sdp/dtls.hpp"
#include "control/sdp/write.hpp"
#include "control/session/request.hpp"
#include "relay/core/dtls/dtls.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// The same for all calls.
struct DtlsConfig {
  /// Null: nothing is offered or taken.
  std::shared_ptr<const DtlsBackend> backend;
  /// Fingerprints of SHA-1 count (DTL-8).
  bool allow_sha1 = false;
  /// We wait for offerers that leave the choice to us.
  bool is_passive = false;
};

/// Between this relay and one party, for one section.
struct MediaDtls {
  /// What the party was or will be shown; stays for the life of the media.
  std::shared_ptr<const DtlsIdentity> identity;
  FingerprintHash hash = FingerprintHash::kSha256;
  /// Ours; empty = none is shown.
  std::string tls_id;

  /// In the party's last SDP.
  sdp::DtlsDescription theirs;
  bool offered_by_peer = false;
  bool offered_to_peer = false;
  /// We wait for the party to begin where it leaves the choice (key `DTLS`); unset = as configured.
  std::optional<bool> is_passive;

  /// Agreed: keys come by DTLS. In force until the next answer.
  bool in_use = false;
  DtlsRole role = DtlsRole::kServer;
  /// Whom the handshake was made for; another certificate, `tls-id` or role asks for another one.
  sdp::DtlsDescription made_for;
  DtlsRole made_as = DtlsRole::kServer;
  std::uint32_t association = 1;
  /// Our own address that `tls_id` and `association` are of; unset = never shown (see `show_at`).
  Endpoint shown_at;
  /// The last agreed ones, for an offer that goes back to their address; `at` unset = none were agreed on.
  struct Agreed {
    Endpoint at;
    std::uint32_t association = 0;
    std::string tls_id;
  };
  Agreed agreed;
  /// Of the above; null after a change.
  std::shared_ptr<const DtlsPlan> plan;
};

/// It has a fingerprint that we would compare with.
[[nodiscard]] bool is_usable(const sdp::DtlsDescription& theirs, const DtlsConfig& config);

/// Readies `dtls` for an offer to the party.
void offer_dtls(MediaDtls& dtls, const DtlsWishes& wishes,
                const std::shared_ptr<const DtlsIdentity>& identity);
/// The next SDP for the party shows our address `local`. Another one than before is another transport, which
/// has an association of its own (DTL-1, RFC 8842 §3.2): `tls-id` changes with it, and comes back with the
/// agreed address.
void show_at(MediaDtls& dtls, const Endpoint& local);
/// The party's offer, or that it has none.
void note_dtls_offer(MediaDtls& dtls, sdp::DtlsDescription theirs, const DtlsWishes& wishes);
/// Whether an answer takes what was offered.
[[nodiscard]] bool takes_dtls(const MediaDtls* offered, const sdp::MediaSection& answer,
                              const Request& request, const DtlsConfig& config);
/// The party's answer takes it.
void take_dtls_answer(MediaDtls& dtls, sdp::DtlsDescription theirs);
/// Our answer takes the party's offer.
void answer_dtls(MediaDtls& dtls, const DtlsWishes& wishes, const DtlsConfig& config,
                 const std::shared_ptr<const DtlsIdentity>& identity);
/// Keys come by something else, or not at all.
void forget_dtls(MediaDtls& dtls);

/// Of an SDP for the party. Empty texts if there is nothing to show.
[[nodiscard]] sdp::SectionEdit::Dtls dtls_lines(const MediaDtls& dtls, bool is_answer);

/// What the worker is told; null if no handshake may happen. `call` is the call's number.
std::shared_ptr<const DtlsPlan> dtls_plan(MediaDtls& dtls, bool answered, std::uint64_t call,
                                          const DtlsConfig& config);

}  // namespace ferry
