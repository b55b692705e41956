// SPDX-License-Identifier: Apache-2.0
#include "relay/worker/keep_alive.hpp"

#include "relay/base/memory.hpp"
#include "relay/base/text.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <array>

namespace ferry {

namespace {

/// Level of comfort noise below overload, in dB (RFC 3389 §3.1): hardly to be heard.
constexpr std::byte kNoiseLevel{75};
/// A frame of 20 ms of silence in Opus, mono (RFC 6716 §3.1: CELT, full band, one frame).
constexpr std::array kOpusSilence{std::byte{0xf8}, std::byte{0xff}, std::byte{0xfe}};
/// Octets of 20 ms of G.711 and G.722.
constexpr std::size_t kFrame = 160;

bool is_audio(const SourcePlan& source) noexcept { return !source.is_video && !source.is_closed; }

}  // namespace

void KeepAlive::await(TransportEntry& entry, Instant now) noexcept {
  const TransportPlan& plan = entry.state.plan();
  if (plan.keep_alive_s == 0) {
    entry.kept_alive_since = {};
    return;
  }
  if (entry.kept_alive_since == Instant{}) entry.kept_alive_since = now;
  std::optional<Instant> first;
  for (const SourcePlan& source : plan.sources) {
    if (!is_audio(source)) continue;
    const Instant due = due_of(entry, source.media);
    if (!first || due < *first) first = due;
  }
  if (first)
    deadlines_.set(entry, DeadlineKind::kSilence, std::max(*first, now + std::chrono::milliseconds(1)), now);
}

void KeepAlive::drive(TransportEntry& entry, Instant now) noexcept {
  const TransportPlan& plan = entry.state.plan();
  if (plan.keep_alive_s == 0) return;
  const bool is_allowed =
      !(plan.srtp && plan.srtp->send_is_relayed) && entry.state.is_heard_near(Component::kRtp);
  // What the kernel has forwarded counts, too.
  if (is_allowed && offloader_.feeds(entry)) (void)had_memory([&] { offloader_.refresh(entry); });
  for (std::size_t i = 0; i < plan.sources.size(); ++i) {
    const MediaId media = plan.sources[i].media;
    if (!is_audio(plan.sources[i]) || due_of(entry, media) > now) continue;
    if (is_allowed) send(entry, i, now);
    // If nothing has left, the next try is as far away as the next packet would be.
    if (due_of(entry, media) <= now) entry.kept_alive_since = now;
  }
  await(entry, now);
}

Instant KeepAlive::due_of(TransportEntry& entry, MediaId media) noexcept {
  const auto last = entry.state.streams().last_sent(media);
  const Instant heard = std::max(entry.kept_alive_since, last ? last->at : Instant{});
  const Output* output = entry.output_for(media);
  const bool goes_on = output != nullptr && output->keeps_alive();
  return heard + (goes_on ? kInterval : Duration{std::chrono::seconds(entry.state.plan().keep_alive_s)});
}

const AudioConversion* KeepAlive::conversion_toward(const TransportEntry& entry,
                                                    const SourcePlan& source) const noexcept {
  // A transport knows its receivers, not its senders; but whoever talks to a party hears it, too.
  for (const Sink& back : source.sinks) {
    const TransportEntry* sender = context_.table.find(back.via);
    if (sender == nullptr) continue;
    for (const SourcePlan& theirs : sender->state.plan().sources) {
      for (const Sink& sink : theirs.sinks) {
        if (sink.via == entry.id && sink.to == source.media && sink.conversion) return sink.conversion.get();
      }
    }
  }
  return nullptr;
}

void KeepAlive::send(TransportEntry& entry, std::size_t place, Instant now) noexcept {
  const SourcePlan& source = entry.state.plan().sources[place];
  const Output* output = entry.output_for(source.media);
  if (output != nullptr && output->hears_nobody()) return;
  const AudioConversion* made = conversion_toward(entry, source);
  const auto last = entry.state.streams().last_sent(source.media);
  const auto entry_of = [&](PayloadType type) {
    return std::ranges::find(source.payloads, type, &PayloadEntry::type);
  };
  std::array<std::byte, kFrame> silence;
  OwnPackets::Silence packet{source.media, {}, 8000, {}, false};
  const auto take = [&](PayloadType type, std::uint32_t clock_rate_hz, Bytes payload, bool is_noise) {
    packet = {source.media, type, clock_rate_hz, payload, is_noise};
  };
  // The codec that the party hears: of the conversion, of the last packet, else its first one with a silence.
  std::optional<PayloadType> type = made != nullptr ? std::optional(made->type) : std::nullopt;
  if (!type && last) type = last->type;
  auto codec = type ? entry_of(*type) : source.payloads.end();
  if (!type) {
    codec = std::ranges::find_if(source.payloads, [](const PayloadEntry& each) { return each.silence != 0; });
  }
  const std::uint32_t clock = made != nullptr                  ? made->format.clock_rate_hz
                              : codec != source.payloads.end() ? codec->clock_rate_hz
                                                               : 8000;
  const bool has_static_noise = entry_of(PayloadType{kComfortNoiseType}) != source.payloads.end();
  if (made != nullptr && made->comfort_noise && made->comfort_noise->clock_rate_hz == clock) {
    take(made->comfort_noise->type, clock, Bytes(&kNoiseLevel, 1), true);
  } else if (made == nullptr && has_static_noise && clock == 8000) {
    take(PayloadType{kComfortNoiseType}, clock, Bytes(&kNoiseLevel, 1), true);
  } else if (codec != source.payloads.end() && codec->silence != 0) {
    silence.fill(static_cast<std::byte>(codec->silence));
    take(codec->type, clock, silence, false);
  } else if (made != nullptr && equal_ignoring_case(made->format.encoding, "opus")) {
    take(made->type, clock, kOpusSilence, false);
  } else {
    return;
  }
  (void)had_memory([&] { own_packets_.send_silence(entry, packet, now); });
}

}  // namespace ferry
