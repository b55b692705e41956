// SPDX-License-Identifier: Apache-2.0
#include "relay/srtp/backends.hpp"

#include "relay/srtp/evp_backend.hpp"
#include "relay/srtp/libsrtp_backend.hpp"
#ifdef FERRY_HAS_IPSEC_MB
#include "relay/srtp/ipsec_mb_backend.hpp"
#endif

#include <array>

namespace ferry {

std::span<const std::string_view> srtp_backend_names() noexcept {
#ifdef FERRY_HAS_IPSEC_MB
  static constexpr std::array<std::string_view, 3> kNames = {"openssl", "libsrtp2", "ipsec-mb"};
#else
  static constexpr std::array<std::string_view, 2> kNames = {"openssl", "libsrtp2"};
#endif
  return kNames;
}

std::shared_ptr<const SrtpBackend> make_srtp_backend(std::string_view name) {
  if (name == "openssl") return std::make_shared<EvpBackend>();
  if (name == "libsrtp2") return std::make_shared<LibsrtpBackend>();
#ifdef FERRY_HAS_IPSEC_MB
  if (name == "ipsec-mb") return std::make_shared<IpsecMbBackend>();
#endif
  return nullptr;
}

}  // namespace ferry
