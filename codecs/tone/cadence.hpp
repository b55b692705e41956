// SPDX-License-Identifier: Apache-2.0
// Tones with a cadence: ring-back, busy and their like by country, digits, silence.
#pragma once

#include "relay/base/result.hpp"
#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// One sound of a cadence.
struct ToneBurst {
  /// Frequencies that are added, in Hz; 0 = none. Without any it is silence.
  std::array<double, 4> hertz{};
  /// Frequency that the first one is modulated by, with a depth of 90 %, in Hz; 0 = it is not.
  double modulation_hertz = 0;
  /// Level of each frequency, in dBm0.
  std::array<double, 4> level_dbm0{};
  /// How long it lasts; 0 = without end, and it is then the only one.
  Duration length{0};

  [[nodiscard]] bool is_silent() const noexcept { return hertz[0] == 0; }
};

/// Bursts that follow each other. After the last one the first one comes again.
struct Cadence {
  std::vector<ToneBurst> bursts;
  /// One turn; 0 if it has no end.
  [[nodiscard]] Duration turn() const noexcept;
};

/// Level of a sum of frequencies in dBm0, if nothing else is said.
constexpr double kToneLevel = -10;

/// Reads a cadence such as `400+450/400,0/200,400+450/400,0/2000`: bursts with commas between them, each
/// `FREQUENCIES[@LEVEL]/MS`. Frequencies are 1 to 3,900 Hz, up to four of them added with `+`, or one
/// modulated by another with `*`; 0 = silence. LEVEL is that of the sum, -60 to 0 dBm0. A burst without a
/// time lasts for ever and is the only one. Fails with a sentence.
[[nodiscard]] Result<Cadence, std::string> parse_cadence(std::string_view text);

/// The names of cadences.
class ToneTable {
 public:
  /// The tones of many countries (`tone_names` lists them); a name without a country means the one of
  /// `country`.
  explicit ToneTable(std::string country) : country_(std::move(country)) {}
  /// Those of the USA.
  ToneTable() = default;
  /// Gives `name` (`WORD/COUNTRY` or `WORD`) another cadence than it had. Fails with a sentence.
  [[nodiscard]] Result<void, std::string> define(std::string_view name, std::string_view cadence);
  /// The cadence of a name, or a cadence as it is written, which begins with a digit. Nothing if it is
  /// neither.
  [[nodiscard]] std::optional<Cadence> find(std::string_view name) const;

 private:
  std::string country_ = "us";
  /// Cadences as text, by name. They come before the built-in ones.
  std::map<std::string, std::string, std::less<>> own_;
};

/// True if there are tones of this country.
[[nodiscard]] bool is_tone_country(std::string_view country) noexcept;

/// The two frequencies of a DTMF digit (ITU-T Q.23), so long, in silence. `event`: 0 to 15 as in RFC 4733.
/// `level_dbm0` is that between both; the higher one is 2 dB stronger than the lower one.
[[nodiscard]] Cadence dtmf_cadence(std::uint8_t event, double level_dbm0, Duration length);

/// Makes the samples of a cadence, turn after turn. Bursts fade in and out within 5 ms, and the phase runs on
/// while they are silent, so nothing clicks. Pure; one thread.
class CadenceSource {
 public:
  CadenceSource(Cadence cadence, std::uint32_t rate_hz);
  /// Makes the next samples.
  void next(std::span<std::int16_t> out) noexcept;

 private:
  [[nodiscard]] std::uint64_t samples_of(Duration time) const noexcept;
  [[nodiscard]] double sample() const noexcept;

  Cadence cadence_;
  std::uint32_t rate_hz_;
  /// Samples since the beginning, which say the phase of each frequency.
  std::uint64_t at_ = 0;
  /// The present burst, its samples (0 = without end), and how many of them were made.
  std::size_t burst_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t made_ = 0;
};

}  // namespace ferry
