// SPDX-License-Identifier: Apache-2.0
#include "control/sdp/extmap.hpp"

#include "control/sdp/words.hpp"

#include <algorithm>
#include <array>

namespace ferry::sdp {

namespace {

constexpr unsigned kFirstProvisionalId = 4096;
constexpr unsigned kLastProvisionalId = 4351;
constexpr std::array<Direction, 4> kDirections = {
    {{true, true}, {true, false}, {false, true}, {false, false}}};

}  // namespace

std::optional<Extmap> parse_extmap(std::string_view value) noexcept {
  Extmap map;
  std::string_view number = next_word(value);
  if (const auto slash = number.find('/'); slash != std::string_view::npos) {
    const std::string_view word = number.substr(slash + 1);
    const auto found = std::ranges::find_if(
        kDirections, [&](Direction direction) { return equal_ignoring_case(to_string(direction), word); });
    if (found == kDirections.end()) return std::nullopt;
    map.direction = *found;
    number = number.substr(0, slash);
  }
  const bool is_number = read_number(number, map.id);
  const bool is_provisional = map.id >= kFirstProvisionalId && map.id <= kLastProvisionalId;
  if (!is_number || map.id == 0 || (map.id > kLargestExtensionId && !is_provisional)) return std::nullopt;
  map.uri = next_word(value);
  if (map.uri.empty()) return std::nullopt;
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  while (value.ends_with(' ')) value.remove_suffix(1);
  map.attributes = value;
  return map;
}

std::vector<Extmap> extmaps_of(const Session& session, const MediaSection& section) {
  std::vector<Extmap> maps;
  for (const std::vector<Attribute>* level : {&section.attributes, &session.attributes}) {
    for (const Attribute& attribute : *level) {
      if (attribute.name != "extmap") continue;
      const auto map = parse_extmap(attribute.value);
      if (!map) continue;
      const bool is_known = std::ranges::any_of(
          maps, [&](const Extmap& other) { return other.id == map->id || other.uri == map->uri; });
      if (!is_known) maps.push_back(*map);
    }
  }
  return maps;
}

bool allows_mixed_extensions(const Session& session, const MediaSection& section) {
  constexpr std::string_view kName = "extmap-allow-mixed";
  return section.find(kName) != nullptr ||
         std::ranges::find(session.attributes, kName, &Attribute::name) != session.attributes.end();
}

std::string write_extmap(unsigned id, Direction direction, std::string_view uri,
                         std::string_view attributes) {
  std::string text = std::to_string(id);
  if (!direction.send || !direction.receive) text.append("/").append(to_string(direction));
  text.append(" ").append(uri);
  if (!attributes.empty()) text.append(" ").append(attributes);
  return text;
}

}  // namespace ferry::sdp
