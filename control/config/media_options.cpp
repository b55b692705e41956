// SPDX-License-Identifier: Apache-2.0
// Options of what is played to parties: files, tones.

#include "control/config/config.hpp"
#include "control/config/option_row.hpp"
#include "control/config/readers.hpp"

namespace ferry {

namespace {

using std::string;
using std::string_view;

string read_numbers(Config& config, string_view text) {
  std::vector<string> folders;
  string wrong = add_folder(text, folders);
  if (wrong.empty()) config.media_numbers = folders.front();
  return wrong;
}

string add_tone(Config& config, string_view text) {
  const auto equals = text.find('=');
  if (equals == string_view::npos || equals == 0 || equals + 1 == text.size())
    return fmt::format("'{}' is no NAME=CADENCE", text);
  config.tones.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  return {};
}

// clang-format off
constexpr OptionRow kMediaRows[] = {
  {"media-files", 0, OptionKind::kList, [](Config& c, string_view v) { return add_folder(v, c.media_files); }, "DIR", "where files may be that `play media` and music on hold play: WAV, FLAC, Ogg, MP3", [](Config& c) { c.media_files.clear(); }},
  {"media-numbers", 0, OptionKind::kValue, read_numbers, "DIR", "where the files NUMBER.wav are that a db-id means (default: none)"},
  {"media-cache", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number(v, c.media_cache_mib, 1u, 65536u); }, "MIB", "encoded sound that is kept for the next listener (default 64)"},
  {"tone", 0, OptionKind::kList, add_tone, "NAME=CADENCE", "another cadence for a tone, as ringback/cn=450/1000,0/4000: frequencies (a+b, a*b, 0 = silence), @dBm0, /ms", [](Config& c) { c.tones.clear(); }},
  {"tone-country", 0, OptionKind::kValue, [](Config& c, string_view v) { c.tone_country = v; return string(); }, "COUNTRY", "country of tones that name none: at, au, be, br, ca, ch, cn, de, es, fr, gb, in, it, jp, kr, mx, nl, nz, ru, us (default), za"},
};
// clang-format on

}  // namespace

std::span<const OptionRow> media_option_rows() { return kMediaRows; }

}  // namespace ferry
