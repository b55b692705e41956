// SPDX-License-Identifier: Apache-2.0
// PRC-3: what two parties and a client say about codecs, offer after answer. What each party is shown can be
// written and reads the same, numbers mean one codec each and are those of RFC 3264, and what audio becomes
// is something that its receiver has named.
//
// The input is text. A line is its first letter and the rest:
//
//   + a codec of the SDP that comes next: `96 opus/48000/2 useinbandfec=1`, or `8`
//   s e o t m a c i x  a word of the client: strip, except, offer, transcode, mask, accept, consume, ignore,
//   set F a flag, by its place in `kFlags` > the first party offers; < the second one does; = the other one
//   answers. Lines and words then are gone.
#include "control/call/conversions.hpp"
#include "control/negotiate/codec_answer.hpp"
#include "control/negotiate/codec_offer.hpp"
#include "control/negotiate/codec_specification.hpp"
#include "control/negotiate/codecs.hpp"
#include "control/sdp/write.hpp"
#include "tests/fuzz/facts.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <string>

namespace {

using namespace ferry;

constexpr std::array<Flag, 7> kFlags = {
    Flag::kAllowNoCodecMedia, Flag::kSingleCodec,           Flag::kReuseCodecs,     Flag::kStaticCodecs,
    Flag::kForceTranscoding,  Flag::kAllowAsymmetricCodecs, Flag::kAllowTranscoding};

CodecCatalogue catalogue() {
  std::vector<KnownCodec> all;
  for (const char* name : {"PCMU", "PCMA", "G722", "GSM", "iLBC", "AMR", "G729"})
    all.push_back({{name, 8000, 1, {}}, name[2] == '2' ? 16'000u : 8000u, true, name[0] != 'i'});
  all.push_back({{"opus", 48'000, 2, {}}, 48'000, true, true});
  all.push_back({{"speex", 16'000, 1, {}}, 16'000, true, true});
  all.push_back({{"AMR-WB", 16'000, 1, {}}, 16'000, true, true});
  return CodecCatalogue(std::move(all));
}

bool has_distinct_types(const std::vector<sdp::Codec>& codecs) {
  return types_of(codecs).count() == codecs.size();
}

/// Two parties, and what was said last.
class Negotiation {
 public:
  void add_codec(std::string_view line) {
    const auto blank = line.find(' ');
    const std::string number(line.substr(0, blank));
    numbers_ += " " + number;
    if (blank == std::string_view::npos) return;
    const std::string_view rest = line.substr(blank + 1);
    const auto second = rest.find(' ');
    attributes_ += "a=rtpmap:" + number + " " + std::string(rest.substr(0, second)) + "\r\n";
    if (second != std::string_view::npos)
      attributes_ += "a=fmtp:" + number + " " + std::string(rest.substr(second + 1)) + "\r\n";
  }
  void add_word(char which, std::string_view word) {
    sdp::CodecOperations& all = request_.codecs;
    const std::array<std::pair<char, std::vector<std::string>*>, 9> lists = {{{'s', &all.strip},
                                                                              {'e', &all.except},
                                                                              {'o', &all.offer},
                                                                              {'t', &all.transcode},
                                                                              {'m', &all.mask},
                                                                              {'a', &all.accept},
                                                                              {'c', &all.consume},
                                                                              {'i', &all.ignore},
                                                                              {'x', &all.set}}};
    for (const auto& [letter, list] : lists) {
      // A request of 64 kB has room for more, but not for more that is new.
      if (letter == which && list->size() < 32) list->emplace_back(word);
    }
  }
  void add_flag(std::string_view rest) {
    if (!rest.empty())
      request_.flags.set(
          static_cast<std::size_t>(kFlags[static_cast<unsigned char>(rest[0]) % kFlags.size()]));
  }

  void offer(bool is_by_second) {
    const sdp::MediaSection* section = next_section();
    if (section == nullptr) return;
    offered_ = section;
    is_by_second_ = is_by_second;
    Media& from = is_by_second ? b_ : a_;
    Media& to = is_by_second ? a_ : b_;
    note_said(from, *section);
    const bool may_be_empty = request_.has_flag(Flag::kAllowNoCodecMedia);
    const CodecOffer made = offer_codecs({section->codecs, request_, to, catalogue_, may_be_empty}, texts_);
    fact(!made.codecs.empty() || section->codecs.empty() || may_be_empty);
    fact((made.removed & ~types_of(section->codecs)).none());
    fact(made.unmade.size() <= made.warnings.size());
    const bool knows_distinct = to.said_codecs.formats().size() == numbers_of(to.said_codecs).count();
    if (has_distinct_types(section->codecs) && knows_distinct) fact(has_distinct_types(made.codecs));
    check_shown(*section, made.codecs);
    from.codec_wishes = std::make_shared<const CodecWishes>(made.of_sender);
    CodecWishes toward;
    toward.codecs = made.toward_receiver;
    toward.is_forced = made.of_sender.is_forced;
    to.codec_wishes = std::make_shared<const CodecWishes>(toward);
    note_shown(to, *section, made.codecs, FormerTypes::kStay);
    check_treatment();
  }
  void answer() {
    if (offered_ == nullptr) return;
    const sdp::MediaSection* section = next_section();
    if (section == nullptr) return;
    Media& from = is_by_second_ ? a_ : b_;
    Media& to = is_by_second_ ? b_ : a_;
    note_said(from, *section);
    const CodecAnswer made =
        answer_codecs({section->codecs, offered_->codecs, request_, from, to, catalogue_, true});
    fact((types_of(made.codecs) & ~(types_of(section->codecs) | types_of(offered_->codecs))).none());
    fact((made.removed & ~types_of(section->codecs)).none());
    check_shown(*section, made.codecs);
    note_shown(to, *section, made.codecs, FormerTypes::kStay);
    settle_codecs(from);
    check_treatment();
  }

 private:
  static std::bitset<128> numbers_of(const CodecList& list) {
    std::bitset<128> numbers;
    for (const NumberedFormat& each : list.formats()) numbers.set(each.type.value & 127u);
    return numbers;
  }
  /// The section of the lines so far; null if it is no SDP of audio.
  const sdp::MediaSection* next_section() {
    texts_.push_back("v=0\r\nm=audio 4000 RTP/AVP" + numbers_ + "\r\n" + attributes_);
    numbers_.clear();
    attributes_.clear();
    auto session = sdp::parse(texts_.back());
    if (!session || session->media.size() != 1 || !session->media[0].is_rtp()) return nullptr;
    sessions_.push_back(std::move(*session));
    return &sessions_.back().media[0];
  }
  void forget_words() { request_ = {}; }
  /// What a party is shown reads as it was meant.
  void check_shown(const sdp::MediaSection& source, const std::vector<sdp::Codec>& codecs) {
    forget_words();
    sdp::SectionEdit section;
    section.source = &source;
    section.port = 30'000;
    section.connection = IpAddress::v4({192, 0, 2, 1});
    section.protocol = source.protocol;
    section.codecs = codecs;
    sdp::SessionEdit edit;
    edit.origin = sessions_.back().origin;
    edit.name = sessions_.back().name;
    edit.sections.push_back(section);
    const std::string written = sdp::write(sessions_.back(), edit);
    sdp::Limits wide;
    wide.bytes = 1 << 24;
    wide.line = 1 << 20;
    wide.lines = 1 << 20;
    const auto again = sdp::parse(written, wide);
    fact(again && again->media.size() == 1);
    if (!has_distinct_types(codecs)) return;
    fact(again->media[0].codecs.size() == codecs.size() || codecs.empty());
    for (std::size_t i = 0; i < codecs.size(); ++i) {
      const NumberedFormat read = numbered_format(again->media[0].codecs[i]);
      const NumberedFormat meant = numbered_format(codecs[i]);
      // Parameters of AMR are written with blanks between them.
      fact(read.type == meant.type && read.format.encoding == meant.format.encoding);
      fact(read.format.clock_rate_hz == meant.format.clock_rate_hz &&
           read.format.channels == meant.format.channels);
    }
  }
  void check_treatment() {
    for (const bool is_back : {false, true}) {
      const auto of = [](const Media& media) {
        PartyCodecs codecs{media.said_codecs, media.shown_codecs, media.said_ptime_ms, {}};
        if (media.codec_wishes) codecs.wishes = *media.codec_wishes;
        return codecs;
      };
      const PartyCodecs from = of(is_back ? b_ : a_);
      const PartyCodecs to = of(is_back ? a_ : b_);
      const AudioTreatment treated = treat_audio(from, to, catalogue_);
      const std::bitset<128> known = numbers_of(to.said);
      if (treated.conversion) {
        const AudioConversion& made = *treated.conversion;
        fact(known.test(made.type.value & 127u) && catalogue_.encodes(made.format));
        fact(made.ptime_ms > 0 && made.ptime_ms <= 1000);
        fact(!made.events || known.test(made.events->type.value & 127u));
        fact(!made.comfort_noise || known.test(made.comfort_noise->type.value & 127u));
        fact(!made.inputs.empty());
        for (const AudioInput& input : made.inputs) fact(input.type.value < 128);
      }
      if (treated.renumbering) {
        for (const std::uint8_t number : treated.renumbering->to)
          fact(number == TypeRenumbering::kStays || known.test(number & 127u));
      }
      (void)listen_to(from, catalogue_);
    }
  }

  Media a_;
  Media b_;
  CodecCatalogue catalogue_ = catalogue();
  std::string numbers_;
  std::string attributes_;
  Request request_;
  std::deque<std::string> texts_;
  std::deque<sdp::Session> sessions_;
  /// Null before the first offer.
  const sdp::MediaSection* offered_ = nullptr;
  bool is_by_second_ = false;
};

/// What a specification is read as, and that it can be shown.
void check_specification(std::string_view text) {
  const auto read = read_specification(text);
  if (!read) return;
  fact(!read->format.encoding.empty() && read->format.clock_rate_hz > 0 && read->format.channels > 0);
  fact(read->ptime_ms <= 1000 && read->complexity <= 10);
  std::deque<std::string> texts;
  const sdp::Codec line = line_of({PayloadType{100}, read->format}, texts);
  fact(std::ranges::none_of(line.rtpmap, [](unsigned char c) { return c < ' '; }));
  fact(std::ranges::none_of(line.fmtp, [](unsigned char c) { return c < ' '; }));
  if (const auto number = static_number(read->format)) fact(*number < 35);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::string_view left(reinterpret_cast<const char*>(data), size);
  Negotiation negotiation;
  for (int turns = 0; !left.empty() && turns < 20;) {
    const auto end = std::min(left.find('\n'), left.size());
    const std::string_view line = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    if (line.empty()) continue;
    const std::string_view rest = line.substr(1);
    switch (line[0]) {
      case '+':
        negotiation.add_codec(rest);
        break;
      case '>':
      case '<':
        negotiation.offer(line[0] == '<');
        ++turns;
        break;
      case '=':
        negotiation.answer();
        ++turns;
        break;
      case 'F':
        negotiation.add_flag(rest);
        break;
      default:
        check_specification(rest);
        negotiation.add_word(line[0], rest);
    }
  }
  return 0;
}
