// SPDX-License-Identifier: Apache-2.0
// Reads and writes a=extmap lines (RFC 8285 §5), which give header extensions their numbers in the packets of
// a party. Pure.
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
  /// Send and receive if the line has no direction.
  Direction direction;
  std::string_view uri;
  /// Text behind the URI; empty = none.
  std::string_view attributes;
};

/// Largest number of an extension in packets (two-byte form).
constexpr unsigned kLargestExtensionId = 255;

/// Parses `ID[/direction] URI [attributes]`; nothing if `value` does not have that form.
[[nodiscard]] std::optional<Extmap> parse_extmap(std::string_view value) noexcept;

/// Returns the extensions of a section, then those of the session whose URIs the section does not name. If
/// several lines have one URI or one number, the first counts.
[[nodiscard]] std::vector<Extmap> extmaps_of(const Session& session, const MediaSection& section);

/// True if a section may mix the one-byte and the two-byte form (RFC 8285 §6), by a line in it or in the
/// session.
[[nodiscard]] bool allows_mixed_extensions(const Session& session, const MediaSection& section);

/// Writes the value of a line. `direction` is that of the party that the line is written for.
[[nodiscard]] std::string write_extmap(unsigned id, Direction direction, std::string_view uri,
                                       std::string_view attributes);

}  // namespace ferry::sdp
