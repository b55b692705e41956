// SPDX-License-Identifier: Apache-2.0
// A recorder in virtual time in a folder of its own, and what is read back from its files.
#pragma once

#include "recorder/recorder.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sndfile.h>

namespace ferry::test {

/// A folder that is gone afterwards.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "ferry-test-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::string path(const std::string& name = {}) const {
    return name.empty() ? path_ : path_ + "/" + name;
  }

 private:
  std::string path_;
};

/// Keys of an operator: key.pem and pub.pem (RSA), sign.pem and verify.pem (Ed25519). False: there is no
/// openssl.
inline bool make_keys(const std::string& folder) {
  const std::string command = fmt::format(
      "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {0}/key.pem 2>/dev/null && "
      "openssl pkey -in {0}/key.pem -pubout -out {0}/pub.pem && openssl genpkey -algorithm ED25519 -out "
      "{0}/sign.pem && "
      "openssl pkey -in {0}/sign.pem -pubout -out {0}/verify.pem",
      folder);
  return std::system(command.c_str()) == 0;
}

inline nlohmann::json read_json(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

/// Manifests below a folder, but for its spool.
inline std::vector<nlohmann::json> manifests(const std::string& folder) {
  std::vector<nlohmann::json> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".json" && entry.path().string().find("/.spool/") == std::string::npos)
      found.push_back(read_json(entry.path()));
  }
  return found;
}

struct Sound {
  int rate_hz = 0;
  int channels = 0;
  std::vector<std::int16_t> samples;  // interleaved
  [[nodiscard]] double seconds() const { return static_cast<double>(samples.size()) / channels / rate_hz; }
  /// One channel from `begin` to `end`, seconds.
  [[nodiscard]] std::vector<double> part(int channel, double begin, double end) const {
    std::vector<double> values;
    for (auto frame = static_cast<std::size_t>(begin * rate_hz);
         frame < static_cast<std::size_t>(end * rate_hz); ++frame) {
      const std::size_t at = frame * static_cast<std::size_t>(channels) + static_cast<std::size_t>(channel);
      values.push_back(at < samples.size() ? samples[at] : 0);
    }
    return values;
  }
  [[nodiscard]] double level(int channel, double begin, double end) const {
    double energy = 0;
    const auto values = part(channel, begin, end);
    for (const double value : values) energy += value * value;
    return std::sqrt(energy / static_cast<double>(std::max<std::size_t>(values.size(), 1)));
  }
  /// Share of the energy that lies at a frequency.
  [[nodiscard]] double share(int channel, double hertz, double begin, double end) const {
    double re = 0;
    double im = 0;
    double energy = 0;
    const auto values = part(channel, begin, end);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double phase = 2 * std::numbers::pi * hertz * static_cast<double>(i) / rate_hz;
      re += values[i] * std::cos(phase);
      im += values[i] * std::sin(phase);
      energy += values[i] * values[i];
    }
    return energy == 0 ? 0 : 2 * (re * re + im * im) / (static_cast<double>(values.size()) * energy);
  }
  /// First moment, in seconds, that is louder than `limit`; -1 if none is.
  [[nodiscard]] double first_sound(int channel, int limit = 500, double from = 0) const {
    for (auto frame = static_cast<std::size_t>(from * rate_hz);
         frame * static_cast<std::size_t>(channels) < samples.size(); ++frame) {
      if (std::abs(samples[frame * static_cast<std::size_t>(channels) + static_cast<std::size_t>(channel)]) >
          limit)
        return static_cast<double>(frame) / rate_hz;
    }
    return -1;
  }
};

inline Sound read_sound(const std::string& path) {
  SF_INFO info{};
  SNDFILE* file = sf_open(path.c_str(), SFM_READ, &info);
  Sound sound{info.samplerate, info.channels, {}};
  if (file == nullptr) return sound;
  sound.samples.resize(static_cast<std::size_t>(info.frames) * static_cast<std::size_t>(info.channels));
  sound.samples.resize(static_cast<std::size_t>(sf_readf_short(file, sound.samples.data(), info.frames)) *
                       static_cast<std::size_t>(info.channels));
  sf_close(file);
  return sound;
}

/// Time that the test moves; read by the recorder's threads.
class VirtualTime {
 public:
  [[nodiscard]] Instant now() const { return Instant{Duration{now_.load()}}; }
  void advance(Duration by) { now_ += by.count(); }
  void set(Instant now) { now_ = now.time_since_epoch().count(); }
  [[nodiscard]] Recorder::Clock clock() const {
    return [this] {
      return RecordingTime{now(), WallTime{std::chrono::hours(480'000)} + now().time_since_epoch()};
    };
  }

 private:
  std::atomic<std::int64_t> now_{1'000'000'000'000};
};

}  // namespace ferry::test
