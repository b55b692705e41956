// SPDX-License-Identifier: Apache-2.0
#include "control/call/media_extensions.hpp"

#include <algorithm>

namespace ferry {

namespace {

using Entry = MediaExtensions::Entry;

}  // namespace

Entry* MediaExtensions::find(std::string_view uri) {
  const auto found = std::ranges::find(entries, uri, &Entry::uri);
  return found == entries.end() ? nullptr : &*found;
}

const Entry* MediaExtensions::find(std::string_view uri) const {
  const auto found = std::ranges::find(entries, uri, &Entry::uri);
  return found == entries.end() ? nullptr : &*found;
}

HeaderExtensionMap extension_map(const MediaExtensions* source, const MediaExtensions* sink, bool same_mid) {
  static const MediaExtensions kNothing;
  if (source == nullptr) source = &kNothing;
  if (sink == nullptr) sink = &kNothing;
  std::vector<HeaderExtensionMap::Entry> kept;
  bool is_same = source->entries.size() == sink->entries.size();
  for (const Entry& entry : source->entries) {
    const Entry* other = sink->find(entry.uri);
    const auto sends = source->in_force(entry);
    const auto receives = other == nullptr ? std::nullopt : sink->in_force(*other);
    const bool passes = sends && sends->send && receives && receives->receive && entry.id != 0 &&
                        other->id != 0 && (entry.uri != kMidExtension || same_mid);
    if (passes) kept.push_back({entry.id, other->id});
    is_same = is_same && passes && entry.id == other->id;
  }
  return is_same ? HeaderExtensionMap() : HeaderExtensionMap(std::move(kept));
}

}  // namespace ferry
