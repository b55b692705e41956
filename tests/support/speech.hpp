// SPDX-License-Identifier: Apache-2.0
// Something like speech for tests of codecs, and how far what is heard lies from it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <numbers>
#include <span>
#include <vector>

namespace ferry::test {

/// So many seconds of a voice: harmonics of a gliding pitch under moving formants, in syllables of a quarter
/// of a second. The same sound at every rate, as far as the rate has the band. Deterministic.
inline std::vector<std::int16_t> speech(std::uint32_t rate_hz, double seconds) {
  const auto length = static_cast<std::size_t>(seconds * rate_hz);
  std::vector<std::int16_t> samples(length);
  const double highest = std::min(7000.0, 0.43 * rate_hz);
  double cycles = 0;
  for (std::size_t i = 0; i < length; ++i) {
    const double t = static_cast<double>(i) / rate_hz;
    const double pitch = 130 + 30 * std::sin(2 * std::numbers::pi * 0.9 * t);
    cycles += pitch / rate_hz;
    // Three formants that move with the syllables.
    const double move = std::sin(2 * std::numbers::pi * 1.7 * t);
    const std::array<double, 3> formants = {550 + 200 * move, 1500 - 500 * move, 2700 + 200 * move};
    double value = 0;
    for (int h = 1; h * pitch < highest; ++h) {
      double amplitude = 0.02;
      for (const double formant : formants) {
        const double off = (h * pitch - formant) / (60 + formant * 0.06);
        amplitude += 1 / (1 + off * off) * 500 / formant;
      }
      value += amplitude * std::sin(2 * std::numbers::pi * h * cycles + h * h * 0.7);
    }
    const double syllable = std::pow(std::abs(std::sin(2 * std::numbers::pi * 2 * t)), 0.7);
    samples[i] = static_cast<std::int16_t>(std::clamp(value * syllable * 2500, -32'000.0, 32'000.0));
  }
  return samples;
}

/// So many samples of noise below half the band, at an RMS; `seed` not 0.
inline std::vector<std::int16_t> low_noise(std::size_t length, double rms, std::uint32_t seed = 7) {
  std::vector<std::int16_t> samples(length);
  double low = 0;
  for (auto& sample : samples) {
    seed = seed * 1'664'525u + 1'013'904'223u;
    low = 0.8 * low + (static_cast<double>(seed >> 8) / 8'388'608.0 - 1);
    // The power of the filter's output is 1/3 / (1 - 0.64).
    sample = static_cast<std::int16_t>(std::lround(std::clamp(low * rms / 0.962, -32'000.0, 32'000.0)));
  }
  return samples;
}

inline double rms_of(std::span<const std::int16_t> samples) {
  double energy = 0;
  for (const std::int16_t sample : samples) energy += static_cast<double>(sample) * sample;
  return samples.empty() ? 0 : std::sqrt(energy / static_cast<double>(samples.size()));
}

/// How many samples `heard` lies behind `original` (0 to `most`), by their correlation.
inline std::size_t delay_of(std::span<const std::int16_t> original, std::span<const std::int16_t> heard,
                            std::size_t most) {
  std::size_t best = 0;
  double highest = -1e300;
  for (std::size_t lag = 0; lag <= most && lag < heard.size(); ++lag) {
    const std::size_t length = std::min(original.size(), heard.size() - lag);
    double sum = 0;
    for (std::size_t i = 0; i < length; ++i) sum += static_cast<double>(original[i]) * heard[i + lag];
    if (sum > highest) {
      highest = sum;
      best = lag;
    }
  }
  return best;
}

/// Signal to noise, dB; the two are aligned.
inline double snr_of(std::span<const std::int16_t> original, std::span<const std::int16_t> heard) {
  double signal = 1e-9;
  double noise = 1e-9;
  for (std::size_t i = 0; i < std::min(original.size(), heard.size()); ++i) {
    const double off = static_cast<double>(heard[i]) - original[i];
    signal += static_cast<double>(original[i]) * original[i];
    noise += off * off;
  }
  return 10 * std::log10(signal / noise);
}

/// In place, 256 points.
inline void transform(std::array<std::complex<double>, 256>& x) {
  for (std::size_t i = 1, j = 0; i < x.size(); ++i) {
    std::size_t bit = x.size() >> 1;
    for (; (j & bit) != 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (std::size_t length = 2; length <= x.size(); length <<= 1) {
    const std::complex<double> turn = std::polar(1.0, -2 * std::numbers::pi / static_cast<double>(length));
    for (std::size_t i = 0; i < x.size(); i += length) {
      std::complex<double> w = 1;
      for (std::size_t k = 0; k < length / 2; ++k, w *= turn) {
        const auto even = x[i + k];
        const auto odd = x[i + k + length / 2] * w;
        x[i + k] = even + odd;
        x[i + k + length / 2] = even - odd;
      }
    }
  }
}

/// Mean distance of the spectra of two signals of 8 kHz, dB: of the energies in 16 bands from 200 to 3400 Hz,
/// over the frames of 32 ms in which the first one is not silent. The two are aligned.
inline double spectral_distance(std::span<const std::int16_t> original, std::span<const std::int16_t> heard) {
  constexpr std::size_t kFrame = 256;
  constexpr std::size_t kBands = 16;
  const auto bands_of = [](std::span<const std::int16_t> frame) {
    std::array<std::complex<double>, kFrame> x;
    for (std::size_t i = 0; i < kFrame; ++i)
      x[i] = frame[i] * (0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / kFrame));
    transform(x);
    std::array<double, kBands> bands{};
    for (std::size_t bin = 6; bin < 109; ++bin) bands[(bin - 6) * kBands / 103] += std::norm(x[bin]);
    return bands;
  };
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t at = 0; at + kFrame <= std::min(original.size(), heard.size()); at += kFrame / 2) {
    if (rms_of(original.subspan(at, kFrame)) < 300) continue;
    const auto a = bands_of(original.subspan(at, kFrame));
    const auto b = bands_of(heard.subspan(at, kFrame));
    // What lies 40 dB below the loudest band is not heard beside it.
    const double floor = *std::max_element(a.begin(), a.end()) * 1e-4;
    for (std::size_t band = 0; band < kBands; ++band, ++count)
      sum += std::abs(10 * std::log10((b[band] + floor) / (a[band] + floor)));
  }
  return count == 0 ? 1e9 : sum / static_cast<double>(count);
}

}  // namespace ferry::test
