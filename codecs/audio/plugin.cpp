// Codecs in shared objects of their own, because their licences do not allow to link them into the daemon. An
// object is loaded when the first call needs it, on a writer's thread, and stays. A failure is remembered as
// well: the operator is told once and the disk is not asked with every call.
#include "codecs/audio/plugin.hpp"

#include "codecs/audio/repetition.hpp"
#include "codecs/plugins/codec_plugin.h"

#include <algorithm>
#include <map>
#include <mutex>

#include <dlfcn.h>

namespace ferry {

namespace {

// Writer threads load plug-ins, several at a time.
std::mutex g_lock;
std::string g_folder = FERRY_PLUGIN_FOLDER;

/// Loads a plug-in once. It is never unloaded, because decoders of it may live anywhere. The error is a
/// sentence.
Result<const rtpferry_codec*, std::string> load(const std::string& name) {
  static std::map<std::string, Result<const rtpferry_codec*, std::string>> known;
  const std::lock_guard guard(g_lock);
  if (const auto found = known.find(name); found != known.end()) return found->second;
  const std::string file = g_folder + "/rtpferry-codec-" + name + ".so";
  const auto answer = [&]() -> Result<const rtpferry_codec*, std::string> {
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
      return fail("no decoder for " + name + ": the plug-in " + file + " is not installed");
    const auto entry =
        reinterpret_cast<decltype(&rtpferry_codec_entry)>(dlsym(library, "rtpferry_codec_entry"));
    const rtpferry_codec* codec = entry == nullptr ? nullptr : entry();
    // A plug-in of another version may have other functions behind the same names.
    if (codec == nullptr || codec->abi != RTPFERRY_CODEC_ABI)
      return fail("the plug-in " + file + " is of another version");
    return codec;
  }();
  known.emplace(name, answer);
  return answer;
}

class PluginDecoder final : public AudioDecoder {
 public:
  PluginDecoder(const rtpferry_codec& codec, void* state)
      : codec_(codec), state_(state), made_up_(codec.max_samples), repetition_(codec.sample_rate_hz) {}
  ~PluginDecoder() override { codec_.close(state_); }
  PluginDecoder(const PluginDecoder&) = delete;
  PluginDecoder& operator=(const PluginDecoder&) = delete;
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return codec_.sample_rate_hz; }
  [[nodiscard]] std::size_t max_samples() const noexcept override { return codec_.max_samples; }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) override {
    const auto made = run(payload.data(), payload.size(), out);
    if (made) repetition_.heard(out.first(*made));
    return made;
  }
  void conceal(std::span<std::int16_t> out) override {
    // The plug-in's own concealment first; what it does not fill, repetition does.
    while (!out.empty()) {
      // Into room of our own: no fault of a plug-in shall write behind that of the caller.
      const auto made = run(nullptr, std::min<std::size_t>(out.size(), codec_.max_samples), made_up_);
      if (!made || *made == 0) break;
      const std::size_t used = std::min(*made, out.size());
      std::copy_n(made_up_.begin(), used, out.begin());
      out = out.subspan(used);
    }
    if (!out.empty()) repetition_.fill(out);
  }

 private:
  // Samples that the plug-in made; never more than it has said it would. `out` has room for those.
  std::optional<std::size_t> run(const std::byte* payload, std::size_t size, std::span<std::int16_t> out) {
    const int made = codec_.decode(state_, reinterpret_cast<const std::uint8_t*>(payload), size, out.data());
    if (made < 0) return std::nullopt;
    return std::min<std::size_t>(static_cast<std::size_t>(made), codec_.max_samples);
  }
  const rtpferry_codec& codec_;
  void* state_;
  /// Room for the samples with which the plug-in conceals a loss.
  std::vector<std::int16_t> made_up_;
  Repetition repetition_;
};

}  // namespace

void set_codec_plugin_folder(std::string folder) {
  const std::lock_guard guard(g_lock);
  g_folder = std::move(folder);
}

std::string codec_plugin_folder() {
  const std::lock_guard guard(g_lock);
  return g_folder;
}

DecoderResult make_plugin_decoder(const AudioFormat& format) {
  std::string name = format.encoding;
  // Names of packages and files are in lower case; encodings are compared without regard to it.
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const auto codec = load(name);
  if (!codec) return fail(codec.error());
  void* state = (*codec)->open(format.parameters.c_str());
  if (state == nullptr) return fail("the plug-in for " + format.encoding + " cannot decode it here");
  return std::make_unique<PluginDecoder>(**codec, state);
}

}  // namespace ferry
