// SPDX-License-Identifier: Apache-2.0
// The section of DTLS: certificates of both sides, and what was agreed. With the private key of ours: whoever
// stores or sends it must encrypt it (SRT-15).
#pragma once

#include "control/record/section.hpp"

namespace ferry {

template <>
inline constexpr unsigned kEnumerators<sdp::Setup> = 4;
template <>
inline constexpr unsigned kEnumerators<DtlsRole> = 2;

/// As in `a=fingerprint`.
template <>
struct JsonValue<Fingerprint> {
  static nlohmann::json save(const Fingerprint& fingerprint, const RecordContext&);
  static Fingerprint load(const nlohmann::json& from, const RecordContext&);
};
/// By its name in `a=fingerprint`.
template <>
struct JsonValue<FingerprintHash> {
  static nlohmann::json save(FingerprintHash hash, const RecordContext&);
  static FingerprintHash load(const nlohmann::json& from, const RecordContext&);
};
/// In PEM; null if there is none, or if this relay has no DTLS.
template <>
struct JsonValue<std::shared_ptr<const DtlsIdentity>> {
  static nlohmann::json save(const std::shared_ptr<const DtlsIdentity>& identity, const RecordContext&);
  static std::shared_ptr<const DtlsIdentity> load(const nlohmann::json& from, const RecordContext& context);
};

template <>
struct Fields<sdp::DtlsDescription> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("fingerprints", v.fingerprints);
    a("setup", v.setup);
    a("tls_id", v.tls_id);
  }
};

template <>
struct Fields<MediaDtls::Agreed> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("at", v.at);
    a("association", v.association);
    a("tls_id", v.tls_id);
  }
};

template <>
struct Fields<MediaDtls> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("identity", v.identity);
    a("hash", v.hash);
    a("tls_id", v.tls_id);
    a("theirs", v.theirs);
    a("offered_by_peer", v.offered_by_peer);
    a("offered_to_peer", v.offered_to_peer);
    a("is_passive", v.is_passive);
    a("in_use", v.in_use);
    a("role", v.role);
    a("made_for", v.handshake_peer);
    a("made_as", v.handshake_role);
    a("association", v.association);
    a("shown_at", v.shown_at);
    a("agreed", v.agreed);
    a.skip(v.plan);  // follows from the rest
  }
};

struct DtlsSection {
  static constexpr std::string_view kName = "dtls";
  static constexpr int kVersion = 1;
  static void save(const Call& call, ComponentsWriter& out) {
    each_transport(call, [&](const TransportPlace& place, const MediaTransport& transport) {
      if (transport.dtls) out.add(place, *transport.dtls);
    });
  }
  static void load(Call& call, const SavedComponent& saved) {
    saved.read(transport_at(call, saved.at<TransportPlace>()).ensure_dtls());
  }
};

}  // namespace ferry
