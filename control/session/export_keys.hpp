// The part of an exported call that is secret. Internal to the session library.
#pragma once

#include "control/session/media_dtls.hpp"
#include "control/session/media_ice.hpp"
#include "control/session/media_keys.hpp"
#include "relay/core/forward/transport.hpp"

#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

namespace ferry {

/// With the keys: whoever stores or sends it must encrypt it (SRT-15).
nlohmann::json keys_json(const MediaKeys* keys);
/// Throws std::exception on a damaged record.
std::unique_ptr<MediaKeys> keys_from(const nlohmann::json& j);

/// With the private key of the certificate.
nlohmann::json dtls_json(const MediaDtls* dtls);
std::unique_ptr<MediaDtls> dtls_from(const nlohmann::json& j, const DtlsConfig& config);
/// With the password of ICE.
nlohmann::json ice_json(const MediaIce* ice);
std::unique_ptr<MediaIce> ice_from(const nlohmann::json& j);
/// Which pairs are selected.
nlohmann::json pairs_json(const std::optional<TransportSnapshot::Ice>& ice);
std::optional<TransportSnapshot::Ice> pairs_from(const nlohmann::json& j);
/// What handshakes agreed on.
nlohmann::json handshakes_json(const std::optional<TransportSnapshot::Dtls>& dtls);
std::optional<TransportSnapshot::Dtls> handshakes_from(const nlohmann::json& j);

/// Keys with their indices and replay lists.
nlohmann::json contexts_json(const SrtpContexts::State& state);
SrtpContexts::State contexts_from(const nlohmann::json& j);

}  // namespace ferry
