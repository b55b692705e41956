#include "codecs/audio/audio_encoder.hpp"

#include <memory>

// spandsp's headers need these before them.
#include <cmath>
#include <cstdio>

#include <spandsp.h>

namespace ferry {

namespace {

// Static payload types (RFC 3551 §6).
constexpr std::uint8_t kPcmu = 0;
constexpr std::uint8_t kGsm = 3;
constexpr std::uint8_t kPcma = 8;
constexpr std::uint8_t kG722 = 9;
constexpr std::size_t kGsmSamples = 160;
constexpr std::size_t kGsmOctets = 33;
constexpr int kG722BitRate = 64'000;

template <auto kFree>
struct FreeWith {
  template <class State>
  void operator()(State* state) const {
    kFree(state);
  }
};

std::vector<std::byte> as_bytes(const std::vector<std::uint8_t>& octets) {
  const auto* start = reinterpret_cast<const std::byte*>(octets.data());
  return {start, start + octets.size()};
}

// GSM 06.10: 33 octets for 160 samples (RFC 3551 section 4.5.8).
std::vector<std::byte> encode_gsm(std::span<const std::int16_t> samples) {
  const std::unique_ptr<gsm0610_state_t, FreeWith<gsm0610_free>> state(
      gsm0610_init(nullptr, GSM0610_PACKING_VOIP));
  // A last frame that is not full is left out.
  samples = samples.first(samples.size() / kGsmSamples * kGsmSamples);
  std::vector<std::uint8_t> octets(samples.size() / kGsmSamples * kGsmOctets);
  if (!samples.empty())
    gsm0610_encode(state.get(), octets.data(), samples.data(), static_cast<int>(samples.size()));
  return as_bytes(octets);
}

// Without a state between calls: a prompt is encoded as a whole, once.
std::vector<std::byte> encode_g722(std::span<const std::int16_t> samples) {
  const std::unique_ptr<g722_encode_state_t, FreeWith<g722_encode_free>> state(
      g722_encode_init(nullptr, kG722BitRate, 0));
  // The codec takes samples in pairs.
  samples = samples.first(samples.size() / 2 * 2);
  std::vector<std::uint8_t> octets(samples.size() / 2);
  if (!samples.empty())
    g722_encode(state.get(), octets.data(), samples.data(), static_cast<int>(samples.size()));
  return as_bytes(octets);
}

}  // namespace

std::uint32_t encoder_rate_hz(PayloadType type) noexcept {
  switch (type.value) {
    case kPcmu:
    case kPcma:
    case kGsm:
      return 8000;
    case kG722:
      return 16'000;
    default:
      return 0;
  }
}

std::vector<std::byte> encode_audio(PayloadType type, std::span<const std::int16_t> samples) {
  if (type.value == kGsm) return encode_gsm(samples);
  if (type.value == kG722) return encode_g722(samples);
  std::vector<std::byte> octets;
  octets.reserve(samples.size());
  for (const std::int16_t sample : samples)
    octets.push_back(std::byte{type.value == kPcmu ? linear_to_ulaw(sample) : linear_to_alaw(sample)});
  return octets;
}

}  // namespace ferry
