// SPDX-License-Identifier: Apache-2.0
#include "control/command/own_section.hpp"

#include <algorithm>

namespace ferry {

const sdp::MediaSection* section_of(const sdp::Session& session, const Media& media) {
  const auto index = static_cast<std::size_t>(media.index) - 1;
  if (index < session.media.size() && session.media[index].type == media.type) return &session.media[index];
  const auto found = std::ranges::find(session.media, media.type, &sdp::MediaSection::type);
  return found == session.media.end() ? nullptr : &*found;
}

}  // namespace ferry
