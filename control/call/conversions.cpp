// SPDX-License-Identifier: Apache-2.0
// How the audio between two parties is treated.
//
// Each party has two lists: what its own SDP said, and what it was shown. What stands in both is agreed. A
// party sends agreed codecs under the numbers that it was shown, and receives them under its own. Some send
// under their own numbers, too (RFC 3264 §6.1), so these are understood where they mean nothing else.
//
// Steps: what the sender may send (`sendable`), what the receiver takes (`receivable`), whether the second
// covers the first, and then the conversion or the table of numbers.
//
// Trap: parties that agreed on no speech have broken the rules of RFC 3264, or have no SDP of their own
// (`transform`). The whole lists count then.
#include "control/call/conversions.hpp"

#include "relay/base/text.hpp"
#include "relay/core/audio/format_parameters.hpp"

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <string_view>
#include <vector>

namespace ferry {

namespace {

/// Packet time without any wish, and the longest one, ms.
constexpr std::uint16_t kUsualPtimeMs = 20;
constexpr std::uint16_t kLongestPtimeMs = 120;
/// Payloads of plain samples stay below this, so that a packet fits into one frame of Ethernet.
constexpr std::uint32_t kMostOctets = 1400;

using Formats = std::vector<NumberedFormat>;

bool has_speech(const std::vector<AgreedCodec>& codecs) {
  return std::ranges::any_of(codecs, [](const AgreedCodec& each) { return is_speech(each.format); });
}
bool has_events(const Formats& formats) {
  return std::ranges::any_of(
      formats, [](const NumberedFormat& each) { return kind_of(each.format) == AudioInput::Kind::kEvents; });
}

/// Adds those of `more` whose numbers are not in `formats`.
void add_free(Formats& formats, const Formats& more) {
  for (const NumberedFormat& each : more) {
    if (std::ranges::find(formats, each.type, &NumberedFormat::type) == formats.end())
      formats.push_back(each);
  }
}

/// One party with its lists unpacked.
struct Party {
  explicit Party(const PartyCodecs& codecs)
      : said(codecs.said.formats()), shown(codecs.shown.formats()), agreed(agreed_codecs(said, shown)) {}
  Formats said;
  Formats shown;
  std::vector<AgreedCodec> agreed;

