// The back ends by name.
#pragma once

#include "relay/core/srtp/srtp_cipher.hpp"

#include <memory>
#include <span>
#include <string_view>

namespace ferry {

/// `openssl` (the packet path's own), `libsrtp2`, and `ipsec-mb` where it is part of the build.
std::span<const std::string_view> srtp_backend_names() noexcept;
/// Null if nobody knows the name.
std::shared_ptr<const SrtpBackend> make_srtp_backend(std::string_view name);

}  // namespace ferry
