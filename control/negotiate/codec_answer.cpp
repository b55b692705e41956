// SPDX-License-Identifier: Apache-2.0
// How the list of an answer comes about: `matched` finds the offerer's codec for each one of the answer;
// `converted_codec` says whether the offerer is told another codec instead.
//
// Trap: the offerer's numbers are those of its own SDP, and the answerer's are those that it was shown. Both
// may differ from each other, and from what the answer has.
#include "control/negotiate/codec_answer.hpp"

#include "control/negotiate/codec_offer.hpp"
#include "control/negotiate/codecs.hpp"
#include "control/sdp/codec_list.hpp"
#include "relay/base/text.hpp"

#include <algorithm>
#include <string_view>

namespace ferry {

namespace {

/// A codec of the answer, and the one of the offer that it is.
struct Match {
  const sdp::Codec* answered;
  const sdp::Codec* offered;
};

bool is_event(const sdp::Codec& codec) { return equal_ignoring_case(codec.name, "telephone-event"); }

class Answer {
 public:
  explicit Answer(const CodecAnswerInput& input) : input_(input) {
    if (input.offerer.codec_wishes) wishes_ = *input.offerer.codec_wishes;
    match();
  }

  CodecAnswer make() {
    const bool keeps_numbers =
        !input_.may_change || input_.request.has_flag(Flag::kAllowAsymmetricCodecs) || wishes_.is_asymmetric;
    const sdp::Codec* other = input_.may_change ? converted_codec() : nullptr;
    CodecAnswer made;
    if (other != nullptr) {
      made.codecs = converted(*other);
      const auto same = std::ranges::find(matches_, other, &Match::offered);
      made.changes_packets = same == matches_.end() || same->answered->payload_type != other->payload_type;
    } else if (keeps_numbers || matches_.empty() || !has_speech()) {
      made.codecs = sdp::common_codecs(input_.answered, input_.offered);
    } else {
      for (const Match& each : matches_) {
        if (!is_ignored(*each.offered) || !has_better()) made.codecs.push_back(renamed(each));
        made.changes_packets =
            made.changes_packets || each.offered->payload_type != each.answered->payload_type;
      }
    }
    made.changes_packets = made.changes_packets || (wishes_.is_forced && can_convert_answer());
    take_away(made, keeps_numbers);
    if (input_.request.has_flag(Flag::kReuseCodecs)) put_agreed_first(made.codecs, input_.offerer);
    return made;
  }

 private:
  /// Carries out the words of the answer.
  void take_away(CodecAnswer& made, bool keeps_numbers) const {
    const std::bitset<128> before = types_of(made.codecs);
    made.codecs = shown_codecs(made.codecs, input_.request, CodecPolicy::kAnswer);
    const std::bitset<128> gone = before & ~types_of(made.codecs);
    if (keeps_numbers) made.removed = gone;
    for (const Match& each : matches_) {
      if (gone.test(each.offered->payload_type & 127u) && !keeps_numbers)
        made.removed.set(each.answered->payload_type & 127u);
    }
  }

  /// Finds the offered codec for each answered one. Each offered codec is taken once, by preference by its
  /// own number.
  void match() {
    const std::vector<NumberedFormat> shown = input_.answerer.shown_codecs.formats();
    const std::vector<NumberedFormat> offered = numbered_formats(input_.offered);
    for (const sdp::Codec& codec : input_.answered) {
      const sdp::Codec* found = offered_codec(codec, shown, offered);
      if (found == nullptr || (is_event(codec) && !sdp::same_codec(*found, codec))) continue;
      const auto same = std::ranges::find(matches_, found, &Match::offered);
      const bool is_exact =
          std::ranges::find(shown, PayloadType{codec.payload_type}, &NumberedFormat::type) != shown.end();
      if (same == matches_.end())
        matches_.push_back({&codec, found});
      else if (is_exact)
        same->answered = &codec;
    }
  }
  /// The codec of the offer that an answered line means: the one that the answerer was shown under its
  /// number, else one with its number, else one that is the same. Null if there is none.
  [[nodiscard]] const sdp::Codec* offered_codec(const sdp::Codec& codec,
                                                const std::vector<NumberedFormat>& shown,
                                                const std::vector<NumberedFormat>& offered) const {
    const NumberedFormat wanted = numbered_format(codec);
    const auto said = std::ranges::find(shown, wanted.type, &NumberedFormat::type);
    const bool is_shown = said != shown.end() && is_shown_as(*said, codec);
    const NumberedFormat* found = is_shown ? find_codec(offered, *said) : nullptr;
    if (found == nullptr) {
      const auto same = std::ranges::find(input_.offered, codec.payload_type, &sdp::Codec::payload_type);
      if (same != input_.offered.end() && sdp::same_codec(*same, codec)) return &*same;
      found = find_codec(offered, wanted);
    }
    return found == nullptr ? nullptr : &input_.offered[static_cast<std::size_t>(found - offered.data())];
  }
  /// True if an answered line can be the codec that the answerer was shown under this number. Parameters do
  /// not count: many phones leave them out.
  static bool is_shown_as(const NumberedFormat& shown, const sdp::Codec& answered) {
    return equal_ignoring_case(shown.format.encoding, answered.name) &&
           shown.format.clock_rate_hz == answered.clock_rate_hz && shown.format.channels == answered.channels;
  }

