// SPDX-License-Identifier: Apache-2.0
#include "control/sdp/sdes.hpp"

#include "control/sdp/sdp.hpp"
#include "control/sdp/words.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace ferry::sdp {

namespace {

bool lists(const std::vector<std::string>& names, const SrtpSuiteRow& suite) {
  return std::ranges::any_of(names,
                             [&](const std::string& name) { return equal_ignoring_case(name, suite.name); });
}

/// Cuts the next word off `text` and returns it.
std::string_view take_word(std::string_view& text, char end) {
  const auto at = std::min(text.find(end), text.size());
  const std::string_view word = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return word;
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Decodes base64 of exactly `size` octets, with or without its padding.
std::optional<SecretBytes<46>> decoded(std::string_view base64, std::size_t size) {
  std::string whole(base64);
  while (whole.ends_with('=')) whole.pop_back();
  const std::size_t padding = base64.size() - whole.size();
  const std::size_t wanted = (3 - size % 3) % 3;
  if (padding != 0 && padding != wanted) return std::nullopt;
  if (whole.size() != (size * 8 + 5) / 6) return std::nullopt;
  whole.append(wanted, '=');
  std::array<unsigned char, 72> octets{};
  if (whole.size() > octets.size()) return std::nullopt;
  const int written = EVP_DecodeBlock(octets.data(), reinterpret_cast<const unsigned char*>(whole.data()),
                                      static_cast<int>(whole.size()));
  if (written < 0 || static_cast<std::size_t>(written) != size + wanted) return std::nullopt;
  const SecretBytes<46> key(std::as_bytes(std::span(octets)).first(size));
  OPENSSL_cleanse(octets.data(), octets.size());
  return key;
}

/// Reads VALUE:LENGTH (RFC 4568 §6.1): the value is decimal, the length counts octets.
std::optional<std::vector<std::byte>> mki_of(std::string_view text) {
  const auto value = number_of<std::uint64_t>(take_word(text, ':'));
  const auto length = number_of<std::uint32_t>(text);
  if (!value || !length || *length < 1 || *length > 8) return std::nullopt;
  if (*length < 8 && *value >> (8 * *length) != 0) return std::nullopt;
  std::vector<std::byte> mki;
  for (std::uint32_t i = *length; i-- > 0;) mki.push_back(static_cast<std::byte>(*value >> (8 * i)));
  return mki;
}

/// True for a lifetime: 2^N, or a decimal number.
bool is_lifetime(std::string_view text) {
  if (text.starts_with("2^")) text.remove_prefix(2);
  return number_of<std::uint64_t>(text).has_value();
}

}  // namespace

const SrtpSuiteRow* find_crypto_suite(std::string_view name) noexcept {
  const auto found = std::ranges::find_if(
      kSrtpSuites, [&](const SrtpSuiteRow& suite) { return equal_ignoring_case(suite.name, name); });
  return found == kSrtpSuites.end() ? nullptr : &*found;
}

std::optional<CryptoLine> parse_crypto(std::string_view value) {
  CryptoLine line;
  const std::string_view tag = next_word(value);
  const auto number = number_of<std::uint32_t>(tag);
  if (!number || tag.size() > 9) return std::nullopt;
  line.tag = *number;
  line.suite = find_crypto_suite(next_word(value));
  if (line.suite == nullptr) return std::nullopt;
  std::string_view keys = next_word(value);
  std::string_view key = take_word(keys, ';');
  constexpr std::string_view kInline = "inline:";
  if (!key.starts_with(kInline)) return std::nullopt;
  key.remove_prefix(kInline.size());
  auto octets = decoded(take_word(key, '|'), std::size_t{line.suite->key} + line.suite->salt);
  if (!octets) return std::nullopt;
  line.key_and_salt = *octets;
  while (!key.empty()) {
    const std::string_view word = take_word(key, '|');
    if (is_lifetime(word)) continue;
    auto mki = mki_of(word);
    if (!mki) return std::nullopt;
    line.mki = std::move(*mki);
  }
  for (std::string_view word = next_word(value); !word.empty(); word = next_word(value))
    line.parameters.emplace_back(word);
  return line;
}

std::string write_crypto(const CryptoLine& line, CryptoStyle style) {
  std::string text = std::to_string(line.tag) + ' ' + std::string(line.suite->name) + " inline:";
  std::vector<unsigned char> base64(line.key_and_salt.size() * 4 / 3 + 8);
  const int size =
      EVP_EncodeBlock(base64.data(), reinterpret_cast<const unsigned char*>(line.key_and_salt.get().data()),
                      static_cast<int>(line.key_and_salt.size()));
  std::string key(base64.begin(), base64.begin() + size);
  while (!style.pad && key.ends_with('=')) key.pop_back();
  text += key;
  if (style.lifetime) text += "|2^31";
  if (!line.mki.empty()) {
    std::uint64_t value = 0;
    for (const std::byte octet : line.mki) value = value << 8 | std::to_integer<std::uint64_t>(octet);
    text += '|' + std::to_string(value) + ':' + std::to_string(line.mki.size());
  }
  for (const std::string& parameter : line.parameters) text += ' ' + parameter;
  return text;
}

bool CryptoLine::weakens() const noexcept {
  return std::ranges::any_of(parameters, [](const std::string& parameter) {
    return parameter == "UNENCRYPTED_SRTP" || parameter == "UNENCRYPTED_SRTCP" ||
           parameter == "UNAUTHENTICATED_SRTP";
  });
}

bool SdesPolicy::allows(const SrtpSuiteRow& suite) const {
  if (no_new) return true;
  if (!only.empty()) return lists(only, suite);
  return !lists(without, suite);
}

std::vector<CryptoLine> sdes_offer(std::span<const CryptoLine> offerers, const SdesPolicy& policy,
                                   SdesOfferRules rules, const FreshKey& fresh) {
  std::vector<CryptoLine> lines;
  if (policy.off) return lines;
  const auto usable = [&](const SrtpSuiteRow& suite) {
    return policy.allows(suite) && (rules.legacy || !suite.is_legacy);
  };
  std::uint32_t highest = 0;
  for (const CryptoLine& line : offerers) {
    if (!usable(*line.suite)) continue;
    if (rules.recrypt)
      lines.push_back({line.tag, line.suite, fresh(*line.suite), {}, {}});
    else
      lines.emplace_back(line).is_offerers = true;
    highest = std::max(highest, line.tag);
  }
  for (const SrtpSuiteRow& suite : kSrtpSuites) {
    const bool known =
        std::ranges::any_of(lines, [&](const CryptoLine& line) { return line.suite == &suite; });
    if (policy.no_new || known || !usable(suite)) continue;
    lines.push_back({++highest, &suite, fresh(suite), {}, {}});
  }
  const auto rank = [&](const CryptoLine& line) {
    const auto at = std::ranges::find_if(
        policy.order, [&](const std::string& name) { return equal_ignoring_case(name, line.suite->name); });
    return at - policy.order.begin();
  };
  std::ranges::stable_sort(lines, {}, rank);
  return lines;
}

}  // namespace ferry::sdp
