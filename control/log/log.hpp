// Logging of the control side. The core and the workers never log; they count and report events.
#pragma once

#include <string>
#include <string_view>

#include <spdlog/spdlog.h>

namespace ferry::log {

/// Where and how to log; may be called again (SIGHUP). `level` in syslog numbers, `facility` empty = no
/// syslog.
void configure(int level, bool to_stderr, std::string_view facility, bool json);

/// Text from outside, safe for one log line: control characters and non-ASCII become `%XX`, long text is cut.
std::string quote(std::string_view text);

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace ferry::log
