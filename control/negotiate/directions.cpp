// SPDX-License-Identifier: Apache-2.0
#include "control/negotiate/directions.hpp"

#include "control/sdp/ice.hpp"

#include <algorithm>

namespace ferry {

void take_direction(Media& media, sdp::Direction said, sdp::Direction most) {
  media.may_send = said.send && most.send;
  media.may_receive = said.receive && most.receive;
}

bool is_on_hold(const sdp::MediaSection& section) {
  return section.connection && section.connection->is_unspecified() && !sdp::read_ice(section).is_there();
}

sdp::Direction copied_direction(const std::vector<Media*>& sources, const Request& request) {
  if (request.has_flag(Flag::kInactive)) return {false, false};
  const bool is_egress = request.has_flag(Flag::kEgress);
  const auto receives = [](const Media* source) { return source->in_force().may_receive; };
  const auto sends = [&](const Media* source) {
    return is_egress ? receives(source) : source->in_force().may_send;
  };
  return {std::ranges::any_of(sources, sends),
          request.has_flag(Flag::kBidirectional) && std::ranges::any_of(sources, receives)};
}

}  // namespace ferry
