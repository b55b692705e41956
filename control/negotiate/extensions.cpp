// SPDX-License-Identifier: Apache-2.0
// The numbers of header extensions toward each party, and what of them is agreed.
//
// Each party has numbers of its own, and it decides about them in its own SDP (`note`). Toward a receiver the
// relay keeps the numbers that the receiver has. A new URI gets the sender's number if it is free there, else
// the lowest free one (`free_id`, EXT-3).
//
// Trap: an entry without a number reserves none, so nothing is lost without it. Such entries go when the
// party's next SDP does not name them.
#include "control/negotiate/extensions.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace ferry {

namespace {

using sdp::Direction;
using Entry = MediaExtensions::Entry;

/// RFC 6904: the element is encrypted under keys that the relay does not hand on (EXT-5).
constexpr std::string_view kEncrypted = "urn:ietf:params:rtp-hdrext:encrypt";
constexpr std::string_view kTransportCc =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// Extensions that begin so name streams of a description (RFC 7941, RFC 8852), or are those of browsers.
constexpr std::string_view kNamesOfStreams = "urn:ietf:params:rtp-hdrext:sdes:";
constexpr std::string_view kOfBrowsers = "http://www.webrtc.org/experiments/";

constexpr unsigned kLargestOneByteId = 14;
constexpr unsigned kReservedId = 15;

/// True if a request named the extension, or all of them.
bool is_named(std::span<const std::string> words, std::string_view uri) {
  return std::ranges::any_of(words, [&](const std::string& word) { return word == uri || word == "all"; });
}

/// True if only browsers, and parties with RTCP feedback, have a use for the extension (FB-5).
bool is_of_browsers(std::string_view uri) {
  return uri == kTransportCc || uri.starts_with(kNamesOfStreams) || uri.starts_with(kOfBrowsers);
}

/// The direction as the other end sees it.
Direction reversed(Direction direction) { return {direction.receive, direction.send}; }

/// The direction that allows only what `a` and `b` both allow.
Direction common(Direction a, Direction b) { return {a.send && b.send, a.receive && b.receive}; }

/// The entry of a URI, made if there is none.
Entry& made(MediaExtensions& of, std::string_view uri) {
  if (Entry* known = of.find(uri)) return *known;
  Entry& fresh = of.entries.emplace_back();
  fresh.uri = uri;
  return fresh;
}

/// A number for `uri` toward the party; 0 if none is free. `wished` is the other side's number, which is best
/// for old peers: packets need no renumbering then.
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

/// True if another section of the party's group has agreed to this number for another URI (RFC 9143 §12).
/// Clients that offer such a number (aiortc) read the elements of one section as those of another.
bool means_another(const Entry& offered, const ExtensionRules& rules) {
  return rules.is_group && std::ranges::any_of(rules.others, [&](const MediaExtensions* other) {
           return std::ranges::any_of(other->entries, [&](const Entry& entry) {
             return entry.agreed && entry.id == offered.id && entry.uri != offered.uri;
           });
         });
}

/// Puts an extension into the offer to `receiver`, with the offerer's direction. Returns the line to show;
/// empty if there is no number for it.
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

/// Takes the numbers of a party's own SDP. The party decides: if it gives a number to another URI, the entry
/// that had the number goes.
void note(MediaExtensions& own, std::span<const sdp::Extmap> theirs) {
  for (const sdp::Extmap& map : theirs) {
    Entry& entry = made(own, map.uri);
    if (map.id <= sdp::kLargestExtensionId) entry.id = static_cast<std::uint8_t>(map.id);
  }
  // True for entries whose numbers the party uses for another URI now.
  const auto is_outdated = [&](const Entry& entry) {
    return std::ranges::any_of(
        theirs, [&](const sdp::Extmap& map) { return map.id == entry.id && map.uri != entry.uri; });
  };
  for (const sdp::Extmap& map : theirs) {
    Entry& entry = made(own, map.uri);
    if (is_outdated(entry)) entry.id = 0;  // the party leaves the choice to the relay
  }
  std::erase_if(own.entries, is_outdated);
  // An entry without a number reserves none, and each offer may bring hundreds of others. If they stayed, the
  // list would grow for ever.
  std::erase_if(own.entries, [&](const Entry& entry) {
    return entry.id == 0 && std::ranges::find(theirs, entry.uri, &sdp::Extmap::uri) == theirs.end();
  });
}

}  // namespace

ExtensionRules extension_rules(const Request& request) {
  ExtensionRules rules;
  rules.strip = request.extmap_strip;
  rules.mask = request.extmap_mask;
  return rules;
}

void know_receiver(ExtensionRules& rules, const Media& receiver, const sdp::Session& own) {
  rules.knows_receiver = !own.media.empty();
  rules.is_group = std::ranges::any_of(own.attributes, [](const sdp::Attribute& attribute) {
    return attribute.name == "group" && attribute.value.starts_with("BUNDLE");
  });
  for (const auto& other : receiver.leg->medias) {
    if (other.get() != &receiver && other->extensions) rules.others.push_back(other->extensions.get());
  }
}

