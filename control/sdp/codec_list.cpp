#include "control/sdp/codec_list.hpp"

#include <algorithm>
#include <array>
#include <charconv>

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

bool matches_specification(std::string_view specification, const Codec& codec) noexcept {
  std::array<std::string_view, 3> parts;
  for (std::string_view& part : parts) {
    const auto slash = std::min(specification.find('/'), specification.size());
    part = specification.substr(0, slash);
    specification.remove_prefix(std::min(slash + 1, specification.size()));
  }
  const auto is_number = [](std::string_view text, std::uint32_t wanted) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && value == wanted;
  };
  return equal_ignoring_case(parts[0], codec.name) &&
         (parts[1].empty() || is_number(parts[1], codec.clock_rate_hz)) &&
         (parts[2].empty() || is_number(parts[2], codec.channels));
}

void keep_first_codec(std::vector<Codec>& codecs) {
  const auto is_supplemental = [](const Codec& codec) {
    return equal_ignoring_case(codec.name, "telephone-event") || equal_ignoring_case(codec.name, "CN");
  };
  const auto first = std::ranges::find_if_not(codecs, is_supplemental);
  if (first == codecs.end()) return;
  const Codec kept = *first;
  std::erase_if(codecs, [&](const Codec& codec) {
    if (codec.payload_type == kept.payload_type) return false;
    return !is_supplemental(codec) || codec.clock_rate_hz != kept.clock_rate_hz;
  });
}

std::vector<Codec> choose_codecs(const std::vector<Codec>& offered, const CodecOperations& operations,
                                 bool may_be_empty) {
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
  // What is named comes back, in the order in which it is named.
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
  // Events and comfort noise alone are no media.
  const auto is_supplemental = [](const Codec& codec) {
    return equal_ignoring_case(codec.name, "telephone-event") || equal_ignoring_case(codec.name, "CN");
  };
  if (std::ranges::all_of(kept, is_supplemental)) {
    if (!may_be_empty) return offered;
    kept.clear();
  }
  return kept;
}

}  // namespace ferry::sdp
