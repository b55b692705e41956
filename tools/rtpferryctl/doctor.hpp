// `rtpferryctl doctor`: what on this host or in the daemon's configuration costs calls, speed or safety.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace ferry::ctl {

enum class Health : std::uint8_t { kOk, kWarn, kFail };
constexpr std::string_view to_string(Health health) noexcept {
  return health == Health::kOk ? "ok" : health == Health::kWarn ? "warn" : "fail";
}

struct Check {
  std::string name;
  Health health = Health::kOk;
  std::string finding;
  /// What to do; empty if nothing.
  std::string advice;
};

/// The host as files. A test has a tree of its own.
class Host {
 public:
  explicit Host(std::string root = "") : root_(std::move(root)) {}
  /// First line; nothing if there is no such file.
  [[nodiscard]] std::optional<std::string> line(const std::string& path) const;
  [[nodiscard]] std::optional<std::int64_t> number(const std::string& path) const;
  [[nodiscard]] std::string text(const std::string& path) const;
  /// Entries of a directory that begin with `prefix`.
  [[nodiscard]] std::size_t count(const std::string& path, std::string_view prefix) const;
  [[nodiscard]] bool exists(const std::string& path) const;
  /// Rules of nftables; nothing if they cannot be read (no rights, no program).
  [[nodiscard]] std::optional<std::string> firewall() const;
  /// The kernel says that the clock follows a time server; nothing if it does not say.
  [[nodiscard]] std::optional<bool> is_clock_synchronized() const;

 private:
  std::string root_;
};

/// `facts` is the daemon's answer to the command of that name.
[[nodiscard]] std::vector<Check> examine(const nlohmann::json& facts, const Host& host);

}  // namespace ferry::ctl
