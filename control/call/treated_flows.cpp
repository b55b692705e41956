// SPDX-License-Identifier: Apache-2.0
#include "control/call/treated_flows.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace ferry {

namespace {

const Media* media_of(const Call& call, MediaId id) {
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      if (media->id == id) return media.get();
    }
  }
  return nullptr;
}

std::string name_of(const AudioFormat& format) {
  std::string name = fmt::format("{}/{}", format.encoding, format.clock_rate_hz);
  if (format.channels > 1) name += fmt::format("/{}", format.channels);
  return name;
}

/// The codecs of speech among the inputs, each once.
std::string speech_of(const AudioConversion& made) {
  std::string names;
  for (const AudioInput& input : made.inputs) {
    if (input.kind != AudioInput::Kind::kSpeech) continue;
    const std::string name = name_of(input.format);
    if (names.find(name) == std::string::npos) names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

/// A fax gateway at work: `the fax in PCMA/8000 becomes T.38, version 0 with redundancy, ECM`.
std::string fax_in_words(const AudioConversion& made) {
  const T38Settings& t38 = made.fax->t38;
  const bool has_parity = t38.protection.recovery == UdptlView::Recovery::kParity;
  const std::string_view protection = has_parity                    ? "with parity"
                                      : t38.protection.earlier == 0 ? "without redundancy"
                                                                    : "with redundancy";
  std::string text =
      made.fax->role == FaxSide::Role::kToSound
          ? fmt::format("the fax in T.38 becomes {} ({})", name_of(made.format), made.type.value)
          : fmt::format("the fax in {} becomes T.38", speech_of(made));
  text += fmt::format(", version {} {}, {}", t38.version, protection, t38.ecm ? "ECM" : "no ECM");
  for (const auto& [is_used, name] :
       {std::pair{t38.v17, "V.17"}, {t38.v27ter, "V.27ter"}, {t38.v29, "V.29"}}) {
    if (!is_used) text += fmt::format(", no {}", name);
  }
  return text;
}

/// True if digits are to be covered for this sink, and are dropped because nothing can cover them.
bool drops_for_want(const Media& from, const Sink& sink) {
  const DigitCover cover = digit_cover(*from.leg);
  return cover != DigitCover::kNone && cover != DigitCover::kDrop && sink.events_blocked &&
         from.in_force().type == "audio";
}

/// What a guard does to digits and audio.
std::string in_words(const DigitGuard& guard) {
  std::string text;
  const auto add = [&](std::string part) { text += (text.empty() ? "" : ", ") + std::move(part); };
  if (guard.cover == DigitCover::kDrop || guard.cover == DigitCover::kSilence)
    add("digits become silence");
  else if (guard.cover != DigitCover::kNone)
    add(fmt::format("digits are covered ({})", to_string(guard.cover)));
  if (guard.delay_ms > 0) add(fmt::format("audio leaves {} ms later", guard.delay_ms));
  if (guard.events_delay_ms > 0) add(fmt::format("events leave {} ms later", guard.events_delay_ms));
  return text;
}

}  // namespace

std::vector<TreatedFlow> treated_flows(const Call& call) {
  std::vector<TreatedFlow> flows;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      const LocalPorts* ports = media->via->used_ports();
      if (ports == nullptr || ports->closed || !ports->plan) continue;
      const auto source = std::ranges::find(ports->plan->sources, media->id, &SourcePlan::media);
      if (source == ports->plan->sources.end()) continue;
      for (const Sink& sink : source->sinks) {
        const bool is_treated =
            sink.conversion || sink.renumbering || sink.ptime_ms != 0 || drops_for_want(*media, sink);
        const Media* to = is_treated ? media_of(call, sink.to) : nullptr;
        if (to != nullptr) flows.push_back({media.get(), to, &sink});
      }
    }
  }
  for (TreatedFlow& flow : flows) {
    if (!flow.sink->conversion || !flow.sink->conversion->mixes) continue;
    flow.mixed_of = static_cast<std::size_t>(std::ranges::count_if(flows, [&](const TreatedFlow& other) {
      return other.to == flow.to && other.sink->conversion && other.sink->conversion->mixes;
    }));
  }
  return flows;
}

std::string in_words(const TreatedFlow& flow) {
  if (const AudioConversion* made = flow.sink->conversion.get(); made != nullptr && made->fax)
    return fax_in_words(*made);
  if (const AudioConversion* made = flow.sink->conversion.get()) {
    std::string text = fmt::format("{} becomes {} ({}), {} ms", speech_of(*made), name_of(made->format),
                                   made->type.value, made->ptime_ms);
    if (made->detects_tones) text += "; its tones become events";
    if (made->guard) text += "; " + in_words(*made->guard);
    if (flow.mixed_of != 0) text += fmt::format("; mixed of {}", flow.mixed_of);
    return text;
  }
  if (drops_for_want(*flow.from, *flow.sink))
    return fmt::format(
        "DTMF-security={}: the relay cannot change this audio, so event packets are dropped and tones pass",
        to_string(digit_cover(*flow.from->leg)));
  if (flow.sink->ptime_ms != 0) return fmt::format("packets of {} ms", flow.sink->ptime_ms);
  std::string text;
  for (std::size_t type = 0; type < flow.sink->renumbering->to.size(); ++type) {
    const std::uint8_t to = flow.sink->renumbering->to[type];
    if (to != TypeRenumbering::kStays)
      text += fmt::format("{}payload type {} becomes {}", text.empty() ? "" : ", ", type, to);
  }
  return text;
}

}  // namespace ferry
