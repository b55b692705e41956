// SPDX-License-Identifier: Apache-2.0
#include "control/telemetry/graphite.hpp"

#include "control/value/figures_at.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>

namespace ferry::telemetry {

namespace {

// clang-format off
constexpr std::array kRows = std::to_array<GraphiteRow>({
  {"current_sessions_total", "currentstatistics/sessionstotal", false, "calls now"},
  {"current_sessions_own", "currentstatistics/sessionsown", false, "the same"},
  {"current_sessions_foreign", "currentstatistics/sessionsforeign", false, "always 0"},
  {"current_transcoded_media", "currentstatistics/transcodedmedia", false, "receivers whose audio is converted now"},
  {"managed_sess", "totalstatistics/managedsessions", true, "calls that were set up"},
  {"reject_sess", "totalstatistics/rejectedsessions", true, "calls that were refused"},
  {"timeout_sess", "totalstatistics/timeoutsessions", true, "calls that ended because no media came"},
  {"silent_timeout_sess", "totalstatistics/silenttimeoutsessions", true, "the same on hold"},
  {"final_timeout_sess", "totalstatistics/finaltimeoutsessions", true, "calls that had lasted for `final-timeout`"},
  {"offer_timeout_sess", "totalstatistics/offertimeoutsessions", true, "calls whose offer nobody answered"},
  {"regular_term_sess", "totalstatistics/regularterminatedsessions", true, "calls that signalling ended"},
  {"forced_term_sess", "totalstatistics/forcedterminatedsessions", true, "calls that an operator ended"},
  {"nopacket_relayed_sess", "totalstatistics/zerowaystreams", true, "medias of ended calls in which neither party was heard"},
  {"oneway_stream_sess", "totalstatistics/onewaystreams", true, "medias of ended calls in which one party alone was heard"},
  {"relayed_packets", "totalstatistics/relayedpackets", true, "packets that were forwarded"},
  {"relayed_packets_user", "totalstatistics/relayedpackets_user", true, "those that user space forwarded"},
  {"relayed_packets_kernel", "totalstatistics/relayedpackets_kernel", true, "those that the kernel forwarded"},
  {"relayed_bytes", "totalstatistics/relayedbytes", true, "octets that were forwarded"},
  {"relayed_bytes_user", "totalstatistics/relayedbytes_user", true, "those that user space forwarded"},
  {"relayed_bytes_kernel", "totalstatistics/relayedbytes_kernel", true, "those that the kernel forwarded"},
  {"relayed_errors", "totalstatistics/relayedpacketerrors", true, "packets that were dropped"},
  {"relayed_errors_user", "totalstatistics/relayedpacketerrors_user", true, "the same"},
  {"relayed_errors_kernel", "totalstatistics/relayedpacketerrors_kernel", true, "always 0"},
  {"ports_used_*", "interfaces/*/ports/used", false, "media ports that calls have, by interface"},
  {"ports_free_*", "interfaces/*/ports/free", false, "media ports that no call has, by interface"},
});
// clang-format on

/// A name of Graphite is a path with dots, and a blank ends it.
std::string plain(std::string_view name) {
  std::string text(name);
  std::ranges::replace_if(
      text, [](unsigned char c) { return c <= ' ' || c == '.' || c == '/' || c > '~'; }, '_');
  return text;
}

double seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

std::span<const GraphiteRow> graphite_rows() { return kRows; }

void GraphiteInterval::note_command(std::string_view command, Duration time) {
  auto found = commands_.find(command);
  if (found == commands_.end()) found = commands_.emplace(command, Command{}).first;
  Command& each = found->second;
  ++each.total;
  ++each.in_second;
  each.shortest = each.count == 0 ? time : std::min(each.shortest, time);
  each.longest = std::max(each.longest, time);
  each.sum += time;
  ++each.count;
}

void GraphiteInterval::end_second(std::size_t calls) {
  for (auto& [name, each] : commands_) {
    each.fewest = seconds_ == 0 ? each.in_second : std::min(each.fewest, each.in_second);
    each.most = std::max(each.most, each.in_second);
    each.in_second = 0;
  }
  fewest_calls_ = seconds_ == 0 ? calls : std::min(fewest_calls_, calls);
  most_calls_ = std::max(most_calls_, calls);
  call_seconds_ += calls;
  ++seconds_;
}

void GraphiteInterval::add(std::string& text, std::string_view name, double value, std::int64_t time) const {
  // Whole numbers stay whole.
  text += fmt::format("{}{} {:.{}f} {}\n", prefix_, name, value,
                      value == static_cast<double>(static_cast<std::int64_t>(value)) ? 0 : 6, time);
}

void GraphiteInterval::add_rows(const Dict& statistics, std::int64_t time, std::string& text) {
  const Value root(statistics);
  for (const GraphiteRow& row : kRows) {
    // Figures of several addresses of an interface are added up.
    std::map<std::string, double> values;
    each_figure(root, row.figure, [&](double figure, std::string_view name) {
      const std::size_t star = row.name.find('*');
      values[star == std::string_view::npos ? std::string(row.name)
                                            : std::string(row.name.substr(0, star)) + plain(name)] += figure;
    });
    for (const auto& [name, figure] : values) {
      const double before = row.is_growth ? std::exchange(before_[name], figure) : 0;
      if (!row.is_growth)
        add(text, name, figure, time);
      else if (has_before_)
        add(text, name, figure - before, time);
    }
  }
}

void GraphiteInterval::add_commands(std::int64_t time, std::string& text) const {
  for (const auto& [command, each] : commands_) {
    const std::string name = plain(command);
    add(text, name + "_count", static_cast<double>(each.total), time);
    add(text, name + "_time_min", seconds(each.shortest), time);
    add(text, name + "_time_max", seconds(each.longest), time);
    add(text, name + "_time_avg", each.count == 0 ? 0 : seconds(each.sum) / static_cast<double>(each.count),
        time);
    add(text, name + "s_ps_min", static_cast<double>(each.fewest), time);
    add(text, name + "s_ps_max", static_cast<double>(each.most), time);
    add(text, name + "s_ps_avg",
        seconds_ == 0 ? 0 : static_cast<double>(each.count) / static_cast<double>(seconds_), time);
  }
}

std::string GraphiteInterval::lines(const Dict& statistics, WallTime now) {
  const std::int64_t time = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  std::string text;
  add_rows(statistics, time, text);
  add_commands(time, text);
  add(text, "managed_sess_min", static_cast<double>(fewest_calls_), time);
  add(text, "managed_sess_max", static_cast<double>(most_calls_), time);
  add(text, "call_dur", static_cast<double>(call_seconds_), time);

  double sum = 0;
  double ended = 0;
  const Value root(statistics);
  each_figure(root, "totalstatistics/totalcallsduration",
              [&](double figure, std::string_view) { sum = figure; });
  for (const char* reason : {"timeout", "silenttimeout", "finaltimeout", "offertimeout", "regularterminated",
                             "forcedterminated"}) {
    each_figure(root, fmt::format("totalstatistics/{}sessions", reason),
                [&](double figure, std::string_view) { ended += figure; });
  }
  const double sum_before = std::exchange(before_["call seconds"], sum);
  const double ended_before = std::exchange(before_["ended calls"], ended);
  if (has_before_) {
    const double calls = ended - ended_before;
    add(text, "average_call_dur", calls <= 0 ? 0 : (sum - sum_before) / calls, time);
  }
  has_before_ = true;
  for (auto& [name, each] : commands_) each = Command{.total = each.total};
  seconds_ = call_seconds_ = 0;
  fewest_calls_ = most_calls_ = 0;
  return text;
}

}  // namespace ferry::telemetry
