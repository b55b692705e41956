// SPDX-License-Identifier: Apache-2.0
#include "control/record/places.hpp"

namespace ferry {

using nlohmann::json;

Leg* JsonValue<Leg*>::load(const json& from, const RecordContext& context) {
  return &leg_at(*context.call, JsonValue<unsigned>::load(from, context));
}

Media* JsonValue<Media*>::load(const json& from, const RecordContext& context) {
  return &media_at(*context.call, JsonValue<MediaId>::load(from, context));
}

}  // namespace ferry
