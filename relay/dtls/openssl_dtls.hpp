// SPDX-License-Identifier: Apache-2.0
// DTLS 1.2 by OpenSSL (DTL-7, DTL-8, DTL-10).
#pragma once

#include "relay/core/dtls/dtls.hpp"

namespace ferry {

/// Makes and reads identities whose associations run DTLS 1.2 by OpenSSL. Has no state; any thread.
class OpenSslDtls final : public DtlsBackend {
 public:
  [[nodiscard]] std::shared_ptr<const DtlsIdentity> make_identity() const override;
  [[nodiscard]] std::shared_ptr<const DtlsIdentity> identity_of(const std::string& pem) const override;
};

}  // namespace ferry
