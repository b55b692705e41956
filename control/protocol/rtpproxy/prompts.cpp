#include "control/protocol/rtpproxy/prompts.hpp"

#include "relay/core/output/frame_size.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ferry::rtpproxy {

namespace {

/// Opens a regular file at `name` below `directory`; -1 if there is none.
int open_below(const std::string& directory, const std::string& name) {
  const int folder = open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -1;
  open_how how{};
  // A FIFO or a device must not block the control thread.
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const auto file = static_cast<int>(syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how));
  close(folder);
  struct stat info {};
  if (file < 0 || (fstat(file, &info) == 0 && S_ISREG(info.st_mode))) return file;
  close(file);
  return -1;
}

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
    std::string_view inside = name;
    if (inside.starts_with('/')) {
      if (!inside.starts_with(directory) || inside.size() <= directory.size() ||
          inside[directory.size()] != '/')
        continue;
      inside.remove_prefix(directory.size() + 1);
    }
    const int file = open_below(directory, std::string(inside) + ending);
    if (file < 0) continue;
    struct stat info {};
    fstat(file, &info);
    const std::int64_t changed = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
    const std::string key = directory + "/" + std::string(inside) + ending + " " + std::to_string(frames);
    if ((cached_.size() >= kMaxCached && !cached_.contains(key)) || cached_octets_ > kMaxCachedOctets) {
      cached_.clear();
      cached_octets_ = 0;
    }
    CachedPrompt& cached = cached_[key];
    if (!cached.prompt || cached.changed_ns != changed || cached.size != info.st_size ||
        cached.inode != info.st_ino) {
      auto prompt = std::make_shared<Prompt>();
      const auto size = static_cast<std::uint64_t>(info.st_size);
      if (size <= kMaxOctets) prompt->payloads = read_whole(file, size);
      prompt->type = type;
      prompt->packet_octets = std::size_t{frames} * frame->octets;
      prompt->packet_time = std::chrono::milliseconds(std::int64_t{frames} * frame->ms);
      prompt->units = frames * frame->ms * kFrameClockPerMs;
      // The rest that does not fill a packet is not played.
      prompt->payloads.resize(prompt->payloads.size() / prompt->packet_octets * prompt->packet_octets);
      cached_octets_ += prompt->payloads.size();
      if (cached.prompt) cached_octets_ -= cached.prompt->payloads.size();
      cached = {changed, info.st_size, info.st_ino, std::move(prompt)};
    }
    close(file);
    if (!cached.prompt->payloads.empty()) return cached.prompt;
    cached_.erase(key);
  }
  return nullptr;
}

}  // namespace ferry::rtpproxy
