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
// A tone is encoded for so many turns that packets fit into them; its listeners play it over and over.
#include "codecs/prompts/prompt_library.hpp"

#include "codecs/audio/codec_table.hpp"
#include "relay/base/open_below.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

namespace ferry {

namespace {

/// Samples a second that a tone is made with.
constexpr std::uint32_t kToneRate = 8000;
constexpr unsigned kMsInSecond = 1000;

std::string key_of(const AudioFormat& format) {
  return fmt::format("{}/{}/{} {}", format.encoding, format.clock_rate_hz, format.channels,
                     format.parameters);
}

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
  /// True if both have the same octets in memory, or none of them has any.
  [[nodiscard]] bool is_same(const Content& other) const noexcept {
    if (octets_ == other.octets_) return true;
    return octets_ && other.octets_ && octets_->content() == other.octets_->content();
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
  if (config_.has_thread) thread_ = std::thread([this] { run(); });
}

PromptLibrary::~PromptLibrary() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  has_work_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const auto& encoder : work_) encoder->prompt()->finish();
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

std::shared_ptr<const Prompt> PromptLibrary::prompt(const std::shared_ptr<const Sound>& sound,
                                                    const AudioFormat& format, unsigned packet_ms) {
  // Every sound comes from `open`.
  const auto content = std::static_pointer_cast<const Content>(sound);
  const std::string key = fmt::format("{} {} {}", content->identity(), key_of(format), packet_ms);
  ++requests_;
  if (const auto known = kept_.find(key); known != kept_.end() && known->second.content->is_same(*content)) {
    known->second.wanted = requests_;
    ++found_;
    return known->second.prompt;
  }
  auto samples = content->samples(packet_ms);
  auto encoder = samples ? PromptEncoder::make(std::move(samples), format, packet_ms) : nullptr;
  if (!encoder) return nullptr;
  ++encoded_;
  const std::shared_ptr<Prompt> made = encoder->prompt();
  kept_.insert_or_assign(key, Kept{content, made, requests_});
  encode_later(std::move(encoder));
  trim();
  return made;
}

bool PromptLibrary::encodes(const AudioFormat& format) {
  const std::string key = key_of(format);
  if (const auto known = encodes_.find(key); known != encodes_.end()) return known->second;
  // Formats come from outside, so that their number is bounded.
  constexpr std::size_t kMostFormats = 1000;
  if (encodes_.size() >= kMostFormats) encodes_.clear();
  return encodes_[key] = make_audio_encoder(format).has_value();
}

std::size_t PromptLibrary::kept_octets() const noexcept {
  std::size_t all = 0;
  for (const auto& [key, kept] : kept_) all += kept.prompt->octets();
  return all;
}

void PromptLibrary::trim() {
  for (std::size_t octets = kept_octets(); octets > config_.cache_octets;) {
    auto oldest = kept_.end();
    for (auto each = kept_.begin(); each != kept_.end(); ++each) {
      // More owners than this list: somebody hears it, or it is being encoded.
      if (each->second.prompt.use_count() > 1) continue;
      if (oldest == kept_.end() || each->second.wanted < oldest->second.wanted) oldest = each;
    }
    if (oldest == kept_.end()) return;
    octets -= oldest->second.prompt->octets();
    kept_.erase(oldest);
  }
}

void PromptLibrary::encode_later(std::unique_ptr<PromptEncoder> encoder) {
  if (!config_.has_thread) {
    while (encoder->step()) continue;
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(encoder));
  }
  has_work_.notify_one();
}

void PromptLibrary::run() {
  pthread_setname_np(pthread_self(), "ferry-prompts");
  std::unique_lock lock(mutex_);
  while (true) {
    has_work_.wait(lock, [this] { return ends_ || !work_.empty(); });
    if (ends_) return;
    std::unique_ptr<PromptEncoder> encoder = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    // The thread does its work in steps, so that others come to their turn.
    const bool has_more = encoder->step();
    lock.lock();
    if (has_more) work_.push_back(std::move(encoder));
  }
}

}  // namespace ferry
