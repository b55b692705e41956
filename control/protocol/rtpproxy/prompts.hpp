// SPDX-License-Identifier: Apache-2.0
// Reads the prompts of the rtpproxy protocol: files `NAME.PAYLOAD-TYPE` with encoded frames.
#pragma once

#include "relay/core/output/prompt.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::rtpproxy {

/// Reads prompts below the configured directories, and keeps them while their files are unchanged. It follows
/// no link and reads only regular files of a sensible size (CTL-10). Control thread only.
class PromptStore {
 public:
  /// Octets of the longest file that is read, about an hour of G.711.
  static constexpr std::size_t kMaxOctets = 32u << 20;

  /// `directories` are absolute paths without a slash at the end.
  explicit PromptStore(std::vector<std::string> directories) : directories_(std::move(directories)) {}

  /// Returns the prompt `name` for a payload type. `name` has no ending and is absolute, or relative to one
  /// of the directories. `packet_ms` is rounded up to whole frames. Null if there is no such file, or if the
  /// frames of the payload type are not known.
  std::shared_ptr<const Prompt> find(std::string_view name, PayloadType type, unsigned packet_ms);

 private:
  /// A prompt, and what its file looked like when it was read.
  struct CachedPrompt {
    std::int64_t changed_ns = 0;
    std::int64_t size = 0;
    std::uint64_t inode = 0;
    std::shared_ptr<const Prompt> prompt;
  };
  /// If more prompts or octets than these are kept, all are forgotten and read again when needed.
  static constexpr std::size_t kMaxCached = 256;
  static constexpr std::size_t kMaxCachedOctets = 256u << 20;

  std::vector<std::string> directories_;
  std::map<std::string, CachedPrompt, std::less<>> cached_;
  std::size_t cached_octets_ = 0;
};

}  // namespace ferry::rtpproxy
