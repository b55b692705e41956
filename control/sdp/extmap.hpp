// a=extmap lines (RFC 8285 §5): which number a header extension has in the packets of a party.
#pragma once

#include "control/sdp/sdp.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// One line, from the point of view of the party whose SDP it is. The views point into that SDP.
struct Extmap {
  /// 1-255; 4096-4351 in an offer that leaves the number to the answerer (RFC 8285 §6).
  unsigned id = 0;
  Direction direction;  // sendrecv without a suffix
  std::string_view uri;
  std::string_view attributes;  // behind the URI; empty = none
};

/// Largest number that an element can have (two-byte form).
constexpr unsigned kLargestExtensionId = 255;

/// Nothing if `value`, `ID[/direction] URI [attributes]`, is no extmap.
[[nodiscard]] std::optional<Extmap> parse_extmap(std::string_view value) noexcept;

/// The extensions of a section, then those of the session for URIs that the section does not name. Of several
/// lines for one URI, and of several for one number, the first counts.
[[nodiscard]] std::vector<Extmap> extmaps_of(const Session& session, const MediaSection& section);

/// Whether a section may mix the one-byte and the two-byte form (RFC 8285 §6): a line there or in the
/// session.
[[nodiscard]] bool allows_mixed_extensions(const Session& session, const MediaSection& section);

/// The value of a line. `direction` is that of the party who is to be the author.
[[nodiscard]] std::string write_extmap(unsigned id, Direction direction, std::string_view uri,
                                       std::string_view attributes);

}  // namespace ferry::sdp
