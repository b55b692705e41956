// SPDX-License-Identifier: Apache-2.0
// How the list of an offer comes about. `Maker` does the steps that the header names, one function each.
//
// Numbers: each leg has numbers of its own. A codec that the receiver knows keeps the receiver's number. A
// codec that is new to it keeps the sender's, unless the receiver knows another codec by that. A codec that
// the relay adds gets its static number, else the first one that nobody used: 96 to 127, then 35 to 63.
//
// Trap: `texts` owns what the lines point to, so it must outlive them.
#include "control/negotiate/codec_offer.hpp"

#include "control/negotiate/codec_specification.hpp"
#include "control/sdp/codec_list.hpp"
#include "control/sdp/words.hpp"
#include "relay/base/text.hpp"

#include <algorithm>
#include <bitset>
#include <iterator>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace ferry {

namespace {

/// The numbers of one leg.
class Numbers {
 public:
  explicit Numbers(const MediaTerms& leg)
      : said_(leg.said_codecs.formats()), shown_(leg.shown_codecs.formats()), reserved_(leg.earlier) {
    for (const auto* list : {&said_, &shown_}) {
      for (const NumberedFormat& each : *list) reserved_.set(each.type.value & 127u);
    }
  }
  /// No codec that is added gets this number.
  void reserve(std::uint8_t number) { reserved_.set(number & 127u); }
  /// The number of a codec of the sender. It is used from now on.
  std::uint8_t of(const NumberedFormat& codec) {
    const auto known = known_number(codec);
    if (known) return use(*known);
    const bool is_free = !used_.test(codec.type.value & 127u) && !means_another(codec);
    return use(is_free ? codec.type.value : free_number().value_or(codec.type.value));
  }
  /// The number of a codec that is added. Nothing if none is left.
  std::optional<std::uint8_t> of_new(const AudioFormat& format) {
    if (const auto known = known_number({PayloadType{255}, format})) return use(*known);
    const auto fixed = static_number(format);
    if (fixed && !used_.test(*fixed) && !reserved_.test(*fixed)) return use(*fixed);
    const auto number = free_number();
    if (number) use(*number);
    return number;
  }

 private:
  std::uint8_t use(std::uint8_t number) {
    used_.set(number & 127u);
    return number;
  }
  /// The number by which the leg knows the codec, if it is not used yet.
  [[nodiscard]] std::optional<std::uint8_t> known_number(const NumberedFormat& codec) const {
    for (const auto* list : {&said_, &shown_}) {
      const NumberedFormat* known = find_codec(*list, codec);
      if (known != nullptr && !used_.test(known->type.value & 127u)) return known->type.value;
    }
    return std::nullopt;
  }
  /// True if the leg knows another codec by this number.
  [[nodiscard]] bool means_another(const NumberedFormat& codec) const {
    for (const auto* list : {&said_, &shown_}) {
      const auto found = std::ranges::find(*list, codec.type, &NumberedFormat::type);
      const bool has_names =
          found != list->end() && !found->format.encoding.empty() && !codec.format.encoding.empty();
      if (has_names && !is_same_codec(found->format, codec.format)) return true;
    }
    return false;
  }
  [[nodiscard]] std::optional<std::uint8_t> free_number() const {
    for (const auto& [first, last] : {std::pair<unsigned, unsigned>{96, 127}, {35, 63}}) {
      for (unsigned number = first; number <= last; ++number) {
        if (!used_.test(number) && !reserved_.test(number)) return static_cast<std::uint8_t>(number);
      }
    }
    return std::nullopt;
  }

  std::vector<NumberedFormat> said_;
  std::vector<NumberedFormat> shown_;
  /// Numbers that mean or meant something to the leg.
  std::bitset<128> reserved_;
  /// Numbers in the list that is made.
  std::bitset<128> used_;
};

/// A line of the list, and where it comes from.
struct Line {
  sdp::Codec codec;
  /// True if the relay adds it; its number is found at the end.
  bool is_added = false;
  /// Set for codecs that a specification names.
  std::optional<CodecSpecification> wish;
};

class Maker {
 public:
  Maker(const CodecOfferInput& input, std::deque<std::string>& texts)
      : input_(input), operations_(input.request.codecs), texts_(texts) {}

  CodecOffer make() {
    remove();
    for (const std::string& each : operations_.transcode) transcode(each);
    restore();
    for (const std::string& each : operations_.set) set(each);
    note_words();
    note_removed();
    add_others();
    keep_far_codecs();
    give_numbers();
    if (input_.request.has_flag(Flag::kReuseCodecs)) put_agreed_first(made_.codecs, input_.receiver);
    return std::move(made_);
  }

