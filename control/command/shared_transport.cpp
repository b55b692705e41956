// SPDX-License-Identifier: Apache-2.0
#include "control/command/shared_transport.hpp"

#include "control/session/ports_desk.hpp"

#include <utility>

namespace ferry {

void carry_by(const Services& services, Media& media, MediaTransport& transport) {
  MediaTransport* left = std::exchange(media.via, &transport);
  if (left == &transport || !left->medias().empty()) return;
  services.ports.close_all(*media.call, *left);
  media.leg->transports.remove_if([&](const MediaTransport& each) { return &each == left; });
}

}  // namespace ferry
