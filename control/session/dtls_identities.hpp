// SPDX-License-Identifier: Apache-2.0
// The certificate that the parties of new calls are shown.
#pragma once

#include "control/call/media_dtls.hpp"
#include "relay/base/types.hpp"

#include <memory>

namespace ferry {

/// Makes a new certificate each day (DTL-7). Running calls keep theirs. Control thread only.
class DtlsIdentities {
 public:
  /// `config` is borrowed.
  explicit DtlsIdentities(const DtlsConfig& config) : config_(config) {}
  /// The certificate of the day. Null if there is no DTLS. If a new one cannot be made, the former one stays.
  std::shared_ptr<const DtlsIdentity> current(Instant now);

 private:
  const DtlsConfig& config_;
  std::shared_ptr<const DtlsIdentity> identity_;
  Instant made_at_{};
};

}  // namespace ferry
