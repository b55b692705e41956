// SPDX-License-Identifier: Apache-2.0
// The folder that has the journals of all receivers.
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::events {

/// What names a receiver in its journal: the URL without user, query and fragment, so that a new password or
/// token does not make another receiver of it.
[[nodiscard]] std::string receiver_of(std::string_view url);
/// The folder of journals below the state folder.
[[nodiscard]] std::string journal_folder(const std::string& state_directory);
/// The path of the n-th journal of a receiver, from 1. There are several only after processes overlapped.
[[nodiscard]] std::string journal_path(const std::string& state_directory, const std::string& receiver,
                                       int n);
/// The most journals of one receiver.
inline constexpr int kMostJournals = 16;

/// The highest number of an event in all journals; 0 if there is none. Reads files, so it is for the start.
[[nodiscard]] std::uint64_t highest_number(const std::string& state_directory);
/// Warns about each journal whose receiver is none of `receivers` and that no process holds, and deletes
/// those that nobody has written for 7 days. Returns the paths of the deleted ones.
std::vector<std::string> tidy_journals(const std::string& state_directory,
                                       const std::vector<std::string>& receivers, WallTime now);

}  // namespace ferry::events
