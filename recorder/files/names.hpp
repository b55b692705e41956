// Names of files that hold call data (CTL-10).
#pragma once

#include "relay/base/types.hpp"

#include <string>
#include <string_view>

namespace ferry {

/// Percent-encodes everything but [A-Za-z0-9._-] and a leading dot; at most `limit` octets, cut between
/// characters.
[[nodiscard]] std::string safe_name(std::string_view text, std::size_t limit = 200);

struct NameParts {
  std::string_view call_id;
  std::string_view from_tag;
  std::string_view random;  // hexadecimal
  WallTime start;
};

/// Fills a pattern in: %c call id, %r random digits, %f from-tag, %Y %m %d %H %M %S time of start (UTC), %% a
/// percent sign. Slashes make folders; what the call says never does. An unknown letter stays as it is.
[[nodiscard]] std::string fill_pattern(std::string_view pattern, const NameParts& parts);

/// A path below a directory: not absolute, not empty, no part that is empty, `.` or `..`.
[[nodiscard]] bool is_path_below(std::string_view path) noexcept;

/// Why no recording can be at a path below the recording directory, as the rest of a sentence: it lies
/// elsewhere, one of its parts is hidden (as the spool is) or too long, or it is not text for a terminal
/// (CTL-14). Empty if one can. Does not look at the disk.
[[nodiscard]] std::string fault_of_recording_path(std::string_view path);

}  // namespace ferry
