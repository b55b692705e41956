#include "control/session/media_extensions.hpp"

#include <algorithm>

namespace ferry {

namespace {

using sdp::Direction;
using Entry = MediaExtensions::Entry;

constexpr std::string_view kMid = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// RFC 6904: the element is encrypted under keys that the relay does not hand on (EXT-5).
constexpr std::string_view kEncrypted = "urn:ietf:params:rtp-hdrext:encrypt";
constexpr std::string_view kTransportCc =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

constexpr unsigned kLargestOneByteId = 14;
constexpr unsigned kReservedId = 15;

bool is_named(std::span<const std::string> words, std::string_view uri) {
  return std::ranges::any_of(words, [&](const std::string& word) { return word == uri || word == "all"; });
}

/// The direction as the other end sees it.
Direction reversed(Direction direction) { return {direction.receive, direction.send}; }

Direction common(Direction a, Direction b) { return {a.send && b.send, a.receive && b.receive}; }

Entry& made(MediaExtensions& of, std::string_view uri) {
  if (Entry* known = of.find(uri)) return *known;
  Entry& fresh = of.entries.emplace_back();
  fresh.uri = uri;
  return fresh;
}

/// A number for `uri` toward the party; 0 if there is none. `wished` is the other side's.
std::uint8_t free_id(const MediaExtensions& party, std::string_view uri, unsigned wished,
                     const ExtensionRules& rules) {
  const auto is_taken_in = [&](const MediaExtensions& section, unsigned id) {
    return std::ranges::any_of(section.entries,
                               [&](const Entry& entry) { return entry.id == id && entry.uri != uri; });
  };
  const auto is_free = [&](unsigned id) {
    return !is_taken_in(party, id) && !(rules.is_group && std::ranges::any_of(rules.others, [&](auto* other) {
                                          return is_taken_in(*other, id);
                                        }));
  };
  if (rules.is_group) {
    for (const MediaExtensions* other : rules.others) {
      const Entry* known = other->find(uri);
      if (known != nullptr && known->id != 0 && !is_taken_in(party, known->id)) return known->id;
    }
  }
  const unsigned last = party.allows_mixed ? sdp::kLargestExtensionId : kLargestOneByteId;
  const unsigned largest_wished = rules.knows_receiver ? last : sdp::kLargestExtensionId;
  if (wished > 0 && wished <= largest_wished && is_free(wished)) return static_cast<std::uint8_t>(wished);
  for (unsigned id = 1; id <= last; ++id) {
    if (id != kReservedId && is_free(id)) return static_cast<std::uint8_t>(id);
  }
  return 0;
}

/// Puts an extension into the offer to `receiver`, with the offerer's direction; the line to show, empty if
/// there is no number for it.
std::string show(MediaExtensions& receiver, const sdp::Extmap& map, const ExtensionRules& rules) {
  const Entry* known = receiver.find(map.uri);
  std::uint8_t id = known != nullptr ? known->id : std::uint8_t{0};
  if (id == 0) id = free_id(receiver, map.uri, map.id, rules);
  if (id == 0) return {};
  Entry& shown = made(receiver, map.uri);
  shown.id = id;
  shown.offered = reversed(map.direction);
  return sdp::write_extmap(id, map.direction, map.uri, map.attributes);
}

}  // namespace

Entry* MediaExtensions::find(std::string_view uri) {
  const auto found = std::ranges::find(entries, uri, &Entry::uri);
  return found == entries.end() ? nullptr : &*found;
}

const Entry* MediaExtensions::find(std::string_view uri) const {
  const auto found = std::ranges::find(entries, uri, &Entry::uri);
  return found == entries.end() ? nullptr : &*found;
}

void note_extensions(MediaExtensions& own, std::span<const sdp::Extmap> theirs) {
  for (const sdp::Extmap& map : theirs) {
    Entry& entry = made(own, map.uri);
    if (map.id <= sdp::kLargestExtensionId) entry.id = static_cast<std::uint8_t>(map.id);
  }
  // Entries whose numbers the party uses for something else now.
  const auto is_outdated = [&](const Entry& entry) {
    return std::ranges::any_of(
        theirs, [&](const sdp::Extmap& map) { return map.id == entry.id && map.uri != entry.uri; });
  };
  for (const sdp::Extmap& map : theirs) {
    Entry& entry = made(own, map.uri);
    if (is_outdated(entry)) entry.id = 0;  // the party left the choice to us
  }
  std::erase_if(own.entries, is_outdated);
  // Without a number an entry keeps nothing stable, and each offer may bring hundreds of others.
  std::erase_if(own.entries, [&](const Entry& entry) {
    return entry.id == 0 && std::ranges::find(theirs, entry.uri, &sdp::Extmap::uri) == theirs.end();
  });
}

std::vector<std::string> offer_extensions(MediaExtensions& sender, MediaExtensions& receiver,
                                          std::span<const sdp::Extmap> offer, const ExtensionRules& rules) {
  note_extensions(sender, offer);
  for (MediaExtensions* side : {&sender, &receiver}) {
    for (Entry& entry : side->entries) {
      entry.offered.reset();
      entry.is_masked = false;
    }
  }
  std::vector<std::string> lines;
  for (const sdp::Extmap& map : offer) {
    if (is_named(rules.strip, map.uri) || map.uri == kEncrypted) continue;
    Entry& known = made(sender, map.uri);
    known.offered = map.direction;
    known.is_masked = is_named(rules.mask, map.uri);
    if (known.is_masked) continue;
    if (std::string line = show(receiver, map, rules); !line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> show_extensions(const MediaExtensions* source, MediaExtensions& subscriber,
                                         std::span<const sdp::Extmap> lines, const ExtensionRules& rules) {
  for (Entry& entry : subscriber.entries) entry.offered.reset();
  std::vector<std::string> shown;
  for (sdp::Extmap map : lines) {
    const Entry* known = source != nullptr ? source->find(map.uri) : nullptr;
    const auto sends = known != nullptr ? source->in_force(*known) : std::nullopt;
    if (!sends || !sends->send || is_named(rules.strip, map.uri) || is_named(rules.mask, map.uri)) continue;
    map.direction = {};
    if (std::string line = show(subscriber, map, rules); !line.empty()) shown.push_back(std::move(line));
  }
  return shown;
}

void settle_extensions(MediaExtensions& own, std::span<const sdp::Extmap> answer) {
  note_extensions(own, answer);
  own.is_settled = true;
  for (Entry& entry : own.entries) entry.agreed.reset();
  for (const sdp::Extmap& map : answer) {
    Entry* answered = own.find(map.uri);
    if (answered != nullptr && answered->offered)
      answered->agreed = common(*answered->offered, map.direction);
  }
}

std::vector<std::string> answer_extensions(MediaExtensions& sender, MediaExtensions& receiver,
                                           std::span<const sdp::Extmap> answer, const ExtensionRules& rules) {
  settle_extensions(sender, answer);
  receiver.is_settled = true;
  for (Entry& entry : receiver.entries) entry.agreed.reset();
  std::vector<std::string> lines;
  const auto accept = [&](Entry& offered, Direction direction, std::string_view attributes) {
    if (offered.id == 0) offered.id = free_id(receiver, offered.uri, 0, rules);
    if (offered.id == 0) return;
    offered.agreed = common(*offered.offered, direction);
    lines.push_back(sdp::write_extmap(offered.id, reversed(*offered.agreed), offered.uri, attributes));
  };
  for (const sdp::Extmap& map : answer) {
    const Entry* answered = sender.find(map.uri);
    if (answered == nullptr || !answered->agreed) continue;
    if (map.uri == kTransportCc && !rules.has_feedback) continue;
    Entry* offered = receiver.find(map.uri);
    // WEB-9: an answer has nothing that the offer lacked.
    if (offered == nullptr || !offered->offered || offered->is_masked || is_named(rules.strip, map.uri))
      continue;
    accept(*offered, reversed(*answered->agreed), map.attributes);
  }
  for (Entry& entry : receiver.entries) {
    if (entry.is_masked && entry.offered) accept(entry, *entry.offered, {});
  }
  return lines;
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
                        other->id != 0 && (entry.uri != kMid || same_mid);
    if (passes) kept.push_back({entry.id, other->id});
    is_same = is_same && passes && entry.id == other->id;
  }
  return is_same ? HeaderExtensionMap() : HeaderExtensionMap(std::move(kept));
}

}  // namespace ferry
