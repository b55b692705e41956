// SPDX-License-Identifier: Apache-2.0
// Looks for settings by which every recording would be lost, before the first call. It only reads: what would
// have to be made is asked of the folder above it.
#include "recorder/settings_check.hpp"

#include "recorder/after/digest.hpp"
#include "recorder/files/names.hpp"
#include "recorder/files/output.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace ferry {

namespace {

namespace fs = std::filesystem;

// Letters that `fill_pattern` knows; an unknown one would stand in every name.
std::string fault_of_pattern(const std::string& pattern) {
  static constexpr std::string_view kLetters = "crfYmdHMS%";
  for (std::size_t at = pattern.find('%'); at != std::string::npos; at = pattern.find('%', at + 2)) {
    if (at + 1 >= pattern.size() || kLetters.find(pattern[at + 1]) == std::string_view::npos)
      return fmt::format("'{}' has '{}', which has no meaning: known are %c %r %f %Y %m %d %H %M %S %%",
                         pattern, pattern.substr(at, 2));
  }
  // Filled with harmless parts: what leaves the folder now would leave it with every call.
  if (!is_path_below(fill_pattern(pattern, {"call", "tag", "0123456789abcdef", WallTime{}})))
    return fmt::format("'{}' is not a path below the recording folder", pattern);
  return {};
}

std::string fault_of_program(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return fmt::format("'{}' is not a file", path);
  return access(path.c_str(), X_OK) == 0 ? std::string() : fmt::format("'{}' is no program", path);
}

}  // namespace

std::string fault_of_place(const std::string& path, bool user_changes) {
  std::error_code error;
  const fs::path folder = fs::absolute(path, error).parent_path();
  // The nearest folder that exists; the others would be made.
  fs::path there = folder;
  while (there.has_relative_path() && !fs::exists(there, error)) there = there.parent_path();
  if (!fs::is_directory(there, error))
    return fmt::format("cannot make '{}': '{}' is no folder", folder.string(), there.string());
  // faccessat asks by the rights that are in force, which are not always those of the user.
  if (user_changes || faccessat(AT_FDCWD, there.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return {};
  return fmt::format("cannot make files in '{}': '{}' cannot be written: {}", folder.string(), there.string(),
                     std::strerror(errno));
}

std::vector<std::string> faults_of(const RecorderSettings& settings, bool user_changes) {
  std::vector<std::string> faults;
  if (settings.directory.empty()) return faults;
  const auto check = [&](std::string_view option, const std::string& fault) {
    if (!fault.empty()) faults.push_back(fmt::format("{}: {}", option, fault));
  };
  check("recording-dir", fault_of_place(settings.directory + "/file", user_changes));
  if (!settings.spool.empty())
    check("recording-spool", fault_of_place(settings.spool + "/file", user_changes));
  check("recording-pattern", fault_of_pattern(settings.pattern));
  if (!settings.encryption_key.empty())
    check("recording-encryption-key", fault_of_public_key(settings.encryption_key));
  if (!settings.signing_key.empty()) {
    // Signing an empty text shows whether the key can be used.
    const auto signature = sign_text("", settings.signing_key);
    check("recording-signing-key", signature ? std::string() : signature.error());
  }
  if (!settings.hook.empty()) check("recording-hook", fault_of_program(settings.hook));
  return faults;
}

}  // namespace ferry
