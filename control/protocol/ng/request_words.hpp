// SPDX-License-Identifier: Apache-2.0
// Applies the words of each key and flag to a request (docs/reference/ng.md#keys). Words that are not
// understood are listed in the request. Each function changes `request` only; none fails. Pure; safe on any
// thread.
#pragma once

#include "control/request/request.hpp"
#include "control/value/value.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace ferry::ng {

/// Returns a name in lower case, with hyphens in place of blanks and underscores: the form in which names are
/// compared.
std::string normalise(std::string_view name);

namespace words {

/// Calls `use` for each member of a list of strings, or of a string that is split at commas. Blanks around
/// members are removed. Members that are no strings are left out.
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

/// Sets the flag `kFlag`. The rest of the word means nothing.
template <Flag kFlag>
void set_flag(Request& request, std::string_view) {
  request.flags.set(static_cast<std::size_t>(kFlag));
}

/// Stores a string. An integer where a string is wanted counts as missing (docs/reference/ng.md#encodings).
void set_string(std::optional<std::string>& target, const Value& value);
void set_string(std::string& target, const Value& value);
/// One word of the key after which the function is named: `replace`, `rtcp-mux`, `endpoint-learning`,
/// `bundle`.
void replace_word(Request& request, std::string_view word);
void rtcp_mux_word(Request& request, std::string_view word);
void bundle_word(Request& request, std::string_view word);
void learning_word(Request& request, std::string_view word);
/// True if the word means yes.
bool is_yes(std::string_view word);
/// One word of key `T.38`.
void fax_word(Request& request, std::string_view word);
/// Stores `yes` or `no`, the value of the key `name`. Any other word is kept as an unknown flag.
void switch_word(Request& request, std::optional<bool>& target, std::string_view name, std::string_view word);
void record_word(Request& request, const Value& value);
void sdes_word(Request& request, std::string_view word);
void dtls_word(Request& request, std::string_view word);
void ice_word(Request& request, std::string_view word);
void ice_lite_word(Request& request, std::string_view word);
/// Sets all that a browser on the other side needs (docs/reference/ng.md#ice).
void web_rtc(Request& request);
void fingerprint_word(Request& request, const Value& value);
void osrtp_word(Request& request, std::string_view word);
/// Adds the name of an interface to `direction`: the first one is that of the sender, the second that of the
/// receiver.
void add_direction(Request& request, std::string_view name);
/// The family that `IP4` or `IP6` names; kNone for any other word.
AddressFamily family_of(std::string_view word);
/// Stores an address, or nothing if the text is no address.
void set_address(std::optional<IpAddress>& target, const Value& value);
void all_word(Request& request, std::string_view word);
void alias_key_word(Request& request, std::string_view word);
void player_word(Request& request, std::string_view word);
void echo_word(Request& request, std::string_view word);
/// A dictionary of codec operations.
void codec_dict(Request& request, const Value& value);
/// A flag such as `codec-strip-G729`; `rest` is the part behind `codec-`.
void codec_flag(Request& request, std::string_view rest);
/// Edits of attribute lines (docs/reference/ng.md#sdp-attr), and the same as one flag,
/// `sdp-attr-COMMAND-SECTION-TEXT`.
void sdp_attr(Request& request, const Value& value);
void sdp_attr_flag(Request& request, std::string_view rest);
void media_remove(Request& request, const Value& value);
void extmap_dict(Request& request, const Value& value);
void drop_traffic_word(Request& request, const Value& value);
/// True for a word by which client modules of proxies ask for a branch of their own choice. It is never a
/// real branch.
bool is_branch_word(std::string_view text);

}  // namespace words

}  // namespace ferry::ng
