// SPDX-License-Identifier: Apache-2.0
#include "control/negotiate/codecs.hpp"

#include "control/call/media_rules.hpp"
#include "control/sdp/words.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <utility>

namespace ferry {

namespace {

/// True for codecs that a publisher may be told to send: those that the relay will be able to decode.
bool is_supported(const sdp::Codec& codec) {
  static constexpr std::array<std::string_view, 9> kNames = {"opus", "G722", "PCMA",  "PCMU", "G729",
                                                             "G723", "GSM",  "speex", "L16"};
  return std::ranges::any_of(
      kNames, [&](std::string_view name) { return sdp::equal_ignoring_case(name, codec.name); });
}

}  // namespace

std::vector<sdp::Codec> shown_codecs(const std::vector<sdp::Codec>& said, const Request& request,
                                     CodecPolicy policy) {
  const bool may_be_empty = policy != CodecPolicy::kCopy && request.has_flag(Flag::kAllowNoCodecMedia);
  auto chosen = sdp::choose_codecs(said, request.codecs, may_be_empty);
  if (policy == CodecPolicy::kAnswer && request.has_flag(Flag::kSingleCodec)) sdp::keep_first_codec(chosen);
  return chosen;
}

std::vector<sdp::Codec> sent_codecs(const std::vector<sdp::Codec>& said, const MediaTerms& terms) {
  if (terms.shown.none()) return said;
  std::vector<sdp::Codec> sent;
  sent.reserve(said.size());
  const auto agreed = agreed_codecs(numbered_formats(said), terms.shown_codecs.formats());
  std::ranges::copy_if(said, std::back_inserter(sent), [&](const sdp::Codec& codec) {
    const PayloadType type{codec.payload_type};
    return terms.shown.test(codec.payload_type & 127u) ||
           std::ranges::find(agreed, type, &AgreedCodec::receives_as) != agreed.end();
  });
  return sent;
}

std::vector<sdp::Codec> accepted_codecs(const std::vector<sdp::Codec>& offered,
                                        const std::vector<std::string>& accept) {
  const auto says = [&](std::string_view word) {
    return std::ranges::any_of(accept,
                               [&](const std::string& a) { return sdp::equal_ignoring_case(a, word); });
  };
  const bool any = says("any");
  const bool all = says("all");
  std::vector<sdp::Codec> chosen;
  if (all) {
    std::ranges::copy_if(offered, std::back_inserter(chosen), [&](const sdp::Codec& codec) {
      return is_supplemental(codec) || any || is_supported(codec);
    });
    return chosen;
  }
  const auto first = [&](auto wanted) {
    const auto found =
        std::ranges::find_if(offered, [&](const sdp::Codec& c) { return !is_supplemental(c) && wanted(c); });
    if (chosen.empty() && found != offered.end()) chosen.push_back(*found);
  };
  for (const std::string& specification : accept) {
    first([&](const sdp::Codec& codec) { return sdp::matches_specification(specification, codec); });
  }
  first([&](const sdp::Codec& codec) { return any || is_supported(codec); });
  // Better pass a codec on than refuse.
  first([](const sdp::Codec&) { return true; });
  if (chosen.empty()) return offered;
  for (const sdp::Codec& codec : offered) {
    if (is_supplemental(codec) && codec.clock_rate_hz == chosen.front().clock_rate_hz)
      chosen.push_back(codec);
  }
  return chosen;
}

std::bitset<128> types_of(const std::vector<sdp::Codec>& codecs) {
  std::bitset<128> types;
  for (const sdp::Codec& codec : codecs) types.set(codec.payload_type & 127u);
  return types;
}

void note_said(MediaTerms& media, const sdp::MediaSection& section) {
  const bool is_audio = section.type == "audio" && section.is_rtp();
  media.said_codecs = is_audio ? CodecList(numbered_formats(section.codecs)) : CodecList{};
  std::uint16_t ptime = 0;
  const bool has_time = sdp::read_number(section.ptime, ptime) && ptime >= 1 && ptime <= 1000;
  media.said_ptime_ms = is_audio && has_time ? ptime : std::uint16_t{0};
}

void note_shown(Media& media, const sdp::MediaSection& section, const std::vector<sdp::Codec>& codecs,
                FormerTypes former) {
  auto allowed = payload_entries(codecs);
  const std::bitset<128> shown = types_of(codecs);
  if (former == FormerTypes::kStay) {
    for (const PayloadEntry& entry : media.payloads) {
      const bool is_known = std::ranges::find(allowed, entry.type, &PayloadEntry::type) != allowed.end();
      if (!is_known && media.shown.test(entry.type.value)) allowed.push_back(entry);
    }
    media.earlier = (media.earlier | media.shown) & ~shown;
  }
  media.payloads = std::move(allowed);
  media.shown = shown;
  const bool is_audio = section.type == "audio" && section.is_rtp();
  media.shown_codecs = is_audio ? CodecList(numbered_formats(codecs)) : CodecList{};
  media.rate = rate_limit(section, codecs);
}

void settle_codecs(Media& media) {
  std::erase_if(media.payloads,
                [&](const PayloadEntry& entry) { return !media.shown.test(entry.type.value); });
  const auto agreed = agreed_codecs(media.said_codecs.formats(), media.shown_codecs.formats());
  for (const AgreedCodec& each : agreed) {
    const bool is_known =
        std::ranges::find(media.payloads, each.receives_as, &PayloadEntry::type) != media.payloads.end();
    if (!is_known) media.payloads.push_back(payload_entry({each.receives_as, each.format}));
  }
}

bool takes_codecs(const Media& media, const sdp::MediaSection& answer, bool may_drop_codecs) {
  std::size_t kept = 0;
  const auto agreed = agreed_codecs(numbered_formats(answer.codecs), media.shown_codecs.formats());
  for (const PayloadEntry& offered : media.payloads) {
    const bool has_number = std::ranges::any_of(
        answer.codecs, [&](const sdp::Codec& c) { return c.payload_type == offered.type.value; });
    const bool is_taken =
        has_number || std::ranges::find(agreed, offered.type, &AgreedCodec::sends_as) != agreed.end();
    if (is_taken)
      ++kept;
    else if (!offered.is_event && offered.type.value != kComfortNoiseType && !may_drop_codecs)
      return false;
  }
  return !answer.is_rtp() || kept != 0 || media.payloads.empty();
}

}  // namespace ferry
