#include "control/call/treated_flows.hpp"

#include <algorithm>

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
  return flows;
}

std::string in_words(const TreatedFlow& flow) {
  if (const AudioConversion* made = flow.sink->conversion.get()) {
    std::string from;
    for (const AudioInput& input : made->inputs) {
      if (input.kind != AudioInput::Kind::kSpeech) continue;
      const std::string name = name_of(input.format);
      if (from.find(name) == std::string::npos) from += (from.empty() ? "" : ", ") + name;
    }
    std::string text = fmt::format("{} becomes {} ({}), {} ms", from, name_of(made->format), made->type.value,
                                   made->ptime_ms);
    if (made->detects_tones) text += "; its tones become events";
    if (made->guard) text += "; " + in_words(*made->guard);
    return text;
  }
  if (drops_for_want(*flow.from, *flow.sink))
    return fmt::format("DTMF-security={}: there is no codec for it, so digits are dropped",
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
