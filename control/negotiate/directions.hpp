// SPDX-License-Identifier: Apache-2.0
// Offers and answers about the direction of one section (RFC 3264 §5.1, §6.1, RFC 8866 §6.7,
// docs/reference/ng.md#direction). Pure. Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/request/request.hpp"
#include "control/sdp/sdp.hpp"

#include <vector>

namespace ferry {

/// The direction of a party whose SDP names the unspecified address and has no ICE. It may send, but cannot
/// receive: this is how RFC 2543 puts a call on hold.
constexpr sdp::Direction kOnHold{true, false};

/// Notes what the party of `media` may send and receive: what its SDP says (`said`), as far as the command
/// lets it (`most`). Two parties may do what they say, unless one is on hold (`kOnHold`). A publisher
/// receives with flag `bidirectional` only, and a subscriber sends only if it was offered to.
void take_direction(Media& media, sdp::Direction said, sdp::Direction most = {});

/// True if the section puts its party on hold by the unspecified address. With ICE that address means
/// nothing, because the candidates count.
[[nodiscard]] bool is_on_hold(const sdp::MediaSection& section);

/// The direction that a subscriber is offered, from the relay's side, for a section that copies `sources`. It
/// hears something if a source sends (with flag `egress`: receives) by the terms in force (LAT-15), and may
/// speak with flag `bidirectional` if a source receives. Flag `inactive` ends both.
[[nodiscard]] sdp::Direction copied_direction(const std::vector<Media*>& sources, const Request& request);

}  // namespace ferry
