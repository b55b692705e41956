// SPDX-License-Identifier: Apache-2.0
// Names of files that hold data of calls (CTL-10).
#pragma once

#include "relay/base/types.hpp"

#include <string>
#include <string_view>

namespace ferry {

/// Makes a file name of any text: everything but [A-Za-z0-9._-], and a leading dot, is percent-encoded. At
/// most `limit` octets, cut between encoded characters. Never empty.
[[nodiscard]] std::string safe_name(std::string_view text, std::size_t limit = 200);

/// The values that a pattern can be filled with.
struct NameParts {
  std::string_view call_id;
  std::string_view from_tag;
  /// Hexadecimal digits that make the name unique.
  std::string_view random;
  WallTime start;
};

/// Fills a pattern in: %c Call-ID, %r random digits, %f from-tag, %Y %m %d %H %M %S time of the start (UTC),
/// %% a percent sign. Slashes in the pattern make folders; what the call says never does. An unknown letter
/// stays as it is.
[[nodiscard]] std::string fill_pattern(std::string_view pattern, const NameParts& parts);

/// True for a path below a directory: not empty, not absolute, no part that is empty, `.` or `..`.
[[nodiscard]] bool is_path_below(std::string_view path) noexcept;

/// Why no recording can be at a path below the recording directory, as the rest of a sentence: it lies
/// elsewhere, a part of it is hidden (as the spool is) or too long, or it is no text for a terminal (CTL-14).
/// Empty if one can. Does not look at the disk.
[[nodiscard]] std::string fault_of_recording_path(std::string_view path);

}  // namespace ferry
