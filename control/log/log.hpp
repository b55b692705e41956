// Logging of the control side. The core and the workers never log; they count and report events.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <spdlog/spdlog.h>

namespace ferry::log {

/// What a line is about; each has a level of its own.
enum class Subsystem : std::uint8_t { kCore, kControl, kCalls, kMedia, kRecorder, kCount };
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Subsystem::kCount)> kSubsystems = {
    "core", "control", "calls", "media", "recorder"};
std::optional<Subsystem> parse_subsystem(std::string_view name) noexcept;

/// Where and how to log; may be called again (SIGHUP). `level` in syslog numbers, for all subsystems;
/// `facility` empty = no syslog.
void configure(int level, bool to_stderr, std::string_view facility, bool json);
/// Syslog numbers; for all subsystems or one.
void set_level(int level);
void set_level(Subsystem subsystem, int level);
[[nodiscard]] int level_of(Subsystem subsystem) noexcept;
/// Whether a line of that level would be written now, for this thread's subsystem and call: what is dear to
/// say is only worked out then.
[[nodiscard]] bool is_wanted(spdlog::level::level_enum level);

/// Lines of this thread are about a call and a subsystem as long as this lives; both are fields of JSON
/// lines, and the call stands in brackets in text.
class Scope {
 public:
  explicit Scope(Subsystem subsystem, std::string_view call_id = {}, bool is_debugged = false);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Subsystem subsystem_;
  std::string call_id_;
  bool is_debugged_;
};

/// One line that is data: `name` and the text of a JSON object, which JSON lines have as a field. Level info.
void record(std::string_view name, const std::string& json_object);

/// A word from outside, safe for one log line (CTL-14): `printable`, with blanks and quotation marks escaped
/// as well; a long one is cut.
std::string quote(std::string_view text);
/// The same for a whole sentence with such text in it: blanks and quotation marks stay, and it may be longer.
std::string quote_sentence(std::string_view text);

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace ferry::log
