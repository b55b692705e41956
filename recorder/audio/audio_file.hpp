// SPDX-License-Identifier: Apache-2.0
// Audio files in WAV, FLAC, Ogg/Opus and MP3, written by libsndfile.
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

/// The ending of a format's files, with its dot.
[[nodiscard]] std::string_view file_ending(AudioFileFormat format) noexcept;
/// The nearest sample rate that the format can have, Hz; at least `wanted`, if there is one.
[[nodiscard]] std::uint32_t fitting_rate(AudioFileFormat format, std::uint32_t wanted) noexcept;

/// One audio file. Belongs to one thread. Frames that cannot be written are made up for with silence later,
/// so that the file stays in step with the call.
class AudioFile {
 public:
  /// Begins a file. The error is a sentence.
  static Result<std::unique_ptr<AudioFile>, std::string> open(std::unique_ptr<OutputFile> output,
                                                              AudioFileFormat format, std::uint32_t rate_hz,
                                                              unsigned channels);
  ~AudioFile();
  AudioFile(const AudioFile&) = delete;
  AudioFile& operator=(const AudioFile&) = delete;

  /// Appends frames of 16-bit samples, channels interleaved. False if the disk did not take all of them:
  /// those will be silent.
  bool write(std::span<const std::int16_t> samples);
  /// Makes everything that was written readable for others.
  void flush();
  /// Ends the file; nothing can be written afterwards. False if the disk did not take all of it.
  bool close();
  /// errno of what went wrong last; 0: nothing.
  [[nodiscard]] int error() const { return error_; }
  /// Frames in the file, and frames that became silence.
  [[nodiscard]] std::uint64_t frames() const { return frames_; }
  [[nodiscard]] std::uint64_t frames_lost() const { return lost_; }
  /// Octets of the file so far.
  [[nodiscard]] std::uint64_t size() const { return output_->size(); }

 private:
  AudioFile(std::unique_ptr<OutputFile> output, unsigned channels)
      : output_(std::move(output)), channels_(channels) {}
  bool put(std::span<const std::int16_t> samples);
  struct Calls;

  std::unique_ptr<OutputFile> output_;
  unsigned channels_;
  /// The format's head says how long the file is (WAV).
  bool updates_header_ = false;
  sf_private_tag* file_ = nullptr;
  std::uint64_t position_ = 0;
  std::uint64_t frames_ = 0;
  /// Frames of silence that must be written before anything else.
  std::uint64_t owed_ = 0;
  std::uint64_t lost_ = 0;
  int error_ = 0;
};

}  // namespace ferry
