// SPDX-License-Identifier: Apache-2.0
// Moves medias between the transports of a party, as BUNDLE asks for (RFC 9143). Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/session/services.hpp"

namespace ferry {

/// Puts `media` on `transport`, which belongs to the same party. If the transport that the media leaves
/// carries nothing any more, its ports close and it is removed.
void carry_by(const Services& services, Media& media, MediaTransport& transport);

}  // namespace ferry