 private:
  void warn(const std::string& specification, std::string_view why) {
    made_.unmade.push_back(specification);
    made_.warnings.push_back(fmt::format("codec {}: {}", specification, why));
  }
  [[nodiscard]] bool has_line(const std::string& specification) const {
    return std::ranges::any_of(
        lines_, [&](const Line& line) { return sdp::matches_specification(specification, line.codec); });
  }
  /// True if the relay can make speech of the sender into another codec.
  [[nodiscard]] bool can_convert_sender() const {
    return std::ranges::any_of(input_.said, [&](const sdp::Codec& codec) {
      return !sdp::is_supplemental(codec) && input_.catalogue.converts(numbered_format(codec).format);
    });
  }

  /// Strip, consume, mask and offer.
  void remove() {
    sdp::CodecOperations operations = operations_;
    operations.transcode.clear();
    for (const sdp::Codec& codec : sdp::remaining_codecs(input_.said, operations))
      lines_.push_back({codec, false, {}});
    for (const sdp::Codec& codec : input_.said) {
      const bool is_left = std::ranges::any_of(
          lines_, [&](const Line& line) { return line.codec.payload_type == codec.payload_type; });
      if (is_left) continue;
      touched_.insert(codec.clock_rate_hz);
      if (sdp::any_names(operations_.strip, codec) || names_all(operations_.strip, "full"))
        made_.of_sender.stripped.set(codec.payload_type & 127u);
    }
  }
  static bool names_all(const std::vector<std::string>& words, std::string_view word) {
    return std::ranges::any_of(words,
                               [&](const std::string& each) { return equal_ignoring_case(each, word); });
  }

  /// Brings a codec of the offer back, or adds one.
  void transcode(const std::string& text) {
    const auto specification = read_specification(text);
    if (!specification) return warn(text, "it cannot be read");
    if (kind_of(specification->format) != AudioInput::Kind::kSpeech) {
      wanted_others_.push_back(*specification);
      return;
    }
    for (Line& line : lines_) {
      if (!sdp::matches_specification(text, line.codec)) continue;
      line.wish = specification;
      return;
    }
    bool was_offered = false;
    for (const sdp::Codec& codec : input_.said) {
      if (!sdp::matches_specification(text, codec)) continue;
      lines_.push_back({codec, false, specification});
      touched_.insert(codec.clock_rate_hz);
      made_.of_sender.stripped.reset(codec.payload_type & 127u);
      was_offered = has_appended_ = true;
    }
    if (was_offered) return;
    if (!input_.catalogue.converts(specification->format)) return warn(text, "this relay cannot convert it");
    if (!can_convert_sender()) return warn(text, "the relay can convert no codec of the offer");
    lines_.push_back({line_of({PayloadType{255}, specification->format}, texts_), true, specification});
    has_appended_ = true;
    touched_.insert(specification->format.clock_rate_hz);
  }

  /// The sender's own list if no speech is left.
  void restore() {
    if (!operations_.changes_offer()) return;
    const bool has_any =
        std::ranges::any_of(lines_, [](const Line& line) { return !sdp::is_supplemental(line.codec); });
    if (has_any) return;
    lines_.clear();
    touched_.clear();
    has_appended_ = false;
    if (input_.may_be_empty) return;
    for (const sdp::Codec& codec : input_.said) lines_.push_back({codec, false, {}});
  }

  /// Options of codecs (list `set`).
  void set(const std::string& text) {
    const auto specification = read_specification(text);
    if (!specification) return warn(text, "it cannot be read");
    for (Line& line : lines_) {
      if (!equal_ignoring_case(specification->format.encoding, line.codec.name)) continue;
      if (!line.wish) line.wish = CodecSpecification{};
      if (specification->bitrate_bps != 0) line.wish->bitrate_bps = specification->bitrate_bps;
      if (specification->ptime_ms != 0) line.wish->ptime_ms = specification->ptime_ms;
      if (specification->complexity >= 0) line.wish->complexity = specification->complexity;
    }
  }

  /// Notes what counts when the answer comes: accept, consume and ignore.
  void note_words() {
    CodecWishes& wishes = made_.of_sender;
    for (const sdp::Codec& codec : input_.said) {
      const std::size_t number = codec.payload_type & 127u;
      const bool is_wanted =
          sdp::any_names(operations_.accept, codec) || sdp::any_names(operations_.consume, codec);
      const bool is_possible =
          sdp::is_supplemental(codec) || input_.catalogue.converts(numbered_format(codec).format);
      if (is_wanted && is_possible) wishes.accepted.set(number);
      if (sdp::any_names(operations_.ignore, codec)) wishes.ignored.set(number);
    }
    for (const auto* list : {&operations_.accept, &operations_.consume}) {
      for (const std::string& text : *list) check_accepted(text);
    }
    wishes.is_forced = input_.request.has_flag(Flag::kForceTranscoding);
    wishes.is_asymmetric = input_.request.has_flag(Flag::kAllowAsymmetricCodecs);
  }
  /// Warns of a codec that is to be accepted and cannot be converted.
  void check_accepted(const std::string& text) {
    for (const sdp::Codec& codec : input_.said) {
      const bool is_impossible = !sdp::is_supplemental(codec) && sdp::matches_specification(text, codec) &&
                                 !input_.catalogue.converts(numbered_format(codec).format);
      if (is_impossible) return warn(text, "this relay cannot convert it");
    }
  }

