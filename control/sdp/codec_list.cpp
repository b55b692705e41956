// SPDX-License-Identifier: Apache-2.0
#include "control/sdp/codec_list.hpp"

#include "control/sdp/words.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace ferry::sdp {

namespace {

bool any_matches(const std::vector<std::string>& specifications, const Codec& codec) {
  return std::ranges::any_of(specifications,
                             [&](const std::string& s) { return matches_specification(s, codec); });
}

bool names(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::any_of(words, [&](const std::string& s) { return equal_ignoring_case(s, word); });
}

}  // namespace

bool is_supplemental(const Codec& codec) noexcept {
  return equal_ignoring_case(codec.name, "telephone-event") || equal_ignoring_case(codec.name, "CN");
}

bool matches_specification(std::string_view specification, const Codec& codec) noexcept {
  std::array<std::string_view, 3> parts;
  for (std::string_view& part : parts) {
    const auto slash = std::min(specification.find('/'), specification.size());
    part = trim(specification.substr(0, slash));
    specification.remove_prefix(std::min(slash + 1, specification.size()));
  }
  const auto is_number = [](std::string_view text, std::uint32_t wanted) {
    std::uint32_t value = 0;
    return text.empty() || (read_number(text, value) && value == wanted);
  };
  if (equal_ignoring_case(encoding_name(parts[0]), codec.name) && is_number(parts[1], codec.clock_rate_hz) &&
      is_number(parts[2], codec.channels)) {
    return true;
  }
  if (codec.rtpmap.empty()) return false;
  const RtpMap written = read_rtpmap(codec.rtpmap);
  return equal_ignoring_case(parts[0], written.name) && is_number(parts[1], written.clock_rate_hz) &&
         is_number(parts[2], written.channels);
}

std::vector<Codec> common_codecs(const std::vector<Codec>& answered, const std::vector<Codec>& offered) {
  const auto same_number = [](const Codec& a, const Codec& b) { return a.payload_type == b.payload_type; };
  const auto is_answered_exactly = [&](const Codec& o) {
    return std::ranges::any_of(answered,
                               [&](const Codec& a) { return same_number(a, o) && same_codec(o, a); });
  };
  const auto is_known = [&](const Codec& codec) {
    return std::ranges::any_of(offered, [&](const Codec& o) {
      if (!same_codec(o, codec)) return false;
      // The same codec may also be answered under its own number; that one counts.
      return same_number(o, codec) || !is_answered_exactly(o);
    });
  };
  std::vector<Codec> kept;
  std::ranges::copy_if(answered, std::back_inserter(kept), is_known);
  const auto is_media = [](const Codec& codec) { return !is_supplemental(codec); };
  if (std::ranges::any_of(kept, is_media)) return kept;
  if (std::ranges::none_of(answered, is_media)) return kept.empty() ? answered : kept;

  const auto has_offered_number = [&](const Codec& codec) {
    return is_media(codec) &&
           std::ranges::any_of(offered, [&](const Codec& o) { return is_media(o) && same_number(o, codec); });
  };
  const bool numbers_decide = std::ranges::any_of(answered, has_offered_number);
  kept.clear();
  std::ranges::copy_if(answered, std::back_inserter(kept), [&](const Codec& codec) {
    if (!is_media(codec)) return is_known(codec);
    return !numbers_decide || has_offered_number(codec);
  });
  return kept;
}

void keep_first_codec(std::vector<Codec>& codecs) {
  const auto first = std::ranges::find_if_not(codecs, is_supplemental);
  if (first == codecs.end()) return;
  const Codec kept = *first;
  std::erase_if(codecs, [&](const Codec& codec) {
    if (codec.payload_type == kept.payload_type) return false;
    return !is_supplemental(codec) || codec.clock_rate_hz != kept.clock_rate_hz;
  });
}

bool any_names(const std::vector<std::string>& specifications, const Codec& codec) {
  return names(specifications, "all") || any_matches(specifications, codec);
}

std::vector<Codec> remaining_codecs(const std::vector<Codec>& offered, const CodecOperations& operations) {
  if (!operations.changes_offer()) return offered;
  const bool strip_full = names(operations.strip, "full");
  const bool strip_all = strip_full || names(operations.strip, "all");
  const bool hide_all = strip_all || names(operations.mask, "all") || names(operations.consume, "all");
  std::vector<Codec> kept;
  for (const Codec& codec : offered) {
    const bool named = any_matches(operations.strip, codec) || any_matches(operations.mask, codec) ||
                       any_matches(operations.consume, codec);
    const bool excepted = any_matches(operations.except, codec);
    if (named || (hide_all && !excepted)) continue;
    kept.push_back(codec);
  }
  // Named codecs come back in the order in which they are named.
  const auto bring_back = [&](const std::vector<std::string>& specifications) {
    for (const std::string& specification : specifications) {
      for (const Codec& codec : offered) {
        const bool known =
            std::ranges::any_of(kept, [&](const Codec& k) { return k.payload_type == codec.payload_type; });
        const bool named =
            matches_specification(specification, codec) || equal_ignoring_case(specification, "all");
        if (!known && named && !any_matches(operations.strip, codec)) kept.push_back(codec);
      }
    }
  };
  if (hide_all) {
    bring_back(operations.offer);
    bring_back(operations.transcode);
  }
  return kept;
}

std::vector<Codec> choose_codecs(const std::vector<Codec>& offered, const CodecOperations& operations,
                                 bool may_be_empty) {
  std::vector<Codec> kept = remaining_codecs(offered, operations);
  if (!operations.changes_offer() || !std::ranges::all_of(kept, is_supplemental)) return kept;
  if (!may_be_empty) return offered;
  return {};
}

}  // namespace ferry::sdp
