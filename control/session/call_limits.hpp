// SPDX-License-Identifier: Apache-2.0
// Decides whether a new call may come in.
#pragma once

#include "control/call/session_config.hpp"
#include "control/call/totals.hpp"
#include "control/request/request.hpp"

#include <cstddef>
#include <functional>
#include <optional>

namespace ferry {

/// Figures that a limit looks at besides the number of calls. The program measures them once a second.
struct LoadFigures {
  /// CPU use of the host, in per cent.
  double cpu_percent = 0;
  /// Load average of the last minute.
  double load_average = 0;
  /// Media in octets per second.
  std::uint64_t bytes_per_second = 0;
  /// How busy the media thread is that would convert the next stream, in per cent; 0 without such threads.
  double transcoding_percent = 0;
};

/// The limits of sessions, load and memory. They keep new calls and first conversions out. Control thread
/// only.
class CallLimits {
 public:
  /// `memory_is_short` is asked before each new call; true refuses it, so that the running calls keep the
  /// memory that is left. It may be empty. The other arguments are borrowed.
  CallLimits(const SessionConfig& config, SessionTotals& totals, std::function<bool()> memory_is_short)
      : config_(config), totals_(totals), memory_is_short_(std::move(memory_is_short)) {}

  /// The limit that keeps a new call out beside `running` ones; nothing if it may come in. Counts the
  /// refusal.
  std::optional<RefusalReason> exceeded(std::size_t running);
  /// True if a new call may ask for conversion. Calls that run are not asked about. A refusal is
  /// `RequestFault::kLoadLimit`.
  [[nodiscard]] bool may_transcode() const {
    return config_.max_transcoding_percent <= 0 ||
           load_.transcoding_percent < config_.max_transcoding_percent;
  }
  /// True if the host has no memory left for new calls.
  [[nodiscard]] bool is_memory_short() const { return memory_is_short_ && memory_is_short_(); }
  /// Takes new figures.
  void set_load(const LoadFigures& load) { load_ = load; }
  /// Keeps all new calls out while `on`: the relay is about to stop.
  void set_draining(bool on) { draining_ = on; }
  [[nodiscard]] bool is_draining() const { return draining_; }

 private:
  const SessionConfig& config_;
  SessionTotals& totals_;
  std::function<bool()> memory_is_short_;
  LoadFigures load_;
  bool draining_ = false;
};

}  // namespace ferry
