// SPDX-License-Identifier: Apache-2.0
#include "control/log/masked_addresses.hpp"

#include "relay/base/address.hpp"

#include <algorithm>
#include <optional>

namespace ferry::log {

namespace {

constexpr std::string_view kOfAddresses = "0123456789abcdefABCDEF.:[]";

std::string masked(const IpAddress& address) {
  const std::string text = address.to_string();
  const char mark = address.is_v6() ? ':' : '.';
  const auto second = text.find(mark, text.find(mark) + 1);
  return text.substr(0, second) + mark + "x";
}

/// Masks a word; nothing if it is neither an address nor an address with a port.
std::optional<std::string> masked(std::string_view word) {
  if (const auto address = IpAddress::parse(word)) return masked(*address);
  const auto endpoint = Endpoint::parse(word);
  if (!endpoint || !endpoint->is_set()) return std::nullopt;
  const std::string port = ":" + std::to_string(endpoint->port.value);
  return endpoint->address.is_v6() ? "[" + masked(endpoint->address) + "]" + port
                                   : masked(endpoint->address) + port;
}

}  // namespace

std::string mask_addresses(std::string_view sentence) {
  std::string text;
  while (!sentence.empty()) {
    const auto start = std::min(sentence.find_first_of(kOfAddresses), sentence.size());
    text += sentence.substr(0, start);
    sentence.remove_prefix(start);
    const std::string_view whole = sentence.substr(0, sentence.find_first_not_of(kOfAddresses));
    std::string_view word = whole;
    std::optional<std::string> found = masked(word);
    // A full stop or a colon behind an address belongs to the sentence. An address has at most two colons at
    // its end.
    if (!found) {
      const auto last = word.find_last_not_of(".:");
      word = word.substr(0, last == std::string_view::npos ? 0 : last + 3);
    }
    while (!found && (word.ends_with('.') || word.ends_with(':'))) {
      found = masked(word);
      if (!found) word.remove_suffix(1);
    }
    if (!found) found = masked(word);
    if (!found) word = whole;
    text += found ? std::string_view(*found) : word;
    sentence.remove_prefix(word.size());
  }
  return text;
}

}  // namespace ferry::log
