// SPDX-License-Identifier: Apache-2.0
// Codecs in shared objects of their own, because their licences do not allow to link them into the daemon. An
// object is loaded when the first call needs it, on a writer's thread, and stays. A failure is remembered as
// well: the operator is told once and the disk is not asked with every call.
#include "codecs/audio/plugin.hpp"

#include "codecs/audio/payload_octets.hpp"
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
  const std::string file = g_folder + "/rtpferry-codec-" + name + ".so";
  if (const auto found = known.find(file); found != known.end()) return found->second;
  const auto answer = [&]() -> Result<const rtpferry_codec*, std::string> {
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return fail("the plug-in " + file + " is not installed");
    const auto entry =
        reinterpret_cast<decltype(&rtpferry_codec_entry)>(dlsym(library, "rtpferry_codec_entry"));
    const rtpferry_codec* codec = entry == nullptr ? nullptr : entry();
    // A plug-in of another version may have other functions behind the same names.
    if (codec == nullptr || codec->abi != RTPFERRY_CODEC_ABI)
      return fail("the plug-in " + file + " is of another version");
    return codec;
  }();
  known.emplace(file, answer);
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
  [[nodiscard]] std::optional<std::uint8_t> requested_mode() const noexcept override {
    const int mode = codec_.requested_mode == nullptr ? -1 : codec_.requested_mode(state_);
    return mode < 0 || mode > 255 ? std::nullopt : std::optional(static_cast<std::uint8_t>(mode));
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

class PluginEncoder final : public AudioEncoder {
 public:
  PluginEncoder(const rtpferry_codec& codec, void* state) : codec_(codec), state_(state) {}
  ~PluginEncoder() override { codec_.close_encoder(state_); }
  PluginEncoder(const PluginEncoder&) = delete;
  PluginEncoder& operator=(const PluginEncoder&) = delete;
  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return codec_.sample_rate_hz; }
  [[nodiscard]] std::size_t frame_samples() const noexcept override { return codec_.frame_samples; }
  [[nodiscard]] bool takes(std::size_t samples) const noexcept override {
    return samples > 0 && samples <= codec_.max_packet_samples && samples % codec_.frame_samples == 0;
  }
  [[nodiscard]] std::size_t octets_for(std::size_t samples) const noexcept override {
    return frames_in(samples) * codec_.max_frame_octets;
  }
  Encoded encode(std::span<const std::int16_t> samples, MutableBytes out) override {
    const std::size_t count = frames_in(samples.size()) * codec_.frame_samples;
    if (count == 0) return {};
    rtpferry_encoded encoded{};
    const int made = codec_.encode(state_, samples.data(), count, octets(out), &encoded);
    // Never more than it has said it would.
    const std::size_t size = std::min(static_cast<std::size_t>(std::max(made, 0)), octets_for(count));
    return {size, std::min(encoded.skipped, count), encoded.is_silence != 0};
  }
  void on_feedback(const EncoderFeedback& feedback) override {
    if (feedback.mode) tell(RTPFERRY_FEEDBACK_MODE, *feedback.mode);
    if (feedback.bitrate_bps) tell(RTPFERRY_FEEDBACK_BITRATE, *feedback.bitrate_bps);
    if (feedback.loss_percent) tell(RTPFERRY_FEEDBACK_LOSS, *feedback.loss_percent);
  }
  void request_mode(std::uint8_t mode) override { tell(RTPFERRY_FEEDBACK_OUR_REQUEST, mode); }

 private:
  [[nodiscard]] std::size_t frames_in(std::size_t samples) const noexcept {
    return std::min<std::size_t>(samples, codec_.max_packet_samples) / codec_.frame_samples;
  }
  void tell(rtpferry_feedback what, std::uint32_t value) {
    if (codec_.feedback != nullptr) codec_.feedback(state_, what, value);
  }
  const rtpferry_codec& codec_;
  void* state_;
};

/// The plug-in of an encoding. The error is a sentence.
Result<const rtpferry_codec*, std::string> plugin_of(const std::string& encoding, const std::string& what) {
  std::string name = encoding;
  // Names of packages and files are in lower case; encodings are compared without regard to it.
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const auto codec = load(name);
  if (!codec) return fail("no " + what + " for " + name + ": " + codec.error());
  return *codec;
}

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
  const auto codec = plugin_of(format.encoding, "decoder");
  if (!codec) return fail(codec.error());
  void* state = (*codec)->open(format.parameters.c_str());
  if (state == nullptr) return fail("the plug-in for " + format.encoding + " cannot decode it here");
  return std::make_unique<PluginDecoder>(**codec, state);
}

EncoderResult make_plugin_encoder(const AudioFormat& format, const CodecSettings& settings) {
  if (format.channels != 1)
    return fail(format.encoding + " with " + std::to_string(format.channels) + " channels is not encoded");
  const auto codec = plugin_of(format.encoding, "encoder");
  if (!codec) return fail(codec.error());
  if ((*codec)->open_encoder == nullptr)
    return fail("no encoder for " + format.encoding + ": its plug-in only decodes");
  void* state = (*codec)->open_encoder(format.parameters.c_str(), settings.dtx ? 1 : 0, settings.bitrate_bps);
  if (state == nullptr) return fail("the plug-in for " + format.encoding + " cannot encode it here");
  return std::make_unique<PluginEncoder>(**codec, state);
}

}  // namespace ferry