  /// What it may send: the agreed codecs by the numbers that it was shown, then by its own.
  [[nodiscard]] Formats sendable(bool is_asymmetric) const {
    Formats formats;
    if (is_asymmetric || !has_speech(agreed)) {
      formats = shown;
      if (!is_asymmetric) add_free(formats, said);
      return formats;
    }
    for (const AgreedCodec& each : agreed) formats.push_back({each.sends_as, each.format});
    Formats own;
    for (const AgreedCodec& each : agreed) {
      const bool is_taken = std::ranges::any_of(
          shown, [&](const NumberedFormat& other) { return other.type == each.receives_as; });
      if (!is_taken) own.push_back({each.receives_as, each.format});
    }
    add_free(formats, own);
    return formats;
  }
  /// What it receives, the preferred codec first.
  [[nodiscard]] Formats receivable() const {
    if (!has_speech(agreed)) return said;
    Formats formats;
    for (const AgreedCodec& each : agreed) formats.push_back({each.receives_as, each.format});
    return formats;
  }
};

/// The codec of `formats` that payloads of `wanted` can be, by preference under the same number. Null if
/// there is none.
const NumberedFormat* find_passing(const Formats& formats, const NumberedFormat& wanted) {
  const NumberedFormat* found = nullptr;
  for (const NumberedFormat& each : formats) {
    if (!passes_as(wanted.format, each.format)) continue;
    if (each.type == wanted.type) return &each;
    if (found == nullptr) found = &each;
  }
  return found;
}

/// True for clocks that audio has. Another one would make packets without end of a short event, or none.
bool is_usual_clock(std::uint32_t clock_rate_hz) { return clock_rate_hz >= 1000 && clock_rate_hz <= 192'000; }

/// The receiver's type of a kind: of this clock rate, else of any. Nothing if it has none.
std::optional<OtherType> other_type(const Formats& receivable, AudioInput::Kind kind,
                                    std::uint32_t clock_rate_hz) {
  std::optional<OtherType> found;
  for (const NumberedFormat& each : receivable) {
    if (kind_of(each.format) != kind || !is_usual_clock(each.format.clock_rate_hz)) continue;
    const bool is_exact = each.format.clock_rate_hz == clock_rate_hz;
    if (is_exact || !found) found = OtherType{each.type, each.format.clock_rate_hz};
    if (is_exact) break;
  }
  return found;
}

/// Length of one frame of a codec, ms; packet times are multiples of it.
std::uint16_t frame_ms(const AudioFormat& format) {
  const std::string_view name = format.encoding;
  if (equal_ignoring_case(name, "iLBC"))
    return format_number(format.parameters, "mode").value_or(30) == 20 ? 20 : 30;
  for (const std::string_view twenty : {"GSM", "speex", "AMR", "AMR-WB", "EVS"}) {
    if (equal_ignoring_case(name, twenty)) return 20;
  }
  return 10;
}

/// The packet time toward the receiver: what its SDP asks for, else what the client wants, else 20 ms; whole
/// frames of its codec, and for plain samples no more than a packet holds.
std::uint16_t ptime_of(const PartyCodecs& to, const CodecWish& wish, const KnownCodec& codec,
                       const AudioFormat& format) {
  std::uint16_t wanted = kUsualPtimeMs;
  for (const std::uint16_t each : {wish.ptime_ms, to.wishes.ptime_ms, to.ptime_ms}) {
    if (each != 0) wanted = each;
  }
  wanted = std::min(wanted, kLongestPtimeMs);
  const std::uint16_t frame = frame_ms(format);
  if (equal_ignoring_case(format.encoding, "L16")) {
    const std::uint32_t octets_of_ms =
        std::max<std::uint32_t>(codec.sample_rate_hz * format.channels / 500, 1);
    wanted = static_cast<std::uint16_t>(std::min<std::uint32_t>(wanted, kMostOctets / octets_of_ms));
    return std::max<std::uint16_t>(wanted, 1);
  }
  return static_cast<std::uint16_t>(std::max<int>(wanted / frame, 1) * frame);
}

/// Makes the conversion. Nothing if the build can decode nothing of the sender or encode nothing for the
/// receiver.
std::optional<AudioConversion> convert(const Party& from, const Formats& sendable, const PartyCodecs& to,
                                       const Formats& receivable, const Formats& said,
                                       const CodecCatalogue& catalogue) {
  const auto target = std::ranges::find_if(receivable, [&](const NumberedFormat& each) {
    return is_speech(each.format) && catalogue.encodes(each.format);
  });
  if (target == receivable.end()) return std::nullopt;
  AudioConversion conversion;
  // The agreed codecs count first, and then whatever else may come: packets may be late, or early.
  Formats all = sendable;
  add_free(all, from.shown);
  add_free(all, from.said);
  bool has_decodable = false;
  std::uint32_t highest_rate = 0;
  for (const NumberedFormat& each : all) {
    if (!is_usual_clock(each.format.clock_rate_hz)) continue;
    const AudioInput::Kind kind = kind_of(each.format);
    if (kind == AudioInput::Kind::kSpeech) {
      if (!catalogue.decodes(each.format)) continue;
      const bool is_expected = std::ranges::find(sendable, each) != sendable.end();
      has_decodable = has_decodable || is_expected;
      if (is_expected) highest_rate = std::max(highest_rate, catalogue.find(each.format)->sample_rate_hz);
    }
    conversion.inputs.push_back({each.type, kind, each.format});
  }
  if (!has_decodable) return std::nullopt;
  conversion.type = target->type;
  conversion.format = target->format;
  conversion.settings.sample_rate_hz = highest_rate;
  const auto found = std::ranges::find(to.wishes.codecs, target->type, &CodecWish::type);
  const CodecWish wish = found != to.wishes.codecs.end() ? *found : CodecWish{};
  conversion.settings.bitrate_bps = wish.bitrate_bps;
  conversion.settings.complexity = wish.complexity;
  conversion.ptime_ms = ptime_of(to, wish, *catalogue.find(target->format), target->format);
  Formats others = receivable;
  add_free(others, said);
  conversion.events = other_type(others, AudioInput::Kind::kEvents, target->format.clock_rate_hz);
  conversion.comfort_noise =
      other_type(receivable, AudioInput::Kind::kComfortNoise, target->format.clock_rate_hz);
  conversion.detects_tones = conversion.events.has_value() && !has_events(sendable);
  return conversion;
}

/// The types of `formats` that can be heard, in their order. Types beside speech are always among them.
std::vector<AudioInput> inputs_of(const Formats& formats, const CodecCatalogue& catalogue) {
  std::vector<AudioInput> inputs;
  for (const NumberedFormat& each : formats) {
    const AudioInput::Kind kind = kind_of(each.format);
    const bool is_heard = kind != AudioInput::Kind::kSpeech || catalogue.decodes(each.format);
    if (is_heard && is_usual_clock(each.format.clock_rate_hz))
      inputs.push_back({each.type, kind, each.format});
  }
  return inputs;
}

/// The receiver's numbers where they differ from the sender's. Nothing if none does.
std::optional<TypeRenumbering> renumber(const Formats& sendable, const Formats& receivable) {
  TypeRenumbering table;
  bool has_any = false;
  for (const NumberedFormat& each : sendable) {
    const NumberedFormat* known = find_passing(receivable, each);
    if (known == nullptr || known->type == each.type || each.type.value > 127) continue;
    table.to[each.type.value] = known->type.value;
    has_any = true;
  }
  if (!has_any) return std::nullopt;
  return table;
}

}  // namespace

AudioTreatment treat_audio(const PartyCodecs& from, const PartyCodecs& to, const CodecCatalogue& catalogue) {
  AudioTreatment treatment;
  if (to.wishes.ptime_ms != 0) treatment.ptime_ms = to.ptime_ms != 0 ? to.ptime_ms : to.wishes.ptime_ms;
  if (from.said.empty() || from.shown.empty() || to.said.empty()) return treatment;
  // Most calls: each side was shown what the other one said, so nothing has to be unpacked.
  const bool is_equal = from.shown == to.said && from.said == to.shown;
  if (is_equal && !from.wishes.is_forced) return treatment;
  const Party sender(from);
  const Party receiver(to);
  const Formats sendable = sender.sendable(from.wishes.is_asymmetric);
  const Formats receivable = receiver.receivable();
  const bool passes = std::ranges::all_of(sendable, [&](const NumberedFormat& each) {
    return !is_speech(each.format) || find_passing(receivable, each) != nullptr;
  });
  if (!passes || from.wishes.is_forced)
    treatment.conversion = convert(sender, sendable, to, receivable, receiver.said, catalogue);
  if (treatment.conversion)
    treatment.ptime_ms = 0;
  else
    treatment.renumbering = renumber(sendable, receiver.said);
  return treatment;
}

std::optional<AudioConversion> listen_to(const PartyCodecs& from, const CodecCatalogue& catalogue) {
  const Party sender(from);
  Formats all = sender.sendable(from.wishes.is_asymmetric);
  add_free(all, sender.shown);
  add_free(all, sender.said);
  AudioConversion heard;
  heard.inputs = inputs_of(all, catalogue);
  heard.only_listens = heard.detects_tones = true;
  const bool has_speech = std::ranges::any_of(
      heard.inputs, [](const AudioInput& each) { return each.kind == AudioInput::Kind::kSpeech; });
  if (!has_speech) return std::nullopt;
  return heard;
}

}  // namespace ferry
