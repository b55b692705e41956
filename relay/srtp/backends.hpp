// SPDX-License-Identifier: Apache-2.0
// Makes the SRTP back end that the configuration names.
#pragma once

#include "relay/core/srtp/srtp_cipher.hpp"

#include <memory>
#include <span>
#include <string_view>

namespace ferry {

/// Names that `make_srtp_backend` knows in this build: `openssl` (the default), `libsrtp2`, and `ipsec-mb` if
/// it was built in.
std::span<const std::string_view> srtp_backend_names() noexcept;
/// A new back end; null if the name is not one of the above.
std::shared_ptr<const SrtpBackend> make_srtp_backend(std::string_view name);

}  // namespace ferry
