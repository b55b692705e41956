// SPDX-License-Identifier: Apache-2.0
// How sounds become prompts.
//
// `open` reads a header and gives a `Content`: what the sound is (`identity`), and how samples of it are had
// from the beginning. `prompt` looks for the same identity in the same codec. If there is none, it makes an
// encoder and hands it to the thread, which takes a step of each encoder in turn. Listeners play what there
// is meanwhile.
//
// The identity of a file is its place on the disk, its size and its time, so a file that is replaced is
// encoded again. The identity of a content is a hash, and the contents are compared.
//
// What strangers write must not make work without an end. A prompt is known by what its encoder obeys of the
// `a=fmtp` (`encoding_key`). What nobody hears any more is not encoded further: the thread looks before each
// step, and control before it adds one. A prompt is heard if it has more owners than the library and its
// encoder; control hands it out under the lock, so that the thread does not drop it at that moment.
//
// A tone is encoded for so many turns that packets fit into them; its listeners play it over and over.
#include "codecs/prompts/prompt_library.hpp"

#include "codecs/audio/codec_table.hpp"
#include "relay/base/open_below.hpp"
#include "relay/base/thread_name.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

namespace ferry {

namespace {

/// Samples a second that a tone is made with.
constexpr std::uint32_t kToneRate = 8000;
constexpr unsigned kMsInSecond = 1000;

/// So many samples of a cadence.
class CadenceSamples final : public SampleSource {
 public:
  CadenceSamples(Cadence cadence, std::uint64_t samples)
      : source_(std::move(cadence), kToneRate), left_(samples) {}
  [[nodiscard]] std::uint32_t rate_hz() const noexcept override { return kToneRate; }
  std::size_t next(std::span<std::int16_t> out) override {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, out.size()));
    source_.next(out.first(count));
    left_ -= count;
    return count;
  }

 private:
  CadenceSource source_;
  std::uint64_t left_;
};

}  // namespace

/// A sound that was found.
class PromptLibrary::Content final : public Sound {
 public:
  Content(std::string identity, std::shared_ptr<const FileOctets> octets, const SoundFile& header)
      : identity_(std::move(identity)), octets_(std::move(octets)), rate_hz_(header.rate_hz()) {
    if (header.samples()) length_ = std::chrono::nanoseconds(*header.samples() * 1'000'000'000 / rate_hz_);
  }
  /// `is_endless`: turns follow each other without end. Else it is one turn.
  Content(std::string identity, Cadence cadence, bool is_endless)
      : identity_(std::move(identity)),
        cadence_(std::move(cadence)),
        is_endless_(is_endless),
        rate_hz_(kToneRate) {
    if (cadence_->turn() > Duration{0}) length_ = cadence_->turn();
  }

  [[nodiscard]] std::uint32_t rate_hz() const noexcept override { return rate_hz_; }
  [[nodiscard]] std::optional<Duration> length() const noexcept override { return length_; }
  [[nodiscard]] bool is_endless() const noexcept override { return is_endless_; }

  [[nodiscard]] const std::string& identity() const noexcept { return identity_; }
  /// Its samples from the beginning; null if it cannot be read any more.
  [[nodiscard]] std::unique_ptr<SampleSource> samples(unsigned packet_ms) const {
    if (!cadence_) return SoundFile::open(octets_);
    // A turn of a tone without a cadence is a second, in which all its frequencies come round.
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(cadence_->turn()).count();
    const std::uint64_t turn = ms == 0 ? kMsInSecond : static_cast<std::uint64_t>(ms);
    if (!is_endless_) return std::make_unique<CadenceSamples>(*cadence_, turn * kToneRate / kMsInSecond);
    const std::uint64_t whole = std::lcm(turn, std::uint64_t{std::max(packet_ms, 1U)});
    return std::make_unique<CadenceSamples>(*cadence_, whole * kToneRate / kMsInSecond);
  }
  /// Its octets in memory, shared; null if it is a file or a tone.
  [[nodiscard]] std::shared_ptr<const FileOctets> content() const noexcept {
    return octets_ && octets_->is_in_memory() ? octets_ : nullptr;
  }

 private:
  std::string identity_;
  std::shared_ptr<const FileOctets> octets_;
  std::optional<Cadence> cadence_;
  bool is_endless_ = false;
  std::uint32_t rate_hz_;
  std::optional<Duration> length_;
};

PromptLibrary::PromptLibrary(PromptLibraryConfig config) : config_(std::move(config)) {
  if (!config_.has_thread) return;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& e) {
    throw std::runtime_error(fmt::format(
        "the host gives no thread for sounds that are played: {} (TasksMax of the unit, ulimit -u)",
        e.code().message()));
  }
}

