// SPDX-License-Identifier: Apache-2.0
// Makes tones of texts. The built-in table has texts for many countries (tones of the kinds of ITU-T E.180,
// as their operators play them), so that what a script or an option may write is what the table has.
//
// The phase of a frequency follows from the number of the sample since the beginning, not from the burst. So
// it runs on through silence, and a turn that is played again goes on where it was if it lasts whole seconds.
#include "codecs/tone/cadence.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

namespace ferry {

namespace {

using namespace std::chrono_literals;

constexpr double kHighestHertz = 3900;
constexpr double kLowestLevel = -60;
constexpr std::size_t kMostBursts = 32;
constexpr std::int64_t kLongestMs = 600'000;
constexpr double kDepth = 0.9;
constexpr Duration kRamp = 5ms;
/// Peak of a sine of 0 dBm0 in 16-bit samples (ITU-T G.711: full load is 3.14 dBm0).
constexpr double kPeak = 22'500;

/// The tones of one country. Empty = it has none of its own.
struct CountryRow {
  std::string_view country;
  std::string_view dial;
  std::string_view ringback;
  std::string_view busy;
  std::string_view congestion;
};
// clang-format off
constexpr CountryRow kCountries[] = {
  {"cn", "450", "450/1000,0/4000", "450/350,0/350", "450/700,0/700"},
  {"us", "350+440", "440+480/2000,0/4000", "480+620/500,0/500", "480+620/250,0/250"},
  {"ca", "350+440", "440+480/2000,0/4000", "480+620/500,0/500", "480+620/250,0/250"},
  {"gb", "350+440", "400+450/400,0/200,400+450/400,0/2000", "400/375,0/375", "400/400,0/350,400/225,0/525"},
  {"de", "425", "425/1000,0/4000", "425/480,0/480", "425/240,0/240"},
  {"at", "420", "420/1000,0/5000", "420/400,0/400", "420/200,0/200"},
  {"ch", "425", "425/1000,0/4000", "425/500,0/500", "425/200,0/200"},
  {"fr", "440", "440/1500,0/3500", "440/500,0/500", "440/250,0/250"},
  {"it", "425/200,0/200,425/600,0/1000", "425/1000,0/4000", "425/500,0/500", "425/200,0/200"},
  {"es", "425", "425/1500,0/3000", "425/200,0/200", "425/200,0/200,425/200,0/200,425/200,0/600"},
  {"nl", "425", "425/1000,0/4000", "425/500,0/500", "425/250,0/250"},
  {"be", "425", "425/1000,0/3000", "425/500,0/500", "425/167,0/167"},
  {"ru", "425", "425/1000,0/4000", "425/350,0/350", "425/175,0/175"},
  {"jp", "400", "400*16/1000,0/2000", "400/500,0/500", "400/500,0/500"},
  {"in", "400*25", "400*25/400,0/200,400*25/400,0/2000", "400/750,0/750", "400/250,0/250"},
  {"au", "413+438", "413+438/400,0/200,413+438/400,0/2000", "425/375,0/375", "425/375,0/375,425@-20/375,0/375"},
  {"nz", "400", "400+450/400,0/200,400+450/400,0/2000", "400/500,0/500", "400/250,0/250"},
  {"br", "425", "425/1000,0/4000", "425/250,0/250", "425/250,0/250,425/750,0/250"},
  {"mx", "425", "425/1000,0/4000", "425/250,0/250", "425/250,0/250"},
  {"za", "400*33", "400*33/400,0/200,400*33/400,0/2000", "400/500,0/500", "400/250,0/250"},
  {"kr", "350+440", "440+480/1000,0/2000", "480+620/500,0/500", "480+620/300,0/200"},
};
/// Tones that are the same everywhere but in the countries that have a row of their own.
constexpr std::pair<std::string_view, std::string_view> kOthers[] = {
  {"silence", "0"},
  {"sit", "950/330,1400/330,1800/330,0/1000"},
  {"sit/cn", "450/100,0/100,450/100,0/100,450/100,0/400"},
  {"howler", "1400+2060+2450+2600@-6/100,0/100"},
  {"howler/cn", "950@-20/2000,950@-15/2000,950@-10/2000,950@-5/2000,950@-3/12000"},
  {"record", "1400/400,0/14600"},
  {"record/cn", "950/400,0/14600"},
};
// clang-format on

/// Other names of tones.
std::string_view plain_word(std::string_view word) {
  if (word == "ring" || word == "ringing" || word == "ring-back") return "ringback";
  if (word == "special-information" || word == "info") return "sit";
  if (word == "reorder") return "congestion";
  return word;
}

std::string_view built_in(std::string_view word, std::string_view country) {
  const auto named = [&](std::string_view name) -> std::string_view {
    const auto* found =
        std::ranges::find(kOthers, name, &std::pair<std::string_view, std::string_view>::first);
    return found == std::end(kOthers) ? std::string_view() : found->second;
  };
  if (const std::string_view own = named(fmt::format("{}/{}", word, country)); !own.empty()) return own;
  if (const std::string_view any = named(word); !any.empty()) return any;
  const auto* row = std::ranges::find(kCountries, country, &CountryRow::country);
  if (row == std::end(kCountries)) return {};
  if (word == "dial") return row->dial;
  if (word == "ringback") return row->ringback;
  if (word == "busy") return row->busy;
  return word == "congestion" ? row->congestion : std::string_view();
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Reads `400`, `350+440`, `400*25` or `0`.
bool read_frequencies(std::string_view text, ToneBurst& burst) {
  if (const auto star = text.find('*'); star != std::string_view::npos) {
    const auto by = number_of<double>(text.substr(star + 1));
    if (!by || *by <= 0 || *by > kHighestHertz) return false;
    burst.modulation_hertz = *by;
    text = text.substr(0, star);
  }
  for (std::size_t n = 0; n < burst.hertz.size(); ++n) {
    const auto plus = text.find('+');
    const auto hertz = number_of<double>(text.substr(0, plus));
    const bool is_silence = hertz && *hertz == 0 && n == 0 && plus == std::string_view::npos;
    if (is_silence) return burst.modulation_hertz == 0;
    if (!hertz || !(*hertz >= 1) || *hertz > kHighestHertz) return false;
    burst.hertz[n] = *hertz;
    if (plus == std::string_view::npos) return n == 0 || burst.modulation_hertz == 0;
    text = text.substr(plus + 1);
  }
  return false;
}

/// Gives each frequency its share of the level of the sum.
void share_level(ToneBurst& burst, double level) {
  const auto count = std::ranges::count_if(burst.hertz, [](double hertz) { return hertz != 0; });
  burst.level_dbm0.fill(count == 0 ? level : level - 10 * std::log10(static_cast<double>(count)));
}

}  // namespace

Duration Cadence::turn() const noexcept {
  Duration all{0};
  for (const ToneBurst& burst : bursts) all += burst.length;
  return all;
}

Result<Cadence, std::string> parse_cadence(std::string_view text) {
  Cadence cadence;
  while (true) {
    const auto comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    const auto slash = word.find('/');
    const auto at = word.substr(0, slash).find('@');
    ToneBurst burst;
    if (!read_frequencies(word.substr(0, std::min(at, slash)), burst))
      return fail(fmt::format("'{}' has no frequencies of 1 to 3900 Hz", word));
    double level = kToneLevel;
    if (at != std::string_view::npos) {
      const auto said = number_of<double>(word.substr(0, slash).substr(at + 1));
      if (!said || !(*said >= kLowestLevel) || *said > 0)
        return fail(fmt::format("'{}' has no level of -60 to 0 dBm0", word));
      level = *said;
    }
    share_level(burst, level);
    if (slash != std::string_view::npos) {
      const auto ms = number_of<std::int64_t>(word.substr(slash + 1));
      if (!ms || *ms < 1 || *ms > kLongestMs)
        return fail(fmt::format("'{}' has no time of 1 to {} ms", word, kLongestMs));
      burst.length = std::chrono::milliseconds(*ms);
    }
    cadence.bursts.push_back(burst);
    if (comma == std::string_view::npos) break;
    text = text.substr(comma + 1);
    if (cadence.bursts.size() == kMostBursts) return fail(fmt::format("more than {} bursts", kMostBursts));
  }
  const bool has_endless =
      std::ranges::any_of(cadence.bursts, [](const ToneBurst& burst) { return burst.length == Duration{0}; });
  if (has_endless && cadence.bursts.size() > 1)
    return fail(std::string("a burst without a time must be the only one"));
  return cadence;
}

Result<void, std::string> ToneTable::define(std::string_view name, std::string_view cadence) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9'))
    return fail(fmt::format("'{}' is no name of a tone", name));
  if (auto read = parse_cadence(cadence); !read) return fail(std::move(read.error()));
  own_.insert_or_assign(std::string(name), std::string(cadence));
  return {};
}

std::optional<Cadence> ToneTable::find(std::string_view name) const {
  if (name.empty()) return std::nullopt;
  if (name.front() >= '0' && name.front() <= '9') {
    auto read = parse_cadence(name);
    return read ? std::optional(std::move(*read)) : std::nullopt;
  }
  const auto slash = name.find('/');
  const std::string_view word = plain_word(name.substr(0, slash));
  const std::string_view country =
      slash == std::string_view::npos ? std::string_view(country_) : name.substr(slash + 1);
  for (const std::string& key : {std::string(name), fmt::format("{}/{}", word, country), std::string(word)}) {
    if (const auto own = own_.find(key); own != own_.end()) return *parse_cadence(own->second);
  }
  const std::string_view text = built_in(word, country);
  return text.empty() ? std::nullopt : std::optional(*parse_cadence(text));
}

bool is_tone_country(std::string_view country) noexcept {
  return std::ranges::find(kCountries, country, &CountryRow::country) != std::end(kCountries);
}

Cadence dtmf_cadence(std::uint8_t event, double level_dbm0, Duration length) {
  constexpr std::array<double, 4> kLow = {697, 770, 852, 941};
  constexpr std::array<double, 4> kHigh = {1209, 1336, 1477, 1633};
  /// Where each digit stands on the keys: row times 4 plus column.
  constexpr std::array<std::uint8_t, 16> kPlaces = {13, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 14, 3, 7, 11, 15};
  const std::uint8_t place = kPlaces[event % kPlaces.size()];
  ToneBurst burst;
  burst.hertz = {kLow[place / 4u], kHigh[place % 4u]};
  burst.level_dbm0 = {level_dbm0 - 1, level_dbm0 + 1};
  burst.length = length;
  return {{burst}};
}

CadenceSource::CadenceSource(Cadence cadence, std::uint32_t rate_hz)
    : cadence_(std::move(cadence)), rate_hz_(rate_hz) {
  size_ = samples_of(cadence_.bursts.front().length);
}

std::uint64_t CadenceSource::samples_of(Duration time) const noexcept {
  return static_cast<std::uint64_t>(time.count()) * rate_hz_ / 1'000'000'000u;
}

double CadenceSource::sample() const noexcept {
  const ToneBurst& burst = cadence_.bursts[burst_];
  const double time = static_cast<double>(at_) / rate_hz_;
  double sum = 0;
  for (std::size_t i = 0; i < burst.hertz.size() && burst.hertz[i] != 0; ++i)
    sum += std::pow(10, burst.level_dbm0[i] / 20) * std::sin(2 * std::numbers::pi * burst.hertz[i] * time);
  if (burst.modulation_hertz != 0) {
    // The loudest moment has the level of the tone alone.
    const double wave = std::sin(2 * std::numbers::pi * burst.modulation_hertz * time);
    sum *= (1 + kDepth * wave) / (1 + kDepth);
  }
  if (size_ == 0) return sum * kPeak;
  const double ramp = static_cast<double>(std::max<std::uint64_t>(1, samples_of(kRamp)));
  const double edge = static_cast<double>(std::min(made_, size_ - 1 - made_)) / ramp;
  return sum * kPeak * std::min(1.0, edge);
}

void CadenceSource::next(std::span<std::int16_t> out) noexcept {
  for (std::int16_t& each : out) {
    each = static_cast<std::int16_t>(std::lround(std::clamp(sample(), -32'768.0, 32'767.0)));
    ++at_;
    if (size_ == 0 || ++made_ < size_) continue;
    made_ = 0;
    burst_ = (burst_ + 1) % cadence_.bursts.size();
    size_ = samples_of(cadence_.bursts[burst_].length);
  }
}

}  // namespace ferry
