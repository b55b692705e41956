// SPDX-License-Identifier: Apache-2.0
// Audio files by libsndfile, which writes through `Calls` into an `OutputFile`: to the disk as it is, or
// encrypted.
//
// A file must stay in step with the call even if the disk is full for a while. Frames that could not be
// written are owed: the next successful write begins with as much silence. So the position of a frame in the
// file is always its time.
#include "recorder/audio/audio_file.hpp"

#include <algorithm>
#include <array>

#include <sndfile.h>

namespace ferry {

namespace {

int sndfile_format(AudioFileFormat format) {
  switch (format) {
    case AudioFileFormat::kWav:
      return SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    case AudioFileFormat::kFlac:
      return SF_FORMAT_FLAC | SF_FORMAT_PCM_16;
    case AudioFileFormat::kOpus:
      return SF_FORMAT_OGG | SF_FORMAT_OPUS;
    case AudioFileFormat::kMp3:
      return SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
  }
  return 0;
}

}  // namespace

// The ending of a format, with its dot.
std::string_view file_ending(AudioFileFormat format) noexcept {
  switch (format) {
    case AudioFileFormat::kWav:
      return ".wav";
    case AudioFileFormat::kFlac:
      return ".flac";
    case AudioFileFormat::kOpus:
      return ".opus";
    case AudioFileFormat::kMp3:
      return ".mp3";
  }
  return "";
}

std::uint32_t fitting_rate(AudioFileFormat format, std::uint32_t wanted) noexcept {
  static constexpr std::array<std::uint32_t, 5> kOpus = {8000, 12000, 16000, 24000, 48000};
  static constexpr std::array<std::uint32_t, 9> kMp3 = {8000,  11025, 12000, 16000, 22050,
                                                        24000, 32000, 44100, 48000};
  // The first rate that is not below the wanted one; the highest one if there is none.
  const auto nearest = [wanted](const auto& rates) {
    const auto found = std::ranges::lower_bound(rates, wanted);
    return found == rates.end() ? rates.back() : *found;
  };
  if (format == AudioFileFormat::kOpus) return nearest(kOpus);
  if (format == AudioFileFormat::kMp3) return nearest(kMp3);
  return std::clamp<std::uint32_t>(wanted, 8000, 192000);
}

// libsndfile's view of the output: a file with a position.
struct AudioFile::Calls {
  static AudioFile& self(void* user) { return *static_cast<AudioFile*>(user); }
  static sf_count_t length(void* user) { return static_cast<sf_count_t>(self(user).output_->size()); }
  // WAV goes back to its head when it ends, so the output must be one that can be written anywhere.
  static sf_count_t seek(sf_count_t offset, int whence, void* user) {
    AudioFile& file = self(user);
    const auto base = whence == SEEK_SET   ? sf_count_t{0}
                      : whence == SEEK_CUR ? static_cast<sf_count_t>(file.position_)
                                           : static_cast<sf_count_t>(file.output_->size());
    if (base + offset < 0) return -1;
    file.position_ = static_cast<std::uint64_t>(base + offset);
    return base + offset;
  }
  static sf_count_t read(void* into, sf_count_t count, void* user) {
    AudioFile& file = self(user);
    const std::size_t got = file.output_->read_at(
        file.position_, {static_cast<std::byte*>(into), static_cast<std::size_t>(count)});
    file.position_ += got;
    return static_cast<sf_count_t>(got);
  }
  static sf_count_t write(const void* from, sf_count_t count, void* user) {
    AudioFile& file = self(user);
    const Bytes octets(static_cast<const std::byte*>(from), static_cast<std::size_t>(count));
    if (const int wrong = file.output_->write_at(file.position_, octets)) {
      // libsndfile only learns that nothing was written; the reason is kept for whoever asks `error`.
      file.error_ = wrong;
      return 0;
    }
    file.position_ += octets.size();
    return count;
  }
  static sf_count_t tell(void* user) { return static_cast<sf_count_t>(self(user).position_); }
};

Result<std::unique_ptr<AudioFile>, std::string> AudioFile::open(std::unique_ptr<OutputFile> output,
                                                                AudioFileFormat format, std::uint32_t rate_hz,
                                                                unsigned channels) {
  std::unique_ptr<AudioFile> file(new AudioFile(std::move(output), channels));
  SF_VIRTUAL_IO calls{&Calls::length, &Calls::seek, &Calls::read, &Calls::write, &Calls::tell};
  SF_INFO info{};
  info.samplerate = static_cast<int>(rate_hz);
  info.channels = static_cast<int>(channels);
  info.format = sndfile_format(format);
  file->file_ = sf_open_virtual(&calls, SFM_WRITE, &info, file.get());
  if (file->file_ == nullptr) return fail(std::string(sf_strerror(nullptr)));
  // Only WAV has a header that must say how long the file is; it is brought up to date with each flush.
  file->updates_header_ = format == AudioFileFormat::kWav;
  return file;
}

AudioFile::~AudioFile() { close(); }

// Writes as many frames as the disk takes; `frames_` says how many that were.
bool AudioFile::put(std::span<const std::int16_t> samples) {
  const sf_count_t frames = static_cast<sf_count_t>(samples.size() / channels_);
  const sf_count_t done = std::max<sf_count_t>(sf_writef_short(file_, samples.data(), frames), 0);
  frames_ += static_cast<std::uint64_t>(done);
  return done == frames;
}

bool AudioFile::write(std::span<const std::int16_t> samples) {
  if (file_ == nullptr) return false;
  // The silence that is owed comes first.
  while (owed_ > 0) {
    static constexpr std::array<std::int16_t, 16384> kSilence{};
    const std::size_t frames =
        std::min<std::size_t>(static_cast<std::size_t>(owed_), kSilence.size() / channels_);
    const std::uint64_t before = frames_;
    const bool whole = put(std::span(kSilence).first(frames * channels_));
    owed_ -= frames_ - before;
    if (!whole) break;
  }
  const std::uint64_t frames = samples.size() / channels_;
  const std::uint64_t before = frames_;
  // While silence is owed, nothing may come before it.
  if (owed_ == 0 && put(samples)) return true;
  // Silence and samples that could not be written are owed from now on.
  const std::uint64_t missing = frames - (owed_ == 0 ? frames_ - before : 0);
  owed_ += missing;
  lost_ += missing;
  return false;
}

void AudioFile::flush() {
  if (file_ == nullptr) return;
  if (updates_header_) sf_command(file_, SFC_UPDATE_HEADER_NOW, nullptr, 0);
  if (const int wrong = output_->flush()) error_ = wrong;
}

bool AudioFile::close() {
  if (file_ == nullptr) return error_ == 0;
  // libsndfile writes the rest when it closes, and says nothing about errors: `error_` tells.
  const int before = error_;
  error_ = 0;
  sf_close(file_);
  file_ = nullptr;
  if (const int wrong = output_->flush()) error_ = wrong;
  const bool good = error_ == 0;
  if (good) error_ = before;
  return good;
}

}  // namespace ferry
