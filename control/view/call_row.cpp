// SPDX-License-Identifier: Apache-2.0
// A row has a part for each party and medium: the codec, who forwards it, the address that packets come from
// and the one that they go to, and the figures of what the party says and of what it hears.
//
// Figures are rounded to what people read (MOS and percent to one decimal, jitter to whole milliseconds).
// Otherwise each row would be news each second.
#include "control/view/call_row.hpp"

#include "control/call/call.hpp"
#include "control/session/explanation_json.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

using nlohmann::json;

namespace {

/// Rounds to one decimal.
double tenths(double value) { return std::round(value * 10) / 10; }

json to_json(const CallFigures& figures) {
  json j = {{"loss", tenths(figures.loss_percent)}, {"jitter", std::round(figures.jitter_ms)}};
  if (figures.mos) j["mos"] = tenths(*figures.mos);
  return j;
}

CallFigures plain(const EarFigures& figures) {
  return {figures.mos, figures.missing_percent(), seconds_of(figures.jitter) * 1000};
}

/// The verdict on one direction of one m-line. Null if there is none.
const MediaVerdict* verdict_on(const Explanation& verdicts, const LegEvidence& leg,
                               const MediaEvidence& media, MediaDirection direction) {
  const auto found = std::ranges::find_if(verdicts.verdicts, [&](const MediaVerdict& each) {
    return each.direction == direction && each.media == media.index && each.leg == leg.name;
  });
  return found == verdicts.verdicts.end() ? nullptr : &*found;
}

/// The name that the party's SDP gives a payload type. Empty if it gives none.
std::string name_of(const std::vector<NumberedFormat>& formats, std::uint8_t type) {
  const auto found = std::ranges::find_if(formats, [&](const NumberedFormat& each) {
    return each.type.value == type && !each.format.encoding.empty();
  });
  return found == formats.end() ? std::string() : found->format.encoding;
}

/// The codec that the party speaks: that of its newest packet, else the one that was agreed first. An event
/// or comfort noise is not what it speaks. Empty if nothing is known.
std::string codec_of(const Media& media, const MediaEvidence& seen) {
  const MediaTerms& terms = media.in_force();
  const std::vector<NumberedFormat> shown = terms.shown_codecs.formats();
  const std::vector<AgreedCodec> agreed = agreed_codecs(terms.said_codecs.formats(), shown);
  const auto speech =
      std::ranges::find_if(agreed, [](const AgreedCodec& each) { return is_speech(each.format); });
  const std::string first = speech == agreed.end() ? std::string() : speech->format.encoding;
  const MediaView::Stream* stream = seen.seen.newest_stream();
  if (stream == nullptr || !seen.is_rtp) return first;
  const std::uint8_t type = stream->counters.last_payload_type;
  std::string name = name_of(shown, type);
  if (name.empty()) {
    const StaticType* known = static_type(type);
    name = known != nullptr ? std::string(known->name) : fmt::format("type {}", type);
  }
  return is_speech({.encoding = name, .parameters = {}}) || first.empty() ? name : first;
}

/// Who forwards the media: the kernel, user space, or nobody while it has no ports.
std::string_view path_of(const Media& media) {
  const LocalPorts* ports = media.via->used_ports();
  if (ports == nullptr || ports->closed || !ports->activity) return "";
  return ports->activity->is_offloaded.load(std::memory_order_relaxed) ? "kernel" : "user";
}

/// What becomes of the audio that the party hears, in words; each treatment once.
json treatments_of(const MediaEvidence& media) {
  json all = json::array();
  for (const MediaEvidence::Source& source : media.sources) {
    if (!source.treatment.empty() && std::ranges::find(all, json(source.treatment)) == all.end())
      all.push_back(source.treatment);
  }
  return all;
}

json media_row(const Media* model, const LegEvidence& leg, const MediaEvidence& media,
               const Explanation& verdicts) {
  json j = {{"media", media.index}, {"type", media.type}};
  if (media.is_rejected) j["rejected"] = true;
  if (media.is_encrypted) j["encrypted"] = true;
  if (media.advertised.is_set()) j["relay"] = media.advertised.to_string();
  if (media.signalled.is_set()) j["signalled"] = media.signalled.to_string();
  if (const TransportSnapshot* active = media.seen.active; active != nullptr) {
    if (active->latch[0].peer.is_set()) j["from"] = active->latch[0].peer.to_string();
    if (active->destination[0].is_set()) j["to"] = active->destination[0].to_string();
  }
  if (model != nullptr) {
    j["codec"] = codec_of(*model, media);
    j["path"] = path_of(*model);
  }
  if (json treatments = treatments_of(media); !treatments.empty()) j["treated"] = std::move(treatments);
  for (const MediaDirection direction : {MediaDirection::kFrom, MediaDirection::kTo}) {
    const MediaVerdict* verdict = verdict_on(verdicts, leg, media, direction);
    if (verdict == nullptr) continue;
    json way = {{"verdict", to_string(verdict->cause)},
                {"severity", to_string(verdict->severity())},
                {"reception", to_string(verdict->reception())}};
    if (verdict->figures) way.update(to_json(plain(*verdict->figures)));
    j[direction == MediaDirection::kFrom ? "says" : "hears"] = std::move(way);
  }
  return j;
}

json parties_of(const Call& call, const CallEvidence& evidence, const Explanation& verdicts) {
  json parties = json::array();
  for (std::size_t l = 0; l < evidence.legs.size(); ++l) {
    const LegEvidence& leg = evidence.legs[l];
    json medias = json::array();
    for (const MediaEvidence& media : leg.medias) {
      const Media* model = nullptr;
      if (l < call.legs.size()) {
        const auto found = std::ranges::find_if(call.legs[l]->medias,
                                                [&](const auto& each) { return each->index == media.index; });
        if (found != call.legs[l]->medias.end()) model = found->get();
      }
      medias.push_back(media_row(model, leg, media, verdicts));
    }
    parties.push_back({{"name", leg.name}, {"medias", std::move(medias)}});
    if (l < call.legs.size() && !call.legs[l]->label().empty())
      parties.back()["label"] = call.legs[l]->label();
  }
  return parties;
}

}  // namespace

