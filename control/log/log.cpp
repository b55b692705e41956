// SPDX-License-Identifier: Apache-2.0
// Lines pass spdlog, which calls the formatters and sinks below.
//
// spdlog hands formatters nothing but the message, so subject and call of a line are kept for each thread
// (`g_context`), set by `Scope`. `Filter` asks `is_wanted` before any sink writes. The logger itself lets all
// levels through.
//
// The trap: a reader of standard error that is too slow must not delay calls. `StandardError` writes only as
// much as the pipe takes without waiting, and counts the lines that are lost.

#include "control/log/log.hpp"

#include "control/log/printable_json.hpp"
#include "relay/base/printable.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <memory>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/dist_sink.h>
#include <spdlog/sinks/syslog_sink.h>
#include <syslog.h>
#include <unistd.h>

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

/// What the lines of a thread are about.
struct Context {
  Subsystem subsystem = Subsystem::kCore;
  std::string call_id;
  bool is_debugged = false;
  // If not empty, the message is a JSON object of this name.
  std::string_view record_name;
};
// One for each thread, because spdlog hands formatters nothing else.
thread_local Context g_context;
std::array<std::atomic<int>, static_cast<std::size_t>(Subsystem::kCount)> g_levels{};

void append(spdlog::memory_buf_t& to, std::string_view text) {
  to.append(text.data(), text.data() + text.size());
}

/// Writes the fields of a JSON line: subsystem, call, and the message or the record.
class JsonFields final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& to) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    append(to,
           fmt::format(R"("subsystem":"{}")", kSubsystems[static_cast<std::size_t>(g_context.subsystem)]));
    if (!g_context.call_id.empty())
      append(to, fmt::format(R"(,"call_id":{})", to_ascii_string(g_context.call_id)));
    if (g_context.record_name.empty())
      append(to, fmt::format(R"(,"message":{})", to_ascii_string(text)));
    else
      append(to, fmt::format(R"(,"message":"{0}","{0}":{1})", g_context.record_name, text));
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonFields>();
  }
};

class TextFields final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& to) override {
    if (!g_context.call_id.empty()) append(to, fmt::format("[{}] ", quote(g_context.call_id)));
    if (!g_context.record_name.empty()) append(to, fmt::format("{} ", g_context.record_name));
    append(to, {message.payload.data(), message.payload.size()});
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<TextFields>();
  }
};

/// Writes to standard error if its reader keeps up: a full pipe must not delay calls. Lines that do not fit
/// are lost, and their number is written when there is room again.
class StandardError final : public spdlog::sinks::base_sink<std::mutex> {
 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (!has_room()) {
      ++lost_;
      return;
    }
    if (lost_ > 0) {
      const std::string note =
          fmt::format("{} log lines before this were lost: nobody read them\n", std::exchange(lost_, 0));
      put({note.data(), note.size()});
      if (!has_room()) {
        ++lost_;
        return;
      }
    }
    put({line.data(), line.size()});
  }
  void flush_() override {}
  static bool has_room() {
    pollfd out{STDERR_FILENO, POLLOUT, 0};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0;
  }
  static void put(std::string_view text) {
    // A pipe with room takes PIPE_BUF octets at once without waiting.
    while (!text.empty() && has_room()) {
      const auto n = write(STDERR_FILENO, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
      if (n <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  std::uint64_t lost_ = 0;
};

/// Passes on the lines that their subsystem or their call wants.
class Filter final : public spdlog::sinks::dist_sink<spdlog::details::null_mutex> {
 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (is_wanted(message.level)) dist_sink::sink_it_(message);
  }
};

}  // namespace

bool is_wanted(spdlog::level::level_enum level) {
  if (g_context.is_debugged) return true;
  return level >=
         level_of(g_levels[static_cast<std::size_t>(g_context.subsystem)].load(std::memory_order_relaxed));
}

std::optional<Subsystem> parse_subsystem(std::string_view name) noexcept {
  const auto found = std::ranges::find(kSubsystems, name);
  if (found == kSubsystems.end()) return std::nullopt;
  return static_cast<Subsystem>(found - kSubsystems.begin());
}

Scope::Scope(Subsystem subsystem, std::string_view call_id, bool is_debugged)
    : subsystem_(g_context.subsystem),
      is_other_call_(g_context.call_id != call_id),
      is_debugged_(g_context.is_debugged) {
  g_context.subsystem = subsystem;
  g_context.is_debugged = is_debugged;
  if (!is_other_call_) return;
  call_id_ = std::move(g_context.call_id);
  g_context.call_id = call_id;
}

Scope::~Scope() {
  g_context.subsystem = subsystem_;
  if (is_other_call_) g_context.call_id = std::move(call_id_);
  g_context.is_debugged = is_debugged_;
}

void set_level(int level) {
  for (auto& each : g_levels) each.store(level);
}
void set_level(Subsystem subsystem, int level) { g_levels[static_cast<std::size_t>(subsystem)].store(level); }
int level_of(Subsystem subsystem) noexcept { return g_levels[static_cast<std::size_t>(subsystem)].load(); }

void record(std::string_view name, const std::string& json_object) {
  g_context.record_name = name;
  info(fmt::runtime("{}"), json_object);
  g_context.record_name = {};
}

void configure(int level, bool to_stderr, std::string_view facility, bool json) {
  auto filter = std::make_shared<Filter>();
  if (to_stderr || facility.empty()) filter->add_sink(std::make_shared<StandardError>());
  if (!facility.empty()) {
    filter->add_sink(std::make_shared<spdlog::sinks::syslog_sink_mt>("rtpferryd", LOG_PID,
                                                                     facility_number(facility), false));
  }
  set_level(level);
  auto logger = std::make_shared<spdlog::logger>("rtpferryd", std::move(filter));
  logger->set_level(spdlog::level::debug);  // the filter decides
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (json)
    formatter->add_flag<JsonFields>('*').set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%*})");
  else
    formatter->add_flag<TextFields>('*').set_pattern("%Y-%m-%d %H:%M:%S.%e %l %*");
  logger->set_formatter(std::move(formatter));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

namespace {

/// `also` names characters that are escaped beside those of `printable`.
std::string escaped(std::string_view text, std::string_view also, std::size_t longest) {
  std::string safe = printable(text.substr(0, longest), also);
  if (text.size() > longest) safe += "...";
  return safe;
}

}  // namespace

std::string quote(std::string_view text) { return escaped(text, " \"", 200); }

std::string quote_sentence(std::string_view text) { return escaped(text, {}, 800); }

}  // namespace ferry::log
