// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/judge.hpp"

#include <cstddef>

namespace ferry {

Hearers::Hearers(const CallEvidence& call) {
  for (const LegEvidence& leg : call.legs) {
    first_place.push_back(places);
    places += leg.medias.size();
  }
  of.resize(places);
  for (std::size_t leg = 0; leg < call.legs.size(); ++leg) {
    for (std::size_t media = 0; media < call.legs[leg].medias.size(); ++media) {
      const MediaEvidence& receiver = call.legs[leg].medias[media];
      if (receiver.is_rejected) continue;
      for (const MediaEvidence::Source& source : receiver.sources)
        of[place_of(source)].push_back({leg, media});
    }
  }
}

}  // namespace ferry