CallFigures figures_of(const Explanation& verdicts) {
  CallFigures worst;
  for (const MediaVerdict& verdict : verdicts.verdicts) {
    if (!verdict.figures) continue;
    const CallFigures figures = plain(*verdict.figures);
    if (figures.mos) worst.mos = std::min(worst.mos.value_or(5), *figures.mos);
    worst.loss_percent = std::max(worst.loss_percent, figures.loss_percent);
    worst.jitter_ms = std::max(worst.jitter_ms, figures.jitter_ms);
  }
  const bool is_anybody_deaf = std::ranges::any_of(verdicts.verdicts, [](const MediaVerdict& each) {
    return each.direction == MediaDirection::kTo && each.severity() == Severity::kFault &&
           each.reception() == Reception::kNothing;
  });
  if (is_anybody_deaf) worst = {std::nullopt, 100, worst.jitter_ms};
  return worst;
}

json row_of(const Call& call, const CallEvidence& evidence, const Explanation& verdicts,
            const CallHealth& health) {
  const HealthFinding found = worst_of(verdicts, evidence);
  json j = {{"id", call.serial},
            {"call_id", call.id},
            {"begun_ms", unix_ms(call.created)},
            {"answered", evidence.is_answered},
            {"deleting", call.delete_at.has_value()},
            {"recorded", call.recording() != nullptr},
            {"severity", to_string(found.severity)},
            {"hears", to_string(found.hears)},
            {"verdict", to_string(found.cause)},
            {"bad", health.is_bad() && !call.delete_at},
            {"figures", to_json(figures_of(verdicts))},
            {"parties", parties_of(call, evidence, verdicts)}};
  if (found.severity == Severity::kFine) return j;
  if (const MediaVerdict* main = verdicts.main(); main != nullptr && !main->sentence.empty()) {
    j["sentence"] = main->sentence;
    j["advice"] = row_of(main->cause).advice;
  }
  if (health.looked_at() != Instant{} && health.found().is_as(found))
    j["since_ms"] = unix_ms(call.created +
                            std::chrono::duration_cast<WallTime::duration>(health.since() - call.created_at));
  return j;
}

}  // namespace ferry