  /// Notes what the sender's packets may not be (DMX-4). Codecs that both parties keep under `static-codecs`
  /// are not taken away: they are converted.
  void note_removed() {
    for (const sdp::Codec& codec : input_.said) made_.removed.set(codec.payload_type & 127u);
    for (const Line& line : lines_) {
      if (!line.is_added) made_.removed.reset(line.codec.payload_type & 127u);
    }
  }

  /// Adds events and comfort noise for the clock rates that changed, and removes those that are of no use any
  /// more.
  void add_others() {
    std::vector<Line> speech;
    std::vector<Line> others;
    for (Line& line : lines_) (sdp::is_supplemental(line.codec) ? others : speech).push_back(line);
    std::vector<Line> added;
    for (const CodecSpecification& each : wanted_others_) add_wanted(each, speech, others, added);
    for (const std::uint32_t rate : touched_) add_for_rate(rate, speech, others, added);
    const bool has_added = has_appended_ || !added.empty();
    added.insert(added.end(), others.begin(), others.end());
    std::vector<Line> kept;
    std::ranges::copy_if(added, std::back_inserter(kept),
                         [&](const Line& line) { return !is_orphan(line, speech, added); });
    if (!has_added && kept.size() + speech.size() == lines_.size()) return;
    lines_ = std::move(speech);
    std::ranges::move(kept, std::back_inserter(lines_));
  }
  [[nodiscard]] static bool has_rate(const std::vector<Line>& lines, std::uint32_t rate) {
    return std::ranges::any_of(lines, [&](const Line& line) { return line.codec.clock_rate_hz == rate; });
  }
  [[nodiscard]] static bool has_same(const std::vector<Line>& lines, std::string_view name,
                                     std::uint32_t rate) {
    return std::ranges::any_of(lines, [&](const Line& line) {
      return equal_ignoring_case(line.codec.name, name) && line.codec.clock_rate_hz == rate;
    });
  }
  void add_one(std::string_view name, std::uint32_t rate, const std::vector<Line>& others,
               std::vector<Line>& added) {
    if (has_same(others, name, rate) || has_same(added, name, rate)) return;
    const auto specification = read_specification(name);
    AudioFormat format = specification->format;
    format.clock_rate_hz = rate;
    added.push_back({line_of({PayloadType{255}, format}, texts_), true, {}});
  }
  /// Adds events or noise that a specification names: at its clock rate, else at those of the speech.
  void add_wanted(const CodecSpecification& wanted, const std::vector<Line>& speech,
                  const std::vector<Line>& others, std::vector<Line>& added) {
    if (kind_of(wanted.format) == AudioInput::Kind::kRedundant) {
      warn(wanted.format.encoding, "the relay adds no redundancy");
      return;
    }
    if (wanted.has_clock_rate) {
      add_one(wanted.format.encoding, wanted.format.clock_rate_hz, others, added);
      return;
    }
    std::set<std::uint32_t> rates;
    for (const Line& line : speech) rates.insert(line.codec.clock_rate_hz);
    for (const std::uint32_t rate : rates) add_one(wanted.format.encoding, rate, others, added);
  }
  void add_for_rate(std::uint32_t rate, const std::vector<Line>& speech, const std::vector<Line>& others,
                    std::vector<Line>& added) {
    if (!has_rate(speech, rate)) return;
    for (const Line& line : others) {
      if (!equal_ignoring_case(line.codec.name, "red")) add_one(line.codec.name, rate, others, added);
    }
  }
  /// True if events or noise have a clock rate that lost all its speech, while another line serves.
  [[nodiscard]] bool is_orphan(const Line& line, const std::vector<Line>& speech,
                               const std::vector<Line>& others) const {
    const std::uint32_t rate = line.codec.clock_rate_hz;
    if (!touched_.contains(rate) || has_rate(speech, rate)) return false;
    return std::ranges::any_of(others, [&](const Line& other) {
      return equal_ignoring_case(other.codec.name, line.codec.name) &&
             has_rate(speech, other.codec.clock_rate_hz);
    });
  }

