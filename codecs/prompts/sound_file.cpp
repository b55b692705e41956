// SPDX-License-Identifier: Apache-2.0
#include "codecs/prompts/sound_file.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include <sndfile.h>
#include <unistd.h>

namespace ferry {

namespace {

constexpr std::uint32_t kLowestRate = 4000;
constexpr std::uint32_t kHighestRate = 192'000;
constexpr int kMostChannels = 16;

}  // namespace

std::size_t FileOctets::read(std::size_t from, std::span<std::byte> into) const noexcept {
  const std::size_t wanted = from < size_ ? std::min(into.size(), size_ - from) : 0;
  if (!file_) {
    if (wanted != 0) std::memcpy(into.data(), content_.data() + from, wanted);
    return wanted;
  }
  std::size_t done = 0;
  while (done < wanted) {
    const ssize_t got =
        pread(file_.get(), into.data() + done, wanted - done, static_cast<off_t>(from + done));
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

struct SoundFile::Reads {
  static SoundFile& of(void* user) { return *static_cast<SoundFile*>(user); }
  static sf_count_t length(void* user) { return static_cast<sf_count_t>(of(user).octets_->size()); }
  static sf_count_t seek(sf_count_t offset, int whence, void* user) {
    SoundFile& self = of(user);
    const sf_count_t base = whence == SEEK_SET   ? 0
                            : whence == SEEK_CUR ? static_cast<sf_count_t>(self.place_)
                                                 : length(user);
    if (offset < -base) return -1;
    self.place_ = static_cast<std::size_t>(base + offset);
    return base + offset;
  }
  static sf_count_t read(void* into, sf_count_t count, void* user) {
    SoundFile& self = of(user);
    if (count <= 0) return 0;
    const std::size_t got =
        self.octets_->read(self.place_, {static_cast<std::byte*>(into), static_cast<std::size_t>(count)});
    self.place_ += got;
    return static_cast<sf_count_t>(got);
  }
  static sf_count_t write(const void*, sf_count_t, void*) { return 0; }
  static sf_count_t tell(void* user) { return static_cast<sf_count_t>(of(user).place_); }
};

std::unique_ptr<SoundFile> SoundFile::open(std::shared_ptr<const FileOctets> octets) {
  std::unique_ptr<SoundFile> made(new SoundFile(std::move(octets)));
  SF_VIRTUAL_IO reads{Reads::length, Reads::seek, Reads::read, Reads::write, Reads::tell};
  SF_INFO info{};
  made->file_ = sf_open_virtual(&reads, SFM_READ, &info, made.get());
  if (made->file_ == nullptr || info.channels < 1 || info.channels > kMostChannels) return nullptr;
  made->rate_hz_ = static_cast<std::uint32_t>(std::max(info.samplerate, 0));
  if (made->rate_hz_ < kLowestRate || made->rate_hz_ > kHighestRate) return nullptr;
  made->channels_ = static_cast<std::size_t>(info.channels);
  if (info.frames >= 0 && info.frames < SF_COUNT_MAX)
    made->samples_ = static_cast<std::uint64_t>(info.frames);
  // Samples above full scale are clipped, so that they do not wrap.
  sf_command(made->file_, SFC_SET_CLIPPING, nullptr, SF_TRUE);
  return made;
}

SoundFile::~SoundFile() {
  if (file_ != nullptr) sf_close(file_);
}

std::size_t SoundFile::next(std::span<std::int16_t> out) {
  std::array<short, 4096> frames;
  const std::size_t at_once = frames.size() / channels_;
  std::size_t done = 0;
  while (done < out.size()) {
    const auto wanted = static_cast<sf_count_t>(std::min(at_once, out.size() - done));
    const sf_count_t got = sf_readf_short(file_, frames.data(), wanted);
    for (std::size_t i = 0; i < static_cast<std::size_t>(std::max<sf_count_t>(got, 0)); ++i) {
      int sum = 0;
      for (std::size_t c = 0; c < channels_; ++c) sum += frames[i * channels_ + c];
      out[done++] = static_cast<std::int16_t>(sum / static_cast<int>(channels_));
    }
    if (got < wanted) break;
  }
  return done;
}

}  // namespace ferry
