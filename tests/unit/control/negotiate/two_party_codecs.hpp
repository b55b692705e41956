// SPDX-License-Identifier: Apache-2.0
// Offers and answers about codecs between two parties, written as text, for tests.
#pragma once

#include "control/call/conversions.hpp"
#include "control/negotiate/codec_answer.hpp"
#include "control/negotiate/codec_offer.hpp"
#include "control/negotiate/codecs.hpp"
#include "control/sdp/sdp.hpp"

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace ferry::test {

/// A catalogue with the codecs of the usual build. EVS and G723 are missing.
inline CodecCatalogue usual_codecs() {
  const auto both = [](std::string_view name, std::uint32_t clock, unsigned channels = 1,
                       std::uint32_t samples = 0) {
    return KnownCodec{{std::string(name), clock, channels, {}}, samples == 0 ? clock : samples, true, true};
  };
  return CodecCatalogue({both("PCMU", 8000), both("PCMA", 8000), both("G722", 8000, 1, 16000),
                         both("GSM", 8000), both("opus", 48000, 2), both("speex", 16000), both("iLBC", 8000),
                         both("AMR", 8000), both("AMR-WB", 16000), both("G729", 8000),
                         both("L16", 48000, 2)});
}

/// Two parties of one call. A offers first.
class TwoPartyCodecs {
 public:
  /// An audio section with these lines: `8`, `96 opus/48000/2`, `96 opus/48000/2 useinbandfec=1`.
  const sdp::MediaSection& section(const std::vector<std::string>& lines) {
    std::string text = "v=0\r\nm=audio 4000 RTP/AVP";
    std::string attributes;
    for (const std::string& line : lines) {
      const auto blank = line.find(' ');
      const std::string number = line.substr(0, blank);
      text += " " + number;
      if (blank == std::string::npos) continue;
      const std::string rest = line.substr(blank + 1);
      const auto second = rest.find(' ');
      attributes += "\r\na=rtpmap:" + number + " " + rest.substr(0, second);
      if (second != std::string::npos) attributes += "\r\na=fmtp:" + number + " " + rest.substr(second + 1);
    }
    texts_.push_back(text + attributes + "\r\n");
    sessions_.push_back(*sdp::parse(texts_.back()));
    return sessions_.back().media[0];
  }
  /// An offer of `from` for `to`. Returns the lines that `to` is shown.
  std::vector<std::string> offer(Media& from, Media& to, const std::vector<std::string>& lines,
                                 const Request& request = {}) {
    offered_ = &section(lines);
    note_said(from, *offered_);
    CodecOffer made = offer_codecs({offered_->codecs, request, to, catalogue, false}, texts_);
    from.codec_wishes = std::make_shared<const CodecWishes>(made.of_sender);
    CodecWishes toward;
    toward.codecs = made.toward_receiver;
    toward.is_forced = made.of_sender.is_forced;
    to.codec_wishes = std::make_shared<const CodecWishes>(toward);
    warnings = made.warnings;
    note_shown(to, *offered_, made.codecs, FormerTypes::kStay);
    return in_text(made.codecs);
  }
  /// The answer of `from` to the last offer, which `to` made. Returns the lines that `to` is shown.
  std::vector<std::string> answer(Media& from, Media& to, const std::vector<std::string>& lines,
                                  const Request& request = {}) {
    const sdp::MediaSection& answered = section(lines);
    note_said(from, answered);
    CodecAnswer made = answer_codecs({answered.codecs, offered_->codecs, request, from, to, catalogue, true});
    changes_packets = made.changes_packets;
    note_shown(to, answered, made.codecs, FormerTypes::kStay);
    settle_codecs(from);
    return in_text(made.codecs);
  }
  /// What becomes of the audio of `from` for `to`: `-` if it passes, `96>107` for other numbers, and
  /// `8,0>9 G722 20` for a conversion with its inputs, codec and packet time.
  [[nodiscard]] std::string treatment(const Media& from, const Media& to) const {
    const auto of = [](const Media& media) {
      PartyCodecs codecs{media.said_codecs, media.shown_codecs, media.said_ptime_ms, {}};
      if (media.codec_wishes) codecs.wishes = *media.codec_wishes;
      return codecs;
    };
    const AudioTreatment treated = treat_audio(of(from), of(to), catalogue);
    std::string text;
    if (treated.conversion) {
      for (const AudioInput& input : treated.conversion->inputs)
        text += fmt::format("{}{}", text.empty() ? "" : ",", input.type.value);
      text += fmt::format(">{} {} {}", treated.conversion->type.value, treated.conversion->format.encoding,
                          treated.conversion->ptime_ms);
      if (treated.conversion->events) text += fmt::format(" e{}", treated.conversion->events->type.value);
      if (treated.conversion->comfort_noise)
        text += fmt::format(" n{}", treated.conversion->comfort_noise->type.value);
      if (treated.conversion->detects_tones) text += " tones";
      return text;
    }
    if (!treated.renumbering) return "-";
    for (std::size_t type = 0; type < 128; ++type) {
      if (treated.renumbering->to[type] != TypeRenumbering::kStays)
        text += fmt::format("{}{}>{}", text.empty() ? "" : " ", type, treated.renumbering->to[type]);
    }
    return text;
  }

  Media a;
  Media b;
  CodecCatalogue catalogue = usual_codecs();
  std::vector<std::string> warnings;
  bool changes_packets = false;

 private:
  /// Lines in the form of `section`; static types are their numbers alone.
  static std::vector<std::string> in_text(const std::vector<sdp::Codec>& codecs) {
    std::vector<std::string> lines;
    for (const sdp::Codec& codec : codecs) {
      std::string line = std::to_string(codec.payload_type);
      if (codec.payload_type >= 35) {
        line += fmt::format(" {}/{}", codec.name, codec.clock_rate_hz);
        if (codec.channels > 1) line += fmt::format("/{}", codec.channels);
        if (!codec.fmtp.empty()) line += fmt::format(" {}", codec.fmtp);
      }
      lines.push_back(line);
    }
    return lines;
  }

  std::deque<std::string> texts_;
  std::deque<sdp::Session> sessions_;
  const sdp::MediaSection* offered_ = nullptr;
};

}  // namespace ferry::test
