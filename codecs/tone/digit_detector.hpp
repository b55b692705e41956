// SPDX-License-Identifier: Apache-2.0
// Finds digits in speech (ITU-T Q.24), by spandsp.
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

struct dtmf_rx_state_s;

namespace ferry {

/// Listens for the tones of digits. A press is reported when it is certain, about 25 to 45 ms after its
/// beginning, and when it has ended. A break of less than 20 ms ends no press. For one thread.
class DigitDetector {
 public:
  /// What has just been found.
  struct Change {
    /// True: a press begins; false: it has ended.
    bool begins = false;
    /// 0 to 15 as in RFC 4733.
    std::uint8_t event = 0;
    /// Level below 0 dBm0, 0 to 63.
    std::uint8_t volume = 0;
    /// How long the tone lasted; only when it has ended.
    Duration length{0};
  };
  /// A tone is reported at most so long after it began.
  static constexpr Duration kLatency = std::chrono::milliseconds(45);

  DigitDetector();
  ~DigitDetector();
  DigitDetector(const DigitDetector&) = delete;
  DigitDetector& operator=(const DigitDetector&) = delete;

  /// Hears the next samples, mono at 8 kHz: at most 20 ms at once, so that there is one change at most.
  std::optional<Change> hear(std::span<const std::int16_t> samples);

 private:
  static void on_tone(void* user, int code, int level, int delay);

  std::unique_ptr<dtmf_rx_state_s, void (*)(dtmf_rx_state_s*)> state_;
  /// What the library hears now: the letter of a digit; 0: none.
  int heard_ = 0;
  int level_ = 0;
  /// The press that was reported and has not ended; 0: none.
  int pressed_ = 0;
  /// Samples since the press was found, and since its tone is gone.
  std::int64_t since_found_ = 0;
  std::int64_t since_gone_ = 0;
};

}  // namespace ferry
