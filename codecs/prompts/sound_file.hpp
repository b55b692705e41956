// SPDX-License-Identifier: Apache-2.0
// Files of audio, read by libsndfile: WAV, FLAC, Ogg, MP3 and what else it knows.
#pragma once

#include "codecs/prompts/sample_source.hpp"
#include "relay/base/file_descriptor.hpp"

#include <memory>
#include <optional>
#include <string>

struct sf_private_tag;

namespace ferry {

/// The octets of a file: an open file, or its content in memory. Immutable; any number of readers on any
/// threads use it at a time.
class FileOctets {
 public:
  /// `size`: the octets that the file has.
  FileOctets(FileDescriptor file, std::size_t size) : file_(std::move(file)), size_(size) {}
  explicit FileOctets(std::string content) : content_(std::move(content)), size_(content_.size()) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Copies octets from the place `from` on; returns how many there were.
  std::size_t read(std::size_t from, std::span<std::byte> into) const noexcept;
  /// The octets in memory; empty for an open file.
  [[nodiscard]] const std::string& content() const noexcept { return content_; }
  /// False for an open file.
  [[nodiscard]] bool is_in_memory() const noexcept { return !file_; }

 private:
  FileDescriptor file_;
  std::string content_;
  std::size_t size_;
};

/// One reader of a file of audio. Channels are mixed into one. One thread at a time.
class SoundFile final : public SampleSource {
 public:
  /// Reads the header. Null if this is no audio that can be read.
  [[nodiscard]] static std::unique_ptr<SoundFile> open(std::shared_ptr<const FileOctets> octets);
  ~SoundFile() override;

  [[nodiscard]] std::uint32_t rate_hz() const noexcept override { return rate_hz_; }
  /// Samples of one channel; nothing if only reading the whole would tell.
  [[nodiscard]] std::optional<std::uint64_t> samples() const noexcept { return samples_; }
  std::size_t next(std::span<std::int16_t> out) override;

 private:
  /// What libsndfile calls to read.
  struct Reads;

  explicit SoundFile(std::shared_ptr<const FileOctets> octets) : octets_(std::move(octets)) {}

  std::shared_ptr<const FileOctets> octets_;
  /// Where the next octets are read.
  std::size_t place_ = 0;
  sf_private_tag* file_ = nullptr;
  std::uint32_t rate_hz_ = 0;
  std::size_t channels_ = 1;
  std::optional<std::uint64_t> samples_;
};

}  // namespace ferry