  /// Leaves the receiver the codecs that it has (flag `static-codecs`).
  void keep_far_codecs() {
    if (!input_.request.has_flag(Flag::kStaticCodecs) || input_.receiver.said_codecs.empty()) return;
    const auto said = input_.receiver.said_codecs.formats();
    const bool has_common = std::ranges::any_of(said, [&](const NumberedFormat& each) {
      return is_speech(each.format) && find_codec(numbered_formats(input_.said), each) != nullptr;
    });
    const bool can_convert = std::ranges::any_of(said, [&](const NumberedFormat& each) {
      return is_speech(each.format) && input_.catalogue.converts(each.format);
    });
    if (!has_common && !(can_convert && can_convert_sender())) {
      warn("static-codecs", "the relay cannot convert between the codecs of the parties");
      return;
    }
    lines_.clear();
    for (const NumberedFormat& each : said) lines_.push_back({line_of(each, texts_), false, {}});
  }

  void give_numbers() {
    Numbers numbers(input_.receiver);
    for (const Line& line : lines_) {
      if (!line.is_added) numbers.reserve(line.codec.payload_type);
    }
    // The number of each of the sender's codecs, and what it became.
    std::vector<std::pair<std::uint8_t, std::uint8_t>> changed;
    // The sender's codecs first, so that no added one takes a number of theirs. A number that stands twice is
    // the same one twice.
    for (Line& line : lines_) {
      if (line.is_added) continue;
      const auto earlier =
          std::ranges::find(changed, line.codec.payload_type, &std::pair<std::uint8_t, std::uint8_t>::first);
      if (earlier != changed.end()) {
        line.codec.payload_type = earlier->second;
        continue;
      }
      const std::uint8_t number = numbers.of(numbered_format(line.codec));
      changed.emplace_back(line.codec.payload_type, number);
      line.codec.payload_type = number;
    }
    for (Line& line : lines_) {
      if (line.is_added) {
        const auto number = numbers.of_new(numbered_format(line.codec).format);
        if (!number) {
          warn(std::string(line.codec.name), "no payload type is left for it");
          continue;
        }
        line.codec.payload_type = *number;
      }
      note_wish(line);
      made_.codecs.push_back(line.codec);
    }
    if (std::ranges::any_of(changed, [](const auto& each) { return each.first != each.second; }))
      rename_redundant(changed);
  }
  void note_wish(const Line& line) {
    if (!line.wish) return;
    const CodecWish wish{PayloadType{line.codec.payload_type}, line.wish->bitrate_bps, line.wish->ptime_ms,
                         line.wish->complexity};
    if (wish != CodecWish{wish.type, 0, 0, -1}) made_.toward_receiver.push_back(wish);
  }
  /// The parameters of red are payload types (RFC 2198 §5).
  void rename_redundant(const std::vector<std::pair<std::uint8_t, std::uint8_t>>& changed) {
    for (sdp::Codec& codec : made_.codecs) {
      if (!equal_ignoring_case(codec.name, "red")) continue;
      std::string renamed;
      std::string_view rest = codec.fmtp;
      while (!rest.empty()) {
        const auto slash = std::min(rest.find('/'), rest.size());
        std::uint8_t number = 0;
        std::string word(rest.substr(0, slash));
        if (sdp::read_number(rest.substr(0, slash), number)) {
          for (const auto& [from, to] : changed) {
            if (from != number) continue;
            word = std::to_string(to);
            break;
          }
        }
        renamed += (renamed.empty() ? "" : "/") + word;
        rest.remove_prefix(std::min(slash + 1, rest.size()));
      }
      codec.fmtp = texts_.emplace_back(std::move(renamed));
    }
  }

  const CodecOfferInput& input_;
  const sdp::CodecOperations& operations_;
  std::deque<std::string>& texts_;
  CodecOffer made_;
  std::vector<Line> lines_;
  /// Clock rates of codecs that were removed or added.
  std::set<std::uint32_t> touched_;
  /// Events and noise that `transcode` names.
  std::vector<CodecSpecification> wanted_others_;
  /// True if speech stands behind events and noise, because it was added or brought back.
  bool has_appended_ = false;
};

}  // namespace

void put_agreed_first(std::vector<sdp::Codec>& codecs, const MediaTerms& terms) {
  const auto agreed = agreed_codecs(terms.said_codecs.formats(), terms.shown_codecs.formats());
  auto next = codecs.begin();
  for (const AgreedCodec& each : agreed) {
    const auto found = std::find_if(next, codecs.end(), [&](const sdp::Codec& codec) {
      return is_same_codec(each.format, numbered_format(codec).format);
    });
    if (found == codecs.end()) continue;
    std::rotate(next, found, found + 1);
    ++next;
  }
}

CodecOffer offer_codecs(const CodecOfferInput& input, std::deque<std::string>& texts) {
  return Maker(input, texts).make();
}

}  // namespace ferry
