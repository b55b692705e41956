// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/rtpproxy/prompts.hpp"

#include "relay/base/open_below.hpp"
#include "relay/core/output/frame_size.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace ferry::rtpproxy {

namespace {

std::vector<std::byte> read_whole(int file, std::size_t size) {
  std::vector<std::byte> octets(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = read(file, octets.data() + done, size - done);
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  octets.resize(done);
  return octets;
}

}  // namespace

std::shared_ptr<const Prompt> PromptStore::find(std::string_view name, PayloadType type, unsigned packet_ms) {
  const auto frame = frame_size(type);
  if (!frame || name.empty()) return nullptr;
  const unsigned frames = frame->frames_for(packet_ms);
  const std::string ending = "." + std::to_string(type.value);
  for (const std::string& directory : directories_) {
    const auto inside = name_below(directory, name);
    if (!inside) continue;
    const FileDescriptor file = open_below(directory, std::string(*inside) + ending);
    if (!file) continue;
    struct stat info {};
    fstat(file.get(), &info);
    const std::int64_t changed = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
    const std::string key = directory + "/" + std::string(*inside) + ending + " " + std::to_string(frames);
    if ((cached_.size() >= kMaxCached && !cached_.contains(key)) || cached_octets_ > kMaxCachedOctets) {
      cached_.clear();
      cached_octets_ = 0;
    }
    CachedPrompt& cached = cached_[key];
    if (!cached.prompt || cached.changed_ns != changed || cached.size != info.st_size ||
        cached.inode != info.st_ino) {
      const auto size = static_cast<std::uint64_t>(info.st_size);
      const PromptTiming timing{std::chrono::milliseconds(std::int64_t{frames} * frame->ms),
                                frames * frame->ms * kFrameClockPerMs, 1000 * kFrameClockPerMs};
      // The rest that does not fill a packet is not played.
      auto prompt =
          whole_prompt(timing, size <= kMaxOctets ? read_whole(file.get(), size) : std::vector<std::byte>(),
                       std::size_t{frames} * frame->octets);
      cached_octets_ += prompt->octets();
      if (cached.prompt) cached_octets_ -= cached.prompt->octets();
      cached = {changed, info.st_size, info.st_ino, std::move(prompt)};
    }
    if (cached.prompt->octets() != 0) return cached.prompt;
    cached_.erase(key);
  }
  return nullptr;
}

}  // namespace ferry::rtpproxy
