// SPDX-License-Identifier: Apache-2.0
// DTLS on paper: certificates with a fingerprint, for tests of signalling in which no handshake happens.
#pragma once

#include "relay/core/dtls/dtls.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace ferry::test {

/// A certificate that never takes part in a handshake.
class PaperIdentity final : public DtlsIdentity {
 public:
  [[nodiscard]] Fingerprint fingerprint(FingerprintHash hash) const override {
    return {hash, std::vector<std::byte>(row_of(hash).octets, std::byte{1})};
  }
  [[nodiscard]] std::unique_ptr<DtlsAssociation> make(DtlsRole, bool) const override { return nullptr; }
  [[nodiscard]] Cookie cookie(Bytes) const override { return {}; }
  [[nodiscard]] std::string pem() const override { return {}; }
};
class PaperBackend final : public DtlsBackend {
 public:
  [[nodiscard]] std::shared_ptr<const DtlsIdentity> make_identity() const override {
    return std::make_shared<PaperIdentity>();
  }
  [[nodiscard]] std::shared_ptr<const DtlsIdentity> identity_of(const std::string&) const override {
    return nullptr;
  }
};

}  // namespace ferry::test
