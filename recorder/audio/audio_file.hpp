// WAV, FLAC, Ogg/Opus and MP3 files by libsndfile.
#pragma once

#include "recorder/files/output.hpp"
#include "recorder/settings.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct sf_private_tag;

namespace ferry {

[[nodiscard]] std::string_view file_ending(AudioFileFormat format) noexcept;
/// The nearest rate that the format can have, at least `wanted` if there is one.
[[nodiscard]] std::uint32_t fitting_rate(AudioFileFormat format, std::uint32_t wanted) noexcept;

/// One file. Owned by one thread. What cannot be written is silence later: the file stays in step.
class AudioFile {
 public:
  /// The error is a sentence.
  static Result<std::unique_ptr<AudioFile>, std::string> open(std::unique_ptr<Output> output,
                                                              AudioFileFormat format, std::uint32_t rate_hz,
                                                              unsigned channels);
  ~AudioFile();
  AudioFile(const AudioFile&) = delete;
  AudioFile& operator=(const AudioFile&) = delete;

  /// Appends frames, interleaved. False if the disk did not take them: they will be silent.
  bool write(std::span<const std::int16_t> samples);
  /// What was written can be read by others, to the end.
  void flush();
  /// Ends the file; nothing is written any more. False if the disk did not take all of it.
  bool close();
  /// errno of what last went wrong; 0 = nothing.
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] std::uint64_t frames() const { return frames_; }
  [[nodiscard]] std::uint64_t frames_lost() const { return lost_; }
  [[nodiscard]] std::uint64_t size() const { return output_->size(); }

 private:
  AudioFile(std::unique_ptr<Output> output, unsigned channels)
      : output_(std::move(output)), channels_(channels) {}
  bool put(std::span<const std::int16_t> samples);
  struct Calls;

  std::unique_ptr<Output> output_;
  unsigned channels_;
  bool updates_header_ = false;
  sf_private_tag* file_ = nullptr;
  std::uint64_t position_ = 0;
  std::uint64_t frames_ = 0;
  std::uint64_t owed_ = 0;
  std::uint64_t lost_ = 0;
  int error_ = 0;
};

}  // namespace ferry