PromptLibrary::~PromptLibrary() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  has_work_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const Work& work : work_) work.encoder->prompt()->finish();
}

Result<std::shared_ptr<const Sound>, SoundFault> PromptLibrary::open_file(
    const std::string& name, const std::vector<std::string>& folders) const {
  if (folders.empty()) return fail(SoundFault::kNoFolder);
  for (const std::string& folder : folders) {
    const auto inside = name_below(folder, name);
    if (!inside || inside->empty()) continue;
    FileDescriptor file = open_below(folder, std::string(*inside));
    struct stat info {};
    if (!file || fstat(file.get(), &info) != 0) continue;
    const auto size = static_cast<std::size_t>(info.st_size);
    if (size > kLargestFile) return fail(SoundFault::kTooLarge);
    std::string identity = fmt::format("file {} {} {} {}.{:09}", info.st_dev, info.st_ino, size,
                                       info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    auto octets = std::make_shared<const FileOctets>(std::move(file), size);
    const auto header = SoundFile::open(octets);
    if (!header) return fail(SoundFault::kUnreadable);
    auto content = std::make_shared<const Content>(std::move(identity), std::move(octets), *header);
    if (content->length().value_or(Duration{0}) > PromptEncoder::kLongest) return fail(SoundFault::kTooLarge);
    return content;
  }
  return fail(SoundFault::kNoFile);
}

Result<std::shared_ptr<const Sound>, SoundFault> PromptLibrary::open(const SoundName& name) {
  switch (name.kind) {
    case SoundName::Kind::kFile:
      return open_file(name.text, config_.folders);
    case SoundName::Kind::kNumber:
      if (config_.numbers.empty()) return fail(SoundFault::kNoFolder);
      return open_file(name.text + ".wav", {config_.numbers});
    case SoundName::Kind::kContent: {
      auto octets = std::make_shared<const FileOctets>(name.text);
      const auto header = SoundFile::open(octets);
      if (!header) return fail(SoundFault::kUnreadable);
      std::string identity =
          fmt::format("content {} {:016x}", name.text.size(), std::hash<std::string>{}(name.text));
      auto content = std::make_shared<const Content>(std::move(identity), std::move(octets), *header);
      if (content->length().value_or(Duration{0}) > PromptEncoder::kLongest)
        return fail(SoundFault::kTooLarge);
      return content;
    }
    case SoundName::Kind::kTone: {
      auto cadence = config_.tones.find(name.text);
      if (!cadence) return fail(SoundFault::kNoTone);
      return std::make_shared<const Content>("tone " + name.text, std::move(*cadence), true);
    }
    case SoundName::Kind::kDigit: {
      unsigned event = 0;
      double level = 0;
      std::int64_t ms = 0;
      std::istringstream words(name.text);
      if (!(words >> event >> level >> ms) || ms < 1) return fail(SoundFault::kNoTone);
      return std::make_shared<const Content>(
          "digit " + name.text,
          dtmf_cadence(static_cast<std::uint8_t>(event), level, std::chrono::milliseconds(ms)), false);
    }
  }
  return fail(SoundFault::kNoFile);
}

std::shared_ptr<const Prompt> PromptLibrary::find(const std::string& key, const Content& content) {
  const std::lock_guard lock(mutex_);
  const auto known = kept_.find(key);
  if (known == kept_.end()) return nullptr;
  const auto one = known->second.content;
  const auto other = content.content();
  if (one && other && one->content() != other->content()) return nullptr;
  known->second.wanted = requests_;
  return known->second.prompt;
}

std::shared_ptr<const Prompt> PromptLibrary::prompt(const std::shared_ptr<const Sound>& sound,
                                                    const AudioFormat& format, unsigned packet_ms) {
  // Every sound comes from `open`.
  const auto content = std::static_pointer_cast<const Content>(sound);
  const std::string key = fmt::format("{} {} {}", content->identity(), encoding_key(format), packet_ms);
  ++requests_;
  if (auto known = find(key, *content)) {
    ++found_;
    return known;
  }
  if (!has_room_for_work()) return nullptr;
  auto samples = content->samples(packet_ms);
  auto encoder = samples ? PromptEncoder::make(std::move(samples), format, packet_ms) : nullptr;
  if (!encoder) return nullptr;
  ++encoded_;
  const std::shared_ptr<Prompt> made = encoder->prompt();
  // Made first: a prompt that is kept but waits for nobody would never be complete.
  std::list<Work> added;
  added.push_back(Work{key, std::move(encoder)});
  {
    const std::lock_guard lock(mutex_);
    kept_.insert_or_assign(key, Kept{content->content(), made, requests_});
    work_.splice(work_.end(), added);
  }
  if (config_.has_thread)
    has_work_.notify_one();
  else
    encode_all();
  const std::lock_guard lock(mutex_);
  trim();
  return made;
}

bool PromptLibrary::encodes(const AudioFormat& format) {
  const std::string key = encoding_key(format);
  if (const auto known = encodes_.find(key); known != encodes_.end()) return known->second;
  // Formats come from outside, so that their number is bounded.
  constexpr std::size_t kMostFormats = 1000;
  if (encodes_.size() >= kMostFormats) encodes_.clear();
  return encodes_[key] = make_audio_encoder(format).has_value();
}

std::size_t PromptLibrary::octets_of(const std::string& key, const Kept& kept) noexcept {
  return key.size() + kept.prompt->octets() + (kept.content ? kept.content->size() : 0);
}

std::size_t PromptLibrary::kept() const {
  const std::lock_guard lock(mutex_);
  return kept_.size();
}

std::size_t PromptLibrary::kept_octets() const {
  const std::lock_guard lock(mutex_);
  std::size_t all = 0;
  for (const auto& [key, kept] : kept_) all += octets_of(key, kept);
  return all;
}

void PromptLibrary::trim() {
  std::size_t octets = 0;
  for (const auto& [key, kept] : kept_) octets += octets_of(key, kept);
  while (octets > config_.cache_octets || kept_.size() > kMostKept) {
    auto oldest = kept_.end();
    for (auto each = kept_.begin(); each != kept_.end(); ++each) {
      // More owners than this list: somebody hears it, or it is being encoded.
      if (each->second.prompt.use_count() > 1) continue;
      if (oldest == kept_.end() || each->second.wanted < oldest->second.wanted) oldest = each;
    }
    if (oldest == kept_.end()) return;
    octets -= octets_of(oldest->first, oldest->second);
    kept_.erase(oldest);
  }
}

void PromptLibrary::forget(const Work& work) {
  const auto known = kept_.find(work.key);
  if (known != kept_.end() && known->second.prompt == work.encoder->prompt()) kept_.erase(known);
}

bool PromptLibrary::is_given_up(const Work& work) {
  const auto known = kept_.find(work.key);
  const bool is_kept = known != kept_.end() && known->second.prompt == work.encoder->prompt();
  // The encoder owns it, and `kept_`.
  if (work.encoder->prompt().use_count() > (is_kept ? 2 : 1)) return false;
  forget(work);
  return true;
}

bool PromptLibrary::has_room_for_work() {
  const std::lock_guard lock(mutex_);
  std::erase_if(work_, [this](const Work& work) { return is_given_up(work); });
  return work_.size() < kMostWork;
}

void PromptLibrary::encode_one(std::unique_lock<std::mutex>& lock) {
  std::list<Work> taken;
  taken.splice(taken.begin(), work_, work_.begin());
  Work& work = taken.front();
  if (is_given_up(work)) return;
  lock.unlock();
  const bool has_more = work.encoder->step();
  lock.lock();
  if (has_more) work_.splice(work_.end(), taken);
  // Who asks for it next has it encoded anew.
  else if (work.encoder->has_failed())
    forget(work);
}

void PromptLibrary::encode_all() {
  std::unique_lock lock(mutex_);
  while (!work_.empty()) encode_one(lock);
}

void PromptLibrary::run() {
  name_thread("prompts");
  std::unique_lock lock(mutex_);
  while (true) {
    has_work_.wait(lock, [this] { return ends_ || !work_.empty(); });
    if (ends_) return;
    encode_one(lock);
  }
}

}  // namespace ferry
