// SPDX-License-Identifier: Apache-2.0
#include "control/sdp/ice.hpp"

#include "control/sdp/words.hpp"

#include <algorithm>

namespace ferry::sdp {

namespace {

constexpr std::size_t kMaxCandidates = 20;  // ICE-4
constexpr std::size_t kMaxText = 256;       // RFC 8839 §5.4

void add_candidate(IceDescription& ice, std::string_view value) {
  auto candidate = parse_candidate(value);
  if (candidate && ice.candidates.size() < kMaxCandidates) ice.candidates.push_back(*candidate);
}

bool has_word(std::string_view options, std::string_view word) {
  while (!options.empty()) {
    if (next_word(options) == word) return true;
  }
  return false;
}

void set_credentials(IceDescription& ice, std::string_view ufrag, std::string_view password) {
  const bool good =
      !ufrag.empty() && ufrag.size() <= kMaxText && !password.empty() && password.size() <= kMaxText;
  if (!good) return;
  ice.ufrag = ufrag;
  ice.password = password;
}

}  // namespace

std::optional<IceCandidateLine> parse_candidate(std::string_view value) {
  IceCandidateLine candidate;
  next_word(value);  // foundation
  if (!read_number(next_word(value), candidate.component) || candidate.component < 1 ||
      candidate.component > 2 || !equal_ignoring_case(next_word(value), "udp") ||
      !read_number(next_word(value), candidate.priority))
    return std::nullopt;
  const auto address = IpAddress::parse(next_word(value));
  if (!address || !read_number(next_word(value), candidate.at.port.value) || candidate.at.port.value == 0)
    return std::nullopt;
  candidate.at.address = *address;
  return candidate;
}

IceDescription read_ice(const MediaSection& section) {
  IceDescription ice;
  set_credentials(ice, section.ice_ufrag, section.ice_password);
  for (const std::string_view value : section.candidates) add_candidate(ice, value);
  ice.trickles = has_word(section.ice_options, "trickle");
  ice.is_lite = section.ice_lite;
  return ice;
}

std::optional<IceFragment> parse_fragment(std::string_view text) {
  IceFragment fragment;
  std::string_view ufrag;
  std::string_view password;
  // Lines belong to the session until a section has begun.
  const auto ice = [&]() -> IceDescription& {
    return fragment.sections.empty() ? fragment.session : fragment.sections.back().ice;
  };
  bool any = false;
  bool in_media = false;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of("\r\n"), text.size());
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    if (line.size() < 2 || line[1] != '=' || line[0] < 'a' || line[0] > 'z') return std::nullopt;
    any = true;
    const std::string_view rest = line.substr(2);
    if (line[0] == 'm') {
      if (fragment.sections.size() >= 32) return std::nullopt;
      if (in_media || fragment.sections.empty()) fragment.sections.emplace_back();
      in_media = true;
    } else if (rest.starts_with("ice-ufrag:")) {
      ufrag = trim(rest.substr(10));
    } else if (rest.starts_with("ice-pwd:")) {
      password = trim(rest.substr(8));
    } else if (rest.starts_with("mid:")) {
      if (fragment.sections.empty()) fragment.sections.emplace_back();
      fragment.sections.back().mid = trim(rest.substr(4));
    } else if (rest.starts_with("candidate:")) {
      add_candidate(ice(), rest.substr(10));
    }
    set_credentials(ice(), ufrag, password);
  }
  if (!any) return std::nullopt;
  return fragment;
}

}  // namespace ferry::sdp
