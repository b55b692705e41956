// The sounds that are played to parties: finds files, contents and tones, encodes them, and keeps what is
// encoded.
#pragma once

#include "codecs/prompts/prompt_encoder.hpp"
#include "codecs/prompts/sound_file.hpp"
#include "codecs/tone/cadence.hpp"
#include "relay/core/audio/sound_library.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
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
  /// Octets of encoded sound that are kept for the next listener.
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

  /// Starts the thread.
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
  /// Octets of the encoded sound that is kept.
  [[nodiscard]] std::size_t kept_octets() const noexcept;

 private:
  class Content;
  /// One encoding of one sound.
  struct Kept {
    /// The sound that it was made of; contents are compared, because a hash names them.
    std::shared_ptr<const Content> content;
    std::shared_ptr<Prompt> prompt;
    /// Number of the request that wanted it last.
    std::uint64_t wanted = 0;
  };

  [[nodiscard]] Result<std::shared_ptr<const Sound>, SoundFault> open_file(
      const std::string& name, const std::vector<std::string>& folders) const;
  /// Gives what nobody hears any more away, the longest unused first, until the rest fits.
  void trim();
  void encode_later(std::unique_ptr<PromptEncoder> encoder);
  /// The thread.
  void run();

  PromptLibraryConfig config_;
  /// By sound, codec and packet time.
  std::map<std::string, Kept, std::less<>> kept_;
  /// Whether the codecs that were asked for can be encoded.
  std::map<std::string, bool, std::less<>> encodes_;
  std::uint64_t requests_ = 0;
  std::uint64_t encoded_ = 0;
  std::uint64_t found_ = 0;

  // Shared with the thread, under the lock.
  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::unique_ptr<PromptEncoder>> work_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace ferry