std::vector<sdp::Extmap> without_mid(std::vector<sdp::Extmap> lines) {
  std::erase_if(lines, [](const sdp::Extmap& map) { return map.uri == kMidExtension; });
  return lines;
}

bool have_extensions(std::span<const sdp::Extmap> lines, std::initializer_list<const Media*> medias) {
  return !lines.empty() ||
         std::ranges::any_of(medias, [](const Media* media) { return media->extensions != nullptr; });
}

std::vector<sdp::Extmap> shown_extensions(const MediaExtensions* sender, std::span<const sdp::Extmap> lines,
                                          const ExtensionRules& rules, ExtensionTerms terms) {
  std::vector<sdp::Extmap> shown;
  for (const sdp::Extmap& map : lines) {
    const Entry* known = sender == nullptr ? nullptr : sender->find(map.uri);
    if (known == nullptr || is_named(rules.strip, map.uri) || is_named(rules.mask, map.uri)) continue;
    if (rules.is_receiver_plain && is_of_browsers(map.uri)) continue;
    if (terms == ExtensionTerms::kHandedOn) {
      if (known->offered) shown.push_back(map);
      continue;
    }
    const auto sends = sender->in_force(*known);
    if (!sends || !sends->send) continue;
    shown.push_back(map);
    shown.back().direction = {};
  }
  return shown;
}

void ExtensionSide::take_offer(std::span<const sdp::Extmap> offer) {
  note(own_, offer);
  for (Entry& entry : own_.entries) {
    entry.offered.reset();
    entry.is_masked = false;
  }
  for (const sdp::Extmap& map : offer) {
    if (is_named(rules_.strip, map.uri) || map.uri == kEncrypted) continue;
    Entry& known = made(own_, map.uri);
    known.offered = map.direction;
    known.is_masked = is_named(rules_.mask, map.uri);
  }
}

std::vector<std::string> ExtensionSide::offer_to(std::span<const sdp::Extmap> lines) {
  for (Entry& entry : own_.entries) {
    entry.offered.reset();
    entry.is_masked = false;
  }
  std::vector<std::string> shown;
  for (const sdp::Extmap& map : lines) {
    if (std::string line = show(own_, map, rules_); !line.empty()) shown.push_back(std::move(line));
  }
  if (rules_.has_own_mid && !is_named(rules_.strip, kMidExtension)) {
    const sdp::Extmap mid{.id = 0, .direction = {}, .uri = kMidExtension, .attributes = {}};
    if (std::string line = show(own_, mid, rules_); !line.empty()) shown.push_back(std::move(line));
  }
  return shown;
}

void ExtensionSide::take_answer(std::span<const sdp::Extmap> answer) {
  note(own_, answer);
  own_.is_settled = true;
  for (Entry& entry : own_.entries) entry.agreed.reset();
  for (const sdp::Extmap& map : answer) {
    Entry* answered = own_.find(map.uri);
    if (answered != nullptr && answered->offered)
      answered->agreed = common(*answered->offered, map.direction);
  }
}

std::vector<std::string> ExtensionSide::answer_to(const MediaExtensions& answerer,
                                                  std::span<const sdp::Extmap> answer) {
  own_.is_settled = true;
  for (Entry& entry : own_.entries) entry.agreed.reset();
  std::vector<std::string> lines;
  const auto accept = [&](Entry& offered, Direction direction, std::string_view attributes) {
    if (offered.id == 0) offered.id = free_id(own_, offered.uri, 0, rules_);
    if (offered.id == 0 || means_another(offered, rules_)) return;
    offered.agreed = common(*offered.offered, direction);
    lines.push_back(sdp::write_extmap(offered.id, reversed(*offered.agreed), offered.uri, attributes));
  };
  for (const sdp::Extmap& map : answer) {
    const Entry* answered = answerer.find(map.uri);
    if (answered == nullptr || !answered->agreed || (rules_.hides_mid && map.uri == kMidExtension)) continue;
    if (map.uri == kTransportCc && !rules_.has_feedback) continue;
    Entry* offered = own_.find(map.uri);
    // WEB-9: an answer has nothing that the offer lacked.
    if (offered == nullptr || !offered->offered || offered->is_masked || is_named(rules_.strip, map.uri))
      continue;
    accept(*offered, reversed(*answered->agreed), map.attributes);
  }
  for (Entry& entry : own_.entries) {
    const bool is_own_mid = rules_.has_own_mid && entry.uri == kMidExtension;
    if ((entry.is_masked || is_own_mid) && entry.offered) accept(entry, *entry.offered, {});
  }
  return lines;
}

}  // namespace ferry
