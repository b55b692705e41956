// SPDX-License-Identifier: Apache-2.0
#include "recorder/finished.hpp"

#include "relay/base/printable.hpp"

#include <fmt/format.h>

namespace ferry {

std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", printable(text, "\"")); }

std::string recording_title(std::string_view call_id, std::string_view id) {
  return call_id.empty() ? fmt::format("recording {}", id)
                         : fmt::format("call {}: recording {}", in_quotes(call_id), id);
}

std::string FinishedRecording::title() const {
  return recording_title(manifest.is_object() ? manifest.value("call_id", "") : std::string(), id);
}

}  // namespace ferry
