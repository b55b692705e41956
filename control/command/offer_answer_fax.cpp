// SPDX-License-Identifier: Apache-2.0
// Sections of fax that the receiver of a message is shown as audio, and the other way round (key `T.38`,
// docs/reference/ng.md#fax).
//
// An offer decides: T.38 becomes audio (`decode`), or audio becomes T.38 (`force`). The answer is turned back
// into what its receiver has offered; one that has no such section is a refusal, port 0. From then on the
// medias have a gateway (`Media::fax`), and later offers of either party go through it, until a party of T.38
// offers audio, or the word `stop` comes. Each message chooses what becomes of its sections before anything
// else is decided; the rest of offer and answer takes them as if the partner had written them.
//
// Trap: an offer that is refused leaves the agreed gateway as it was (LAT-15), so what is in force counts.

#include "control/command/offer_answer.hpp"
#include "control/negotiate/fax.hpp"
#include "relay/base/random.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

namespace {

/// Wishes without the words that say when a gateway begins and ends.
FaxWishes lasting(FaxWishes wishes) {
  wishes.decode = wishes.force = wishes.stop = false;
  return wishes;
}

bool is_audio(const sdp::MediaSection& section) { return section.type == "audio" && section.is_rtp(); }

/// True if one of the two is T.38 and the other one audio.
bool are_across(const sdp::MediaSection& a, const sdp::MediaSection& b) {
  return (is_t38(a) && is_audio(b)) || (is_audio(a) && is_t38(b));
}

}  // namespace

void OfferAnswer::convert_faxes() {
  for (Match& match : matches_) {
    match.shown = match.section;
    if (match.hidden || passing_of(match) != Passing::kNo) continue;
    if (is_answer_)
      convert_answered(match);
    else
      convert_offered(match);
  }
}

FaxWishes OfferAnswer::wished_fax(const Match& match, const FaxTerms* known) const {
  FaxWishes wishes = request_.fax;
  if (known == nullptr || wishes.stop) return wishes;
  if (!wishes.decode && !wishes.force) wishes = known->wishes;
  const bool speaks_t38 = match.sender->in_force().kind == TransportKind::kUdptl;
  (speaks_t38 ? wishes.decode : wishes.force) = true;
  return wishes;
}

void OfferAnswer::show_converted(Match& match, sdp::MediaSection section, FaxTerms terms,
                                 const std::shared_ptr<const FaxTerms>& known) {
  match.shown = &bare_.emplace_back(std::move(section));
  // A gateway with other settings is another one. 0 names none.
  const bool goes_on = known && known->gateway != 0 && known->settings == terms.settings;
  terms.gateway = goes_on ? known->gateway : std::max<std::uint64_t>(random_u64(), 1);
  match.fax = std::make_shared<const FaxTerms>(std::move(terms));
}

void OfferAnswer::convert_offered(Match& match) {
  const sdp::MediaSection& section = *match.section;
  const auto known = match.sender != nullptr ? match.sender->in_force().fax : nullptr;
  const FaxWishes wishes = wished_fax(match, known.get());
  FaxTerms terms;
  terms.wishes = lasting(wishes);
  switch (fax_conversion(section, wishes)) {
    case FaxConversion::kNone:
      return;
    case FaxConversion::kToAudio: {
      const sdp::MediaSection* own = match.receiver != nullptr ? own_section(*match.receiver) : nullptr;
      const auto before = own != nullptr ? g711_of(own->codecs) : std::vector<sdp::Codec>{};
      const T38Terms said = read_t38(section);
      terms.shown_version = std::min(said.version, wishes.version);
      terms.settings = t38_settings(said, wishes, terms.shown_version);
      return show_converted(match, audio_section(section, before, false), std::move(terms), known);
    }
    case FaxConversion::kToImage: {
      T38Terms expected;
      expected.version = terms.shown_version = wishes.version;
      if (wishes.fec) expected.recovery = UdptlView::Recovery::kParity;
      // What the party has agreed to counts until it says something else.
      const bool goes_on = known && known->wishes == terms.wishes;
      terms.settings = goes_on ? known->settings : t38_settings(expected, wishes, wishes.version);
      return show_converted(match, image_offer(section, wishes, generated_texts_), std::move(terms), known);
    }
  }
}

void OfferAnswer::convert_answered(Match& match) {
  const sdp::MediaSection* own = match.receiver != nullptr ? own_section(*match.receiver) : nullptr;
  if (own == nullptr) return;
  sdp::MediaSection& section = session_.media[static_cast<std::size_t>(&match - matches_.data())];
  auto known = match.receiver->fax;
  // With the offer, its gateway has lapsed, too.
  const bool has_lapsed = !known && receiver_->lapsed_offer() != nullptr && are_across(*own, section);
  if (has_lapsed) known = std::make_shared<const FaxTerms>();
  if (!known) return;
  FaxTerms terms = *known;
  if (is_t38(*own)) {
    if (!is_audio(section) || g711_of(section.codecs).empty()) section.port = 0;
    const T38Terms said = read_t38(*own);
    terms.settings = t38_settings(said, terms.wishes, terms.shown_version);
    show_converted(match, image_answer(section, said, terms.wishes, generated_texts_), std::move(terms),
                   known);
  } else {
    if (!is_t38(section)) section.port = 0;
    terms.settings = t38_settings(read_t38(section), terms.wishes, terms.shown_version);
    show_converted(match, audio_section(section, g711_of(own->codecs), true), std::move(terms), known);
  }
  if (section.port == 0) match.fax = nullptr;
}

}  // namespace ferry
