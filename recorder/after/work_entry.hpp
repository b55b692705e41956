// SPDX-License-Identifier: Apache-2.0
// One piece of work after a call, as it stands in the state directory (CTL-15): which call, which files, what
// kind of work. It never names a program or a URL: those come from the configuration when the work is done.
#pragma once

#include "relay/base/result.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// The kind of work: run the hook, tell the server, store the files.
enum class WorkKind : std::uint8_t { kHook, kNotify, kUpload };
inline constexpr std::array<std::string_view, 3> kWorkKindNames = {"hook", "notification", "upload"};
[[nodiscard]] constexpr std::string_view to_string(WorkKind kind) noexcept {
  return kWorkKindNames[static_cast<std::size_t>(kind)];
}

/// A piece of work. Plain values.
struct WorkEntry {
  WorkKind kind = WorkKind::kHook;
  /// The Call-ID as the proxy has it, not encoded; for log lines.
  std::string call_id{};
  /// The recording's id, hexadecimal.
  std::string recording{};
  /// The recording directory that its files are in.
  std::string directory{};
  /// Its files below that directory; the manifest is the last one.
  std::vector<std::string> files{};
  /// When it was posted, milliseconds since 1970. Work is begun in this order.
  std::int64_t posted_ms = 0;
  /// kUpload only: how many files, counted from the first, are stored already.
  std::size_t stored = 0;
  /// How often it has failed.
  unsigned tries = 0;
  /// Why the last try failed, for people; empty: it has not failed.
  std::string error{};

  /// The manifest's name; there must be files.
  [[nodiscard]] const std::string& manifest() const { return files.back(); }
  /// Name of the entry's file. There is one for each recording and kind, so an entry that is written twice is
  /// one entry.
  [[nodiscard]] std::string file_name() const;
  bool operator==(const WorkEntry&) const = default;
};

/// The entry as JSON. Octets of the Call-ID that are no UTF-8 are replaced.
[[nodiscard]] std::string to_text(const WorkEntry& entry);

/// Reads an entry. The error says what is wrong: the text is torn, of another version, or names files that
/// lie elsewhere. Never throws, whatever the text.
[[nodiscard]] Result<WorkEntry, std::string> parse_work_entry(std::string_view text);

}  // namespace ferry
