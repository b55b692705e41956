// SPDX-License-Identifier: Apache-2.0
// Logging of the control side. The core and the workers never log; they count and report events. The
// functions are safe on any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <spdlog/spdlog.h>

namespace ferry::log {

/// Subject of a line. Each subsystem has a level of its own.
enum class Subsystem : std::uint8_t { kCore, kControl, kCalls, kMedia, kRecorder, kCount };
/// Names of the subsystems in JSON lines and commands.
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Subsystem::kCount)> kSubsystems = {
    "core", "control", "calls", "media", "recorder"};
/// The subsystem of that name; nothing if there is none.
std::optional<Subsystem> parse_subsystem(std::string_view name) noexcept;

/// Sets where and how to log. May be called again, as at SIGHUP. `level` is a number of syslog, for all
/// subsystems. An empty `facility`: no syslog, and lines go to standard error in any case.
void configure(int level, bool to_stderr, std::string_view facility, bool json);
/// Sets or returns the level, in numbers of syslog: for all subsystems, or for one.
void set_level(int level);
void set_level(Subsystem subsystem, int level);
[[nodiscard]] int level_of(Subsystem subsystem) noexcept;
/// True if a line of that level would be written now, for the subsystem and call of this thread. Ask before a
/// text that is costly to make.
[[nodiscard]] bool is_wanted(spdlog::level::level_enum level);

/// While this object lives, lines of its thread are about one subsystem and one call. JSON lines have both as
/// fields; text lines have the call in brackets. Scopes may be nested: the end of one restores the one
/// before.
class Scope {
 public:
  /// An empty `call_id`: the lines are about no call. `is_debugged`: lines of all levels are written.
  explicit Scope(Subsystem subsystem, std::string_view call_id = {}, bool is_debugged = false);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  /// The values of the enclosing scope. `call_id_` is empty if that one is about the same call: scopes of one
  /// call stand in each other for each command, and a copy of the Call-ID each time costs an allocation.
  Subsystem subsystem_;
  bool is_other_call_;
  std::string call_id_;
  bool is_debugged_;
};

/// Writes a line that is data, at level info. `json_object` is the text of a JSON object; JSON lines have it
/// as the field `name`.
void record(std::string_view name, const std::string& json_object);

/// Makes a word from outside safe for one log line (CTL-14): as `printable` does, with blanks and quotation
/// marks escaped as well. A long word is cut.
std::string quote(std::string_view text);
/// The same for a whole sentence that contains such text: blanks and quotation marks stay, and it may be
/// longer.
std::string quote_sentence(std::string_view text);

/// Write one line at their level, with the format strings of fmt.
using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace ferry::log
