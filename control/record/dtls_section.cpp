// SPDX-License-Identifier: Apache-2.0
#include "control/record/dtls_section.hpp"

#include <stdexcept>

namespace ferry {

using nlohmann::json;

json JsonValue<Fingerprint>::save(const Fingerprint& fingerprint, const RecordContext&) {
  return sdp::write_fingerprint(fingerprint);
}

Fingerprint JsonValue<Fingerprint>::load(const json& from, const RecordContext&) {
  auto fingerprint = sdp::parse_fingerprint(from.get<std::string>());
  if (!fingerprint) throw std::invalid_argument("it is no fingerprint");
  return std::move(*fingerprint);
}

json JsonValue<FingerprintHash>::save(FingerprintHash hash, const RecordContext&) {
  return row_of(hash).name;
}

FingerprintHash JsonValue<FingerprintHash>::load(const json& from, const RecordContext&) {
  const auto hash = sdp::parse_hash(from.get<std::string>());
  if (!hash) throw std::invalid_argument("it is no hash function");
  return *hash;
}

json JsonValue<std::shared_ptr<const DtlsIdentity>>::save(const std::shared_ptr<const DtlsIdentity>& identity,
                                                          const RecordContext&) {
  return identity ? json(identity->pem()) : json();
}

std::shared_ptr<const DtlsIdentity> JsonValue<std::shared_ptr<const DtlsIdentity>>::load(
    const json& from, const RecordContext& context) {
  if (from.is_null()) return nullptr;
  const auto pem = from.get<std::string>();
  if (context.dtls == nullptr || !context.dtls->backend) return nullptr;
  auto identity = context.dtls->backend->identity_of(pem);
  if (!identity) throw std::invalid_argument("it is no certificate with its key");
  return identity;
}

}  // namespace ferry
