// SPDX-License-Identifier: Apache-2.0
// The sounds that are played to parties: finds files, contents and tones, encodes them, and keeps what is
// encoded.
#pragma once

#include "codecs/prompts/prompt_encoder.hpp"
#include "codecs/prompts/sound_file.hpp"
#include "codecs/tone/cadence.hpp"
#include "relay/core/audio/sound_library.hpp"

#include <condition_variable>
#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ferry {

/// The options of a library.
struct PromptLibraryConfig {
  /// Folders below which files may be, absolute, without a slash at the end. Empty = no file is played.
  std::vector<std::string> folders;
  /// The folder of numbered files, `NUMBER.wav`, in the same form. Empty = there is none.
  std::string numbers;
  /// Octets that are kept for the next listener: encoded sound, and the contents that it was made of.
  std::size_t cache_octets = std::size_t{64} << 20;
  /// The tones.
  ToneTable tones;
  /// True: a thread encodes. False: `prompt` returns once it has encoded all, for tests.
  bool has_thread = true;
};

/// `SoundLibrary` by libsndfile and the codecs of `codecs/audio`. All members are for the control thread. A
/// thread of its own encodes, a second of each prompt in turn, so that a long file delays nobody.
class PromptLibrary final : public SoundLibrary {
 public:
  /// Octets of the largest file that is opened.
  static constexpr std::size_t kLargestFile = std::size_t{512} << 20;
  /// Prompts that wait for the thread at a time; there is no further one until one of them is complete.
  static constexpr std::size_t kMostWork = 256;
  /// Prompts that are kept while nobody hears them.
  static constexpr std::size_t kMostKept = 4096;

  /// Starts the thread. Throws with a sentence for the operator if the host gives none.
  explicit PromptLibrary(PromptLibraryConfig config);
  /// Ends the thread. What is being encoded stays as it is, and counts as complete.
  ~PromptLibrary() override;
  PromptLibrary(const PromptLibrary&) = delete;
  PromptLibrary& operator=(const PromptLibrary&) = delete;

  [[nodiscard]] Result<std::shared_ptr<const Sound>, SoundFault> open(const SoundName& name) override;
  [[nodiscard]] std::shared_ptr<const Prompt> prompt(const std::shared_ptr<const Sound>& sound,
                                                     const AudioFormat& format, unsigned packet_ms) override;
  [[nodiscard]] bool encodes(const AudioFormat& format) override;

  /// Prompts that were encoded, and prompts that were there already.
  [[nodiscard]] std::uint64_t encoded() const noexcept { return encoded_; }
  [[nodiscard]] std::uint64_t found() const noexcept { return found_; }
  /// Prompts that are kept, and their octets with those of their keys and contents.
  [[nodiscard]] std::size_t kept() const;
  [[nodiscard]] std::size_t kept_octets() const;

 private:
  class Content;
  /// One encoding of one sound.
  struct Kept {
    /// The content that it was made of, which is compared, because a hash names it. Null for other sounds; a
    /// file would stay open.
    std::shared_ptr<const FileOctets> content;
    /// Never null.
    std::shared_ptr<Prompt> prompt;
    /// Number of the request that wanted it last.
    std::uint64_t wanted = 0;
  };
  /// A prompt that is being encoded.
  struct Work {
    /// Its place in `kept_`.
    std::string key;
    /// Never null.
    std::unique_ptr<PromptEncoder> encoder;
  };

  [[nodiscard]] Result<std::shared_ptr<const Sound>, SoundFault> open_file(
      const std::string& name, const std::vector<std::string>& folders) const;
  /// The prompt of `key` if it is kept and was made of the same content; else null.
  [[nodiscard]] std::shared_ptr<const Prompt> find(const std::string& key, const Content& content);
  /// False if too many prompts wait for the thread, not counting those that nobody hears any more.
  [[nodiscard]] bool has_room_for_work();
  /// Encodes a step of the first prompt that waits, so that others come to their turn. `lock` is held, but
  /// not during the step.
  void encode_one(std::unique_lock<std::mutex>& lock);
  /// Encodes all that waits; for a library without a thread.
  void encode_all();
  // These four are called under the lock.
  /// Octets that one prompt takes.
  [[nodiscard]] static std::size_t octets_of(const std::string& key, const Kept& kept) noexcept;
  /// Drops prompts that nobody hears any more, the longest unused first, until the rest fits.
  void trim();
  /// Drops the prompt if it is still the one that is kept as `work.key`.
  void forget(const Work& work);
  /// True if nobody hears the prompt of `work`: it is then forgotten, and needs no further step.
  bool is_given_up(const Work& work);
  /// The thread.
  void run();

  PromptLibraryConfig config_;
  /// Whether the codecs that were asked for can be encoded.
  std::map<std::string, bool, std::less<>> encodes_;
  std::uint64_t requests_ = 0;
  std::uint64_t encoded_ = 0;
  std::uint64_t found_ = 0;

  // Shared with the thread, under the lock.
  mutable std::mutex mutex_;
  std::condition_variable has_work_;
  /// By sound, codec and packet time. Only the control thread adds to it.
  std::map<std::string, Kept, std::less<>> kept_;
  /// What waits for its next step. The thread takes one out while it encodes. A list, so that it puts it back
  /// without memory.
  std::list<Work> work_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace ferry
