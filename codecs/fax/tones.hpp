// SPDX-License-Identifier: Apache-2.0
// Finds the signals by which fax machines begin a call (ITU-T T.30 §4, §5).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace ferry {

/// A signal of a fax machine.
enum class FaxTone : std::uint8_t {
  /// Calling tone, 1,100 Hz for 0.5 s every 3.5 s: who calls is a fax machine.
  kCng,
  /// Answering tone, 2,100 Hz: a fax machine, a modem or an alarm panel has answered.
  kCed,
  /// Flags of V.21 at 300 bit/s: a fax machine speaks to another one. Only this is proof.
  kPreamble,
};
/// The name that T.30 uses.
[[nodiscard]] std::string_view to_string(FaxTone tone) noexcept;

/// Listens to one direction of a call for signals of fax machines. spandsp does the work. A signal with phase
/// reversals or modulation (ANSam, V.8) is none of a fax machine that T.38 without V.34 could serve, and is
/// not told. Allocates when it is made. For one thread.
class FaxTones {
 public:
  /// Throws std::bad_alloc.
  FaxTones();
  ~FaxTones();
  FaxTones(const FaxTones&) = delete;
  FaxTones& operator=(const FaxTones&) = delete;

  /// Hears the next samples at 8 kHz, at most 240 ms. Returns a signal that has been recognized by them, once
  /// for each time that it begins; the preamble before others.
  [[nodiscard]] std::optional<FaxTone> hear(std::span<const std::int16_t> samples) noexcept;

 private:
  struct Detectors;
  std::unique_ptr<Detectors> detectors_;
};

}  // namespace ferry
