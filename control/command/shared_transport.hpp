// Medias move onto a transport that others have, as BUNDLE asks for (RFC 9143).
#pragma once

#include "control/call/call.hpp"
#include "control/session/services.hpp"

namespace ferry {

/// Lets `transport`, which belongs to the same party, carry `media`. The transport that the media leaves is
/// closed and ends if nothing is left on it.
void carry_by(const Services& services, Media& media, MediaTransport& transport);

}  // namespace ferry
