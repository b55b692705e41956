// SPDX-License-Identifier: Apache-2.0
#include "control/telemetry/ng_capture.hpp"

#include "control/sdp/secrets.hpp"

namespace ferry::telemetry {

namespace {

/// Every text may be SDP, whatever its key.
Value shown(const Value& value) {
  if (const std::string* text = value.string()) return Value(sdp::without_secrets(*text));
  if (const Dict* dict = value.dict()) return Value(without_secrets(*dict));
  const List* list = value.list();
  if (list == nullptr) return value;
  List copy;
  for (const Value& each : *list) copy.push_back(shown(each));
  return Value(std::move(copy));
}

}  // namespace

Dict without_secrets(const Dict& message) {
  Dict copy;
  for (const DictEntry& entry : message) {
    const bool is_sound = entry.key == "blob" || entry.key == "blob64";
    copy.set(entry.key, is_sound ? Value("(left out)") : shown(entry.value));
  }
  return copy;
}

}  // namespace ferry::telemetry
