// SPDX-License-Identifier: Apache-2.0
// Turns a decoded NG dictionary into a typed request, by tables of keys, flags and words
// (docs/reference/ng.md#keys). Pure; safe on any thread.
#pragma once

#include "control/request/request.hpp"
#include "control/value/value.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>

namespace ferry::ng {

/// Feature that a key or flag belongs to. Keys and flags of any feature but `kNow` are parsed and kept, and
/// shown as "not in force".
enum class Capability : std::uint8_t { kNow, kSignalling, kSrtp, kCodecs, kRecording, kPlayback, kPubSub };
/// Name of the feature for people.
std::string_view to_string(Capability capability) noexcept;

/// One top-level key of a request. Names are normalised (`normalise`). A null `apply` means that the key is
/// known but has no effect; the same holds for flags.
struct KeyRow {
  std::string_view name;  // normalised
  void (*apply)(Request& request, const Value& value) = nullptr;
  Capability capability = Capability::kNow;
  std::string_view help;
};

/// One word of the `flags` list; with `prefix`, a family of words that begin with `name`.
struct FlagRow {
  std::string_view name;  // normalised
  void (*apply)(Request& request, std::string_view rest) = nullptr;
  bool prefix = false;
  Capability capability = Capability::kNow;
  std::string_view help;
};

/// All keys, and all flags. Help, documents and suggestions are made of these rows.
std::span<const KeyRow> key_rows();
std::span<const FlagRow> flag_rows();

/// Pre-set words, in the form of `rtpp-flags`, by the normalised name of a template: `default`, the name of a
/// command, or what the key `template` says.
using Templates = std::map<std::string, std::string, std::less<>>;

/// Applies the templates, then every key of the dictionary. Never fails: keys and words that are not
/// understood are listed in the request.
Request parse_request(const Dict& dict, const Templates& templates = {});

/// Returns the known key, or flag if `flag`, that differs from `name` in one letter; empty if there is none.
/// For "did you mean".
std::string_view suggest(std::string_view name, bool flag);

}  // namespace ferry::ng
