#include "control/log/log.hpp"

#include <array>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <syslog.h>

namespace ferry::log {

namespace {

int facility_number(std::string_view name) {
  struct Row {
    std::string_view name;
    int number;
  };
  static constexpr std::array<Row, 11> kRows = {{{"daemon", LOG_DAEMON},
                                                 {"user", LOG_USER},
                                                 {"auth", LOG_AUTH},
                                                 {"local0", LOG_LOCAL0},
                                                 {"local1", LOG_LOCAL1},
                                                 {"local2", LOG_LOCAL2},
                                                 {"local3", LOG_LOCAL3},
                                                 {"local4", LOG_LOCAL4},
                                                 {"local5", LOG_LOCAL5},
                                                 {"local6", LOG_LOCAL6},
                                                 {"local7", LOG_LOCAL7}}};
  for (const Row& row : kRows) {
    if (row.name == name) return row.number;
  }
  return LOG_DAEMON;
}

spdlog::level::level_enum level_of(int syslog_number) {
  if (syslog_number >= 7) return spdlog::level::debug;
  if (syslog_number >= 5) return spdlog::level::info;
  if (syslog_number == 4) return spdlog::level::warn;
  return syslog_number == 3 ? spdlog::level::err : spdlog::level::critical;
}

}  // namespace

void configure(int level, bool to_stderr, std::string_view facility, bool json) {
  std::vector<spdlog::sink_ptr> sinks;
  if (to_stderr || facility.empty()) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (!facility.empty()) {
    sinks.push_back(std::make_shared<spdlog::sinks::syslog_sink_mt>("rtpferryd", LOG_PID,
                                                                    facility_number(facility), false));
  }
  auto logger = std::make_shared<spdlog::logger>("rtpferryd", sinks.begin(), sinks.end());
  logger->set_level(level_of(level));
  // Messages hold no quotes or control characters from outside: see `quote`.
  logger->set_pattern(json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%v"})"
                           : "%Y-%m-%d %H:%M:%S.%e %l %v");
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  std::string safe;
  for (const char c : text.substr(0, kLongest)) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet > 0x20 && octet < 0x7f && c != '"' && c != '\\' && c != '%') {
      safe += c;
    } else {
      safe += fmt::format("%{:02X}", octet);
    }
  }
  if (text.size() > kLongest) safe += "...";
  return safe;
}

}  // namespace ferry::log
