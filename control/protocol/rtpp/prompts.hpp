// Pre-encoded prompts of the classic protocol: files `NAME.PAYLOAD-TYPE` with raw frames.
#pragma once

#include "relay/core/timeline/prompt.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::rtpp {

/// Reads prompts below configured directories and keeps them while their files stay as they are. No link is
/// followed, nothing but regular files of a sensible size is read (media-security CTL-10). Control thread
/// only.
class PromptStore {
 public:
  /// Longest file that is read; an hour of G.711.
  static constexpr std::size_t kMaxOctets = 32u << 20;

  explicit PromptStore(std::vector<std::string> directories) : directories_(std::move(directories)) {}

  /// `name` without its ending, absolute or below one of the directories. `packet_ms` is rounded up to whole
  /// frames. Null if there is no such file, or its payload type has no known frames.
  std::shared_ptr<const Prompt> find(std::string_view name, PayloadType type, unsigned packet_ms);

 private:
  struct Kept {
    std::int64_t changed_ns = 0;
    std::int64_t size = 0;
    std::uint64_t inode = 0;
    std::shared_ptr<const Prompt> prompt;
  };
  static constexpr std::size_t kMaxKept = 256;
  static constexpr std::size_t kMaxKeptOctets = 256u << 20;

  std::vector<std::string> directories_;
  std::map<std::string, Kept, std::less<>> kept_;
  std::size_t kept_octets_ = 0;
};

}  // namespace ferry::rtpp
