// SPDX-License-Identifier: Apache-2.0
// `rtpferryctl doctor`: finds what costs calls, speed or safety, on this host or in the daemon's
// configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace ferry::ctl {

/// Result of a check.
enum class Health : std::uint8_t { kOk, kWarn, kFail };
constexpr std::string_view to_string(Health health) noexcept {
  return health == Health::kOk ? "ok" : health == Health::kWarn ? "warn" : "fail";
}

/// One line of the report.
struct Check {
  std::string name;
  Health health = Health::kOk;
  std::string finding;
  /// What to do; empty if there is nothing to do.
  std::string advice;
};

/// Reads files and settings of the host. Tests give it a tree of their own as `root`.
class Host {
 public:
  explicit Host(std::string root = "") : root_(std::move(root)) {}
  /// First line of a file; nothing if there is no such file.
  [[nodiscard]] std::optional<std::string> line(const std::string& path) const;
  /// The number in a file's first line; nothing if there is none.
  [[nodiscard]] std::optional<std::int64_t> number(const std::string& path) const;
  /// The whole text of a file; empty if there is no such file.
  [[nodiscard]] std::string text(const std::string& path) const;
  /// Number of entries of a directory whose names begin with `prefix`.
  [[nodiscard]] std::size_t count(const std::string& path, std::string_view prefix) const;
  [[nodiscard]] bool exists(const std::string& path) const;
  /// The rules of nftables; nothing if they cannot be read (no rights, no program).
  [[nodiscard]] std::optional<std::string> firewall() const;
  /// Whether the kernel says that the clock follows a time server; nothing if it does not say.
  [[nodiscard]] std::optional<bool> is_clock_synchronized() const;

 private:
  std::string root_;
};

/// Runs all checks. `facts` is the daemon's reply to the command of that name.
[[nodiscard]] std::vector<Check> examine(const nlohmann::json& facts, const Host& host);

}  // namespace ferry::ctl
