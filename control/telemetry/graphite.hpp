// SPDX-License-Identifier: Apache-2.0
// Figures for Graphite, by the names that rtpengine gives them.
#pragma once

#include "control/value/value.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::telemetry {

/// One figure. Documents and tests are made of these rows.
struct GraphiteRow {
  /// Name without the prefix; `*` stands for the name of an interface.
  std::string_view name;
  /// Where it is in the dictionary of `statistics` (`each_figure`).
  std::string_view figure;
  /// True: its growth since the last lines is sent, false: the figure itself.
  bool is_growth = false;
  std::string_view meaning;
};
/// All figures but those of `GraphiteInterval` that are counted here.
std::span<const GraphiteRow> graphite_rows();

/// Makes the lines of each interval, and counts what `statistics` does not have: calls and commands by the
/// second. Pure; control thread only.
class GraphiteInterval {
 public:
  /// `prefix` begins each name.
  explicit GraphiteInterval(std::string prefix) : prefix_(std::move(prefix)) {}

  /// Notes a command of the NG protocol that was carried out or refused.
  void note_command(std::string_view command, Duration time);
  /// Ends a second, in which there were so many calls.
  void end_second(std::size_t calls);
  /// Returns the lines of the interval that ends now, and begins the next one. The first lines have no
  /// growth: it is not known since when.
  [[nodiscard]] std::string lines(const Dict& statistics, WallTime now);

 private:
  /// One command in this interval, and in all.
  struct Command {
    std::uint64_t total = 0;
    std::uint64_t count = 0;
    Duration shortest{0};
    Duration longest{0};
    Duration sum{0};
    /// Of this second, and of the seconds of this interval that are over.
    std::uint64_t in_second = 0;
    std::uint64_t fewest = 0;
    std::uint64_t most = 0;
  };
  void add_rows(const Dict& statistics, std::int64_t time, std::string& text);
  void add_commands(std::int64_t time, std::string& text) const;
  void add(std::string& text, std::string_view name, double value, std::int64_t time) const;

  std::string prefix_;
  std::map<std::string, Command, std::less<>> commands_;
  std::uint64_t seconds_ = 0;
  std::size_t fewest_calls_ = 0;
  std::size_t most_calls_ = 0;
  /// Seconds of all calls together.
  std::uint64_t call_seconds_ = 0;
  /// Figures of rows with growth at the last lines, by name.
  std::map<std::string, double, std::less<>> before_;
  bool has_before_ = false;
};

}  // namespace ferry::telemetry
