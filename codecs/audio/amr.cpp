// AMR and AMR-WB payloads (RFC 4867 §4.3, §4.4). A payload is a request for a mode, then a table of contents
// with an entry for each frame, then the frames' bits. In the octet-aligned form every part is padded to
// whole octets; in the bandwidth-efficient form nothing is, so everything is read bit by bit. The decoder
// library wants the storage form: one header octet, then the bits of one frame.
#include "codecs/audio/amr.hpp"

#include "codecs/audio/audio_format.hpp"

#include <algorithm>
#include <array>

extern "C" {
#include <opencore-amrnb/interf_dec.h>
#include <opencore-amrwb/dec_if.h>
}

namespace ferry {

namespace {

// Frame type "nothing was sent".
constexpr std::uint8_t kNoData = 15;

/// Bits of a speech frame by its type (3GPP TS 26.101 table 1b, TS 26.201 table 2); -1: the type is not
/// assigned.
constexpr std::array<int, 16> kNarrowBits = {95, 103, 118, 134, 148, 159, 204, 244,
                                             39, -1,  -1,  -1,  -1,  -1,  -1,  0};
constexpr std::array<int, 16> kWideBits = {132, 177, 253, 285, 317, 365, 397, 461,
                                           477, 40,  -1,  -1,  -1,  -1,  0,   0};

/// Reads bits, the most significant one of each octet first.
class BitReader {
 public:
  explicit BitReader(Bytes bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t left() const { return bytes_.size() * 8 - at_; }
  unsigned take(std::size_t bits) {
    unsigned value = 0;
    for (; bits > 0; --bits, ++at_) value = value << 1 | ((read_u8(bytes_, at_ / 8) >> (7 - at_ % 8)) & 1u);
    return value;
  }
  // Goes on at the next whole octet.
  void align() { at_ = (at_ + 7) / 8 * 8; }

 private:
  Bytes bytes_;
  std::size_t at_ = 0;
};

// The library keeps the state of the stream and hides losses itself, if it is told of a bad frame.
class AmrDecoder final : public AudioDecoder {
 public:
  AmrDecoder(bool wideband, bool octet_align)
      : wideband_(wideband),
        octet_align_(octet_align),
        state_(wideband ? D_IF_init() : Decoder_Interface_init()) {}
  ~AmrDecoder() override { wideband_ ? D_IF_exit(state_) : Decoder_Interface_exit(state_); }
  AmrDecoder(const AmrDecoder&) = delete;
  AmrDecoder& operator=(const AmrDecoder&) = delete;

  [[nodiscard]] std::uint32_t sample_rate_hz() const noexcept override { return wideband_ ? 16000 : 8000; }
  [[nodiscard]] std::size_t max_samples() const noexcept override {
    return AmrFrames::kMost * frame_samples();
  }
  [[nodiscard]] std::optional<std::size_t> decode(Bytes payload, std::span<std::int16_t> out) override {
    const auto frames = amr_frames(payload, wideband_, octet_align_);
    if (!frames) return std::nullopt;
    for (std::size_t i = 0; i < frames->count; ++i)
      run(frames->frames[i].storage.data(), !frames->frames[i].good, out.data() + i * frame_samples());
    return frames->count * frame_samples();
  }
  void conceal(std::span<std::int16_t> out) override {
    // Frames of "nothing was sent", marked bad: the decoder goes on from what it heard last.
    static constexpr std::uint8_t kNothing[] = {kNoData << 3 | 4};
    while (!out.empty()) {
      std::array<std::int16_t, kMostSamples> made{};
      run(kNothing, true, made.data());
      const std::size_t wanted = std::min(out.size(), frame_samples());
      std::copy_n(made.begin(), wanted, out.begin());
      out = out.subspan(wanted);
    }
  }

 private:
  /// Samples of a frame of 20 ms, and of one of AMR-WB.
  [[nodiscard]] std::size_t frame_samples() const noexcept { return wideband_ ? kMostSamples : 160; }
  static constexpr std::size_t kMostSamples = 320;
  /// Writes `frame_samples()` samples.
  void run(const std::uint8_t* frame, bool is_bad, std::int16_t* out) {
    if (wideband_)
      D_IF_decode(state_, frame, out, is_bad ? 1 : 0);
    else
      Decoder_Interface_Decode(state_, frame, out, is_bad ? 1 : 0);
  }
  bool wideband_;
  bool octet_align_;
  void* state_;
};

DecoderResult make(const AudioFormat& format, bool wideband) {
  const auto is_on = [&](std::string_view name) {
    const std::string_view value = format_parameter(format.parameters, name);
    return !value.empty() && value != "0";
  };
  // These change the layout of the payload, and no phone uses them.
  for (const char* name : {"crc", "robust-sorting", "interleaving"}) {
    if (is_on(name)) return fail(format.encoding + " with " + name + " is not decoded");
  }
  if (format.channels != 1)
    return fail(format.encoding + " with " + std::to_string(format.channels) + " channels is not decoded");
  return std::make_unique<AmrDecoder>(wideband, is_on("octet-align"));
}

}  // namespace

std::optional<AmrFrames> amr_frames(Bytes payload, bool wideband, bool octet_align) {
  const auto& sizes = wideband ? kWideBits : kNarrowBits;
  BitReader bits(payload);
  const std::size_t entry = octet_align ? 8 : 6;
  if (bits.left() < (octet_align ? 8u : 4u)) return std::nullopt;
  // The mode that the sender asks the other side for: of no interest here.
  bits.take(octet_align ? 8 : 4);
  AmrFrames all;
  // The table of contents: the first bit of an entry says whether another one follows.
  for (bool more = true; more;) {
    if (bits.left() < entry || all.count == AmrFrames::kMost) return std::nullopt;
    more = bits.take(1) != 0;
    AmrFrame& frame = all.frames[all.count++];
    frame.type = static_cast<std::uint8_t>(bits.take(4));
    frame.good = bits.take(1) != 0;
    if (octet_align) bits.take(2);
    if (sizes[frame.type] < 0) return std::nullopt;
  }
  for (AmrFrame& frame : std::span(all.frames).first(all.count)) {
    auto size = static_cast<std::size_t>(sizes[frame.type]);
    if (bits.left() < size) return std::nullopt;
    // The header of the storage form: type and quality bit (RFC 4867 §5.3).
    frame.storage[frame.size++] = static_cast<std::uint8_t>(frame.type << 3 | (frame.good ? 4 : 0));
    for (; size >= 8; size -= 8) frame.storage[frame.size++] = static_cast<std::uint8_t>(bits.take(8));
    if (size > 0) frame.storage[frame.size++] = static_cast<std::uint8_t>(bits.take(size) << (8 - size));
    if (octet_align) bits.align();
  }
  return all;
}

DecoderResult make_amr_decoder(const AudioFormat& format) { return make(format, false); }
DecoderResult make_amr_wb_decoder(const AudioFormat& format) { return make(format, true); }

}  // namespace ferry
