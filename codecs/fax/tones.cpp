// SPDX-License-Identifier: Apache-2.0
#include "codecs/fax/tones.hpp"

#include <array>
#include <new>

#include <spandsp.h>

namespace ferry {

std::string_view to_string(FaxTone tone) noexcept {
  constexpr std::array<std::string_view, 3> kNames = {"CNG", "CED", "V.21 preamble"};
  return kNames[static_cast<std::size_t>(tone)];
}

/// One of spandsp's detectors for the calling tone, and one for the signals of who answers.
struct FaxTones::Detectors {
  using Detector = std::unique_ptr<modem_connect_tones_rx_state_t, int (*)(modem_connect_tones_rx_state_t*)>;
  Detector calling = make(MODEM_CONNECT_TONES_FAX_CNG);
  Detector answering = make(MODEM_CONNECT_TONES_FAX_CED_OR_PREAMBLE);
  /// What has begun since the last call of `hear`.
  bool has_cng = false;
  bool has_ced = false;
  bool has_preamble = false;

  Detector make(int kind) {
    Detector detector(modem_connect_tones_rx_init(nullptr, kind, on_tone, this), modem_connect_tones_rx_free);
    if (!detector) throw std::bad_alloc();
    return detector;
  }
  static void on_tone(void* self, int code, int, int) {
    auto& detectors = *static_cast<Detectors*>(self);
    if (code == MODEM_CONNECT_TONES_FAX_CNG) detectors.has_cng = true;
    if (code == MODEM_CONNECT_TONES_FAX_CED) detectors.has_ced = true;
    if (code == MODEM_CONNECT_TONES_FAX_PREAMBLE) detectors.has_preamble = true;
  }
};

FaxTones::FaxTones() : detectors_(std::make_unique<Detectors>()) {}
FaxTones::~FaxTones() = default;

std::optional<FaxTone> FaxTones::hear(std::span<const std::int16_t> samples) noexcept {
  Detectors& found = *detectors_;
  found.has_cng = found.has_ced = found.has_preamble = false;
  const auto count = static_cast<int>(samples.size());
  modem_connect_tones_rx(found.calling.get(), samples.data(), count);
  modem_connect_tones_rx(found.answering.get(), samples.data(), count);
  if (found.has_preamble) return FaxTone::kPreamble;
  if (found.has_ced) return FaxTone::kCed;
  if (found.has_cng) return FaxTone::kCng;
  return std::nullopt;
}

}  // namespace ferry
