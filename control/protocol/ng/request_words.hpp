// What the words of each key and flag do to a request (NG reference, sections 9-11). What is not understood
// is listed in the request.
#pragma once

#include "control/session/request.hpp"
#include "control/value/value.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace ferry::ng {

/// Lower case, with space and underscore as hyphen: the one form in which names are compared.
std::string normalise(std::string_view name);

namespace words {

/// Calls `use` for each member of a list, or of a string split at commas; blanks around members are removed.
template <class Use>
void each_word(const Value& value, Use use) {
  if (const auto* list = value.list()) {
    for (const Value& member : *list) {
      if (const auto* text = member.string()) use(std::string_view(*text));
    }
    return;
  }
  const auto* text = value.string();
  if (text == nullptr) return;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto comma = std::min(rest.find(','), rest.size());
    std::string_view word = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    if (!word.empty()) use(word);
  }
}

template <Flag kFlag>
void set_flag(Request& request, std::string_view) {
  request.flags.set(static_cast<std::size_t>(kFlag));
}

/// An integer where a string is wanted counts as missing (NG section 2).
void set_string(std::optional<std::string>& target, const Value& value);
void set_string(std::string& target, const Value& value);
void replace_word(Request& request, std::string_view word);
void rtcp_mux_word(Request& request, std::string_view word);
void learning_word(Request& request, std::string_view word);
bool is_yes(std::string_view word);
/// `yes` or `no` of the key `name`; another word is kept as an unknown flag.
void switch_word(Request& request, std::optional<bool>& target, std::string_view name, std::string_view word);
void record_word(Request& request, const Value& value);
void sdes_word(Request& request, std::string_view word);
void dtls_word(Request& request, std::string_view word);
void ice_word(Request& request, std::string_view word);
/// A browser on the other side (NG section 10); BUNDLE is not among it so far.
void web_rtc(Request& request);
void fingerprint_word(Request& request, const Value& value);
void osrtp_word(Request& request, std::string_view word);
void add_direction(Request& request, std::string_view name);
AddressFamily family_of(std::string_view word);
void set_address(std::optional<IpAddress>& target, const Value& value);
void all_word(Request& request, std::string_view word);
void alias_key_word(Request& request, std::string_view word);
void echo_word(Request& request, std::string_view word);
void codec_dict(Request& request, const Value& value);
/// Rest of a flag such as `codec-strip-G729`.
void codec_flag(Request& request, std::string_view rest);
void sdp_attr(Request& request, const Value& value);
/// `sdp-attr-COMMAND-SECTION-TEXT`
void sdp_attr_flag(Request& request, std::string_view rest);
void media_remove(Request& request, const Value& value);
void extmap_dict(Request& request, const Value& value);
void drop_traffic_word(Request& request, const Value& value);
/// What a client module writes where it chooses the branch itself; never a real branch.
bool is_branch_word(std::string_view text);

}  // namespace words

}  // namespace ferry::ng