  [[nodiscard]] bool is_ignored(const sdp::Codec& offered) const {
    return wishes_.ignored.test(offered.payload_type & 127u);
  }
  [[nodiscard]] bool has_speech() const {
    return std::ranges::any_of(matches_, [](const Match& m) { return !sdp::is_supplemental(*m.offered); });
  }
  /// True if the answer took speech that the offerer may be told.
  [[nodiscard]] bool has_better() const {
    return std::ranges::any_of(matches_, [&](const Match& m) {
      return !sdp::is_supplemental(*m.offered) && !is_ignored(*m.offered);
    });
  }
  [[nodiscard]] bool is_matched(const sdp::Codec& offered) const {
    return std::ranges::find(matches_, &offered, &Match::offered) != matches_.end();
  }
  [[nodiscard]] bool converts(const sdp::Codec& codec) const {
    return !sdp::is_supplemental(codec) && input_.catalogue.converts(numbered_format(codec).format);
  }
  /// True if the relay can make the answerer's speech into something, and something into its speech.
  [[nodiscard]] bool can_convert_answer() const {
    return std::ranges::any_of(input_.answered, [&](const sdp::Codec& codec) { return converts(codec); });
  }

  /// The codec of the offer that the offerer is told although the answerer has not named it, or with it
  /// alone. Null: the codecs in common count.
  [[nodiscard]] const sdp::Codec* converted_codec() const {
    if (!can_convert_answer()) return nullptr;
    const sdp::Codec* first = nullptr;
    bool has_all = true;
    for (const sdp::Codec& codec : input_.offered) {
      if (!wishes_.accepted.test(codec.payload_type & 127u) || !converts(codec)) continue;
      if (first == nullptr) first = &codec;
      has_all = has_all && is_matched(codec);
    }
    if (first != nullptr && !has_all) return first;
    if (has_better()) return nullptr;
    return fallback();
  }
  /// The first codec of the offer that can be converted: by preference one that the client took neither from
  /// the answerer nor from the offerer. Ignored ones count only if the parties have nothing else.
  [[nodiscard]] const sdp::Codec* fallback() const {
    const sdp::Codec* stripped = nullptr;
    const sdp::Codec* ignored = nullptr;
    for (const sdp::Codec& codec : input_.offered) {
      if (!converts(codec)) continue;
      const bool is_stripped = wishes_.stripped.test(codec.payload_type & 127u);
      if (!is_ignored(codec) && !is_stripped) return &codec;
      const sdp::Codec*& kept = is_ignored(codec) ? ignored : stripped;
      if (kept == nullptr) kept = &codec;
    }
    if (stripped != nullptr) return stripped;
    return has_speech() ? nullptr : ignored;
  }

  /// The line of a codec that passes: the answerer's, under the offerer's number.
  [[nodiscard]] sdp::Codec renamed(const Match& match) const {
    sdp::Codec line = *match.answered;
    const bool has_other_number = line.payload_type != match.offered->payload_type;
    line.payload_type = match.offered->payload_type;
    // An answerer that names other numbers and no events means those that it was offered.
    if (has_other_number && is_event(line) && line.fmtp.empty()) line.fmtp = match.offered->fmtp;
    return line;
  }
  /// The list with one codec of speech.
  [[nodiscard]] std::vector<sdp::Codec> converted(const sdp::Codec& speech) const {
    std::vector<sdp::Codec> codecs = {own_line(speech)};
    for (const sdp::Codec& codec : input_.offered) {
      if (!sdp::is_supplemental(codec) || codec.clock_rate_hz != speech.clock_rate_hz) continue;
      const bool has_far = std::ranges::any_of(input_.answered, [&](const sdp::Codec& answered) {
        return equal_ignoring_case(answered.name, codec.name);
      });
      if (has_far || wishes_.accepted.test(codec.payload_type & 127u)) codecs.push_back(own_line(codec));
    }
    return codecs;
  }
  /// The line of the relay's own answer: the offered one, with what the relay wants of Opus (RFC 7587 §7).
  [[nodiscard]] sdp::Codec own_line(const sdp::Codec& offered) const {
    sdp::Codec line = offered;
    line.feedback.clear();
    if (equal_ignoring_case(line.name, "opus")) line.fmtp = "useinbandfec=1";
    return line;
  }

  const CodecAnswerInput& input_;
  CodecWishes wishes_;
  std::vector<Match> matches_;
};

}  // namespace

CodecAnswer answer_codecs(const CodecAnswerInput& input) { return Answer(input).make(); }

}  // namespace ferry
