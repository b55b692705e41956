// SPDX-License-Identifier: Apache-2.0
#include "control/call/media_dtls.hpp"

#include "relay/base/random.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

namespace {

constexpr std::size_t kTlsId = 32;  // hexadecimal digits: 128 bits (RFC 8842 §4 asks for 120)

/// Chooses what the party is shown of us. An identity that it was shown once stays.
void show(MediaDtls& dtls, const DtlsWishes& wishes, const std::shared_ptr<const DtlsIdentity>& identity) {
  if (!dtls.identity) dtls.identity = identity;
  if (wishes.hash) dtls.hash = *wishes.hash;
  if (wishes.no_tls_id)
    dtls.tls_id.clear();
  else if (dtls.tls_id.empty())
    dtls.tls_id = random_hex(kTlsId);
}

/// True if the party asks for another handshake than the one that was made (RFC 8842 §4).
bool is_another(const MediaDtls& dtls) {
  if (dtls.handshake_peer.fingerprints.empty()) return false;
  const bool other_id = !dtls.handshake_peer.tls_id.empty() && !dtls.theirs.tls_id.empty() &&
                        dtls.handshake_peer.tls_id != dtls.theirs.tls_id;
  return other_id || dtls.handshake_peer.fingerprints != dtls.theirs.fingerprints ||
         dtls.handshake_role != dtls.role;
}

/// A number that no association of this transport has had.
std::uint32_t next_association(const MediaDtls& dtls) {
  return std::max(dtls.association, dtls.agreed.association) + 1;
}

/// Puts the party's lines and our role in force, and begins another association if they ask for one.
void agree(MediaDtls& dtls) {
  if (is_another(dtls)) dtls.association = next_association(dtls);
  dtls.handshake_peer = dtls.theirs;
  dtls.handshake_role = dtls.role;
  dtls.in_use = true;
  dtls.plan.reset();
}

void remember_agreement(MediaDtls& dtls) { dtls.agreed = {dtls.shown_at, dtls.association, dtls.tls_id}; }

}  // namespace

bool is_usable(const sdp::DtlsDescription& theirs, const DtlsConfig& config) {
  return config.backend && std::ranges::any_of(theirs.fingerprints, [&](const Fingerprint& each) {
           return each.hash != FingerprintHash::kSha1 || config.allow_sha1;
         });
}

void offer_dtls(MediaDtls& dtls, const DtlsWishes& wishes,
                const std::shared_ptr<const DtlsIdentity>& identity) {
  show(dtls, wishes, identity);
  dtls.offered_to_peer = true;
}

void show_at(MediaDtls& dtls, const Endpoint& local) {
  const Endpoint before = std::exchange(dtls.shown_at, local);
  if (!before.is_set() || before == local) return;
  dtls.plan.reset();
  if (local == dtls.agreed.at) {
    // The offer that moved us was refused, or the party came back.
    dtls.association = dtls.agreed.association;
    if (!dtls.tls_id.empty()) dtls.tls_id = dtls.agreed.tls_id;
    return;
  }
  dtls.association = next_association(dtls);
  if (!dtls.tls_id.empty()) dtls.tls_id = random_hex(kTlsId);
}

void note_dtls_offer(MediaDtls& dtls, sdp::DtlsDescription theirs, const DtlsWishes& wishes) {
  dtls.theirs = std::move(theirs);
  dtls.offered_by_peer = !dtls.theirs.fingerprints.empty();
  if (wishes.passive) dtls.is_passive = *wishes.passive;
}

bool takes_dtls(const MediaDtls* offered, const sdp::MediaSection& answer, const Request& request,
                const DtlsConfig& config) {
  if (offered == nullptr || !offered->offered_to_peer || request.dtls.off) return false;
  if (request.sdes.is_preferred && answer.find("crypto") != nullptr) return false;
  return is_usable(sdp::read_dtls(answer), config);
}

void take_dtls_answer(MediaDtls& dtls, sdp::DtlsDescription theirs) {
  dtls.theirs = std::move(theirs);
  // A party that does not say which role it takes begins the handshake (RFC 5763 §5).
  dtls.role = dtls.theirs.setup == sdp::Setup::kPassive ? DtlsRole::kClient : DtlsRole::kServer;
  agree(dtls);
  remember_agreement(dtls);
}

// An `actpass` offer that comes again does not change the roles: the association goes on (RFC 8842 §5.5).
void answer_dtls(MediaDtls& dtls, const DtlsWishes& wishes, const DtlsConfig& config,
                 const std::shared_ptr<const DtlsIdentity>& identity) {
  show(dtls, wishes, identity);
  const bool keeps = dtls.in_use && dtls.theirs.setup == sdp::Setup::kActpass &&
                     dtls.handshake_peer.fingerprints == dtls.theirs.fingerprints;
  if (!keeps) {
    const bool waits =
        dtls.theirs.setup == sdp::Setup::kActive || dtls.theirs.setup == sdp::Setup::kNone ||
        (dtls.theirs.setup == sdp::Setup::kActpass && dtls.is_passive.value_or(config.is_passive));
    dtls.role = waits ? DtlsRole::kServer : DtlsRole::kClient;
  }
  const std::uint32_t before = dtls.association;
  agree(dtls);
  // A new association needs a new `tls-id`.
  if (dtls.association != before && !dtls.tls_id.empty()) dtls.tls_id = random_hex(kTlsId);
  remember_agreement(dtls);
}

void forget_dtls(MediaDtls& dtls) {
  if (dtls.in_use) {
    // The next handshake is another association, whatever comes.
    dtls.association = next_association(dtls);
    dtls.handshake_peer = {};
    dtls.agreed = {};
  }
  dtls.in_use = false;
  dtls.plan.reset();
}

sdp::SectionEdit::Dtls dtls_lines(const MediaDtls& dtls, bool is_answer) {
  if (!dtls.identity || !(is_answer ? dtls.in_use : dtls.offered_to_peer)) return {};
  const std::string_view setup = !is_answer                       ? "actpass"
                                 : dtls.role == DtlsRole::kServer ? "passive"
                                                                  : "active";
  return {std::string(setup), sdp::write_fingerprint(dtls.identity->fingerprint(dtls.hash)), dtls.tls_id};
}

std::shared_ptr<const DtlsPlan> dtls_plan(MediaDtls& dtls, bool answered, std::uint64_t call,
                                          const DtlsConfig& config) {
  const bool may_begin = dtls.in_use || (!answered && dtls.offered_to_peer);
  if (!may_begin || !dtls.identity) return nullptr;
  if (dtls.plan) return dtls.plan;
  auto plan = std::make_shared<DtlsPlan>();
  plan->identity = dtls.identity;
  // If the address moved, the answer says which side begins; until then only the peer may.
  const bool is_moved = dtls.agreed.at.is_set() && dtls.agreed.at != dtls.shown_at;
  plan->role = dtls.in_use && !is_moved ? dtls.role : DtlsRole::kServer;
  if (dtls.in_use) plan->peer = dtls.handshake_peer.fingerprints;
  plan->association = dtls.association;
  plan->allow_sha1 = config.allow_sha1;
  plan->call = call;
  dtls.plan = plan;
  return plan;
}

}  // namespace ferry
