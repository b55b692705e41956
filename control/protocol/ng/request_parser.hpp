// From a decoded NG dictionary to a typed request, by tables of keys, flags and words (NG reference, sections
// 9-11).
#pragma once

#include "control/session/request.hpp"
#include "control/value/value.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>

namespace ferry::ng {

/// What a key or flag belongs to. Everything but `kNow` is parsed, kept and shown as "not in force".
enum class Capability : std::uint8_t {
  kNow,
  kSignalling,
  kSrtp,
  kIce,
  kCodecs,
  kT38,
  kRecording,
  kPlayback,
  kPubSub
};
std::string_view to_string(Capability capability) noexcept;

/// One top-level key of a request.
struct KeyRow {
  std::string_view name;  // normalised
  void (*apply)(Request& request, const Value& value) = nullptr;
  Capability capability = Capability::kNow;
  std::string_view help;
};

/// One word of the `flags` list, or with `prefix` a family of words.
struct FlagRow {
  std::string_view name;  // normalised
  void (*apply)(Request& request, std::string_view rest) = nullptr;
  bool prefix = false;
  Capability capability = Capability::kNow;
  std::string_view help;
};

std::span<const KeyRow> key_rows();
std::span<const FlagRow> flag_rows();

/// Pre-set words by name (`default`, a command's name, or what the key `template` says), in the form of
/// `rtpp-flags`. Names are normalised.
using Templates = std::map<std::string, std::string, std::less<>>;

/// Applies the templates, then every key of the dictionary. Never fails: what is not understood is listed in
/// the request.
Request parse_request(const Dict& dict, const Templates& templates = {});

/// Closest known name within one letter, or empty; for "did you mean".
std::string_view suggest(std::string_view name, bool flag);

}  // namespace ferry::ng
