// SPDX-License-Identifier: Apache-2.0
// Shows the reply to `top` again and again.
//
// Each turn draws the picture, waits for a key at most one interval, and asks the daemon again. Rates come
// from the difference of two replies, so a turn that a key ended does not renew them. Enter opens one call,
// which is shown by `explain` and `show` until Escape closes it.

#include "tools/rtpferryctl/screen.hpp"

#include "control/diagnose/causes.hpp"
#include "tools/rtpferryctl/exit_codes.hpp"

#include <algorithm>
#include <array>
#include <clocale>
#include <map>
#include <string_view>
#include <vector>

#include <curses.h>
#include <fmt/format.h>

namespace ferry::ctl {

using nlohmann::json;

namespace {

constexpr int kHeadLines = 3;
/// Widths of the first columns: a terminal of 80 characters must show the whole verdict.
constexpr std::size_t kIdWidth = 34;
constexpr std::size_t kAgeWidth = 8;
constexpr std::size_t kRateWidth = 7;
constexpr std::size_t kHearsWidth = 7;
constexpr std::size_t kVerdictWidth = 20;
static_assert(kIdWidth + 1 + kAgeWidth + 1 + kRateWidth + 1 + kHearsWidth + 1 + kVerdictWidth <= 80);
static_assert(std::ranges::all_of(kCauseRows,
                                  [](const CauseRow& row) { return row.name.size() <= kVerdictWidth; }),
              "no verdict has a longer name");
enum Colour : short { kPlain = 0, kBad = 1, kHead = 2, kGood = 3, kPoor = 4 };

struct SortKey {
  int key;
  std::string_view name;
};
constexpr std::array<SortKey, 7> kSortKeys = {{{'s', "severity"},
                                               {'l', "loss"},
                                               {'p', "packets"},
                                               {'r', "refused"},
                                               {'j', "jitter"},
                                               {'a', "age"},
                                               {'i', "idle"}}};

/// Rates, computed from two replies.
class Rates {
 public:
  void take(const json& reply) {
    const double at = reply["at_s"].get<double>();
    seconds_ = at - at_;
    at_ = at;
    before_ = std::exchange(now_, {});
    for (const json& call : reply["calls"]) now_[call["call_id"]] = call["packets"].get<std::uint64_t>();
    total_before_ = std::exchange(total_, reply["packets"].get<std::uint64_t>());
    kernel_before_ = std::exchange(kernel_, reply["kernel_packets"].get<std::uint64_t>());
  }
  [[nodiscard]] double of(const std::string& call) const {
    const auto then = before_.find(call);
    const auto now = now_.find(call);
    return then == before_.end() || now == now_.end() ? 0 : per_second(then->second, now->second);
  }
  [[nodiscard]] double total() const {
    return before_.empty() && total_before_ == 0 ? 0 : per_second(total_before_, total_);
  }
  [[nodiscard]] double kernel() const { return total_before_ == 0 ? 0 : per_second(kernel_before_, kernel_); }

 private:
  [[nodiscard]] double per_second(std::uint64_t then, std::uint64_t now) const {
    return seconds_ <= 0 || now < then ? 0 : static_cast<double>(now - then) / seconds_;
  }
  std::map<std::string, std::uint64_t> before_;
  std::map<std::string, std::uint64_t> now_;
  std::uint64_t total_before_ = 0, total_ = 0, kernel_before_ = 0, kernel_ = 0;
  double at_ = 0;
  double seconds_ = 0;
};

/// Cuts a UTF-8 text to at most so many octets, without half a character at the end.
std::string whole_characters(const std::string& text, std::size_t octets) {
  while (octets > 0 && (static_cast<unsigned char>(text[octets]) & 0xc0) == 0x80) --octets;
  return text.substr(0, octets);
}

struct Line {
  std::string text;
  Colour colour = kPlain;
};

std::string age(double seconds) {
  const auto s = static_cast<long>(seconds);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string first_columns(std::string_view id, std::string_view call_age, std::string_view rate,
                          std::string_view hears, std::string_view verdict) {
  return fmt::format("{:<{}} {:>{}} {:>{}} {:<{}} {:<{}}", id, kIdWidth, call_age, kAgeWidth, rate,
                     kRateWidth, hears, kHearsWidth, verdict, kVerdictWidth);
}

std::vector<Line> head_lines(const json& reply, const Rates& rates, const std::string& sort) {
  const double total = rates.total();
  return {
      {fmt::format("{}  calls {}  packets/s {:.0f}  in the kernel {:.0f} %  refused {}",
                   reply["software"].get<std::string>(), reply["total"].get<std::size_t>(), total,
                   total > 0 ? 100.0 * rates.kernel() / total : 0.0, reply["refused"].get<std::uint64_t>()),
       kHead},
      {fmt::format(
           "sorted by {} (s severity, l loss, p packets, r refused, j jitter, a age, i idle); Enter looks "
           "into a call, q leaves",
           sort),
       kPlain},
      {fmt::format("{} {:>7} {:>7} {:>9} {:>8} {:>8} {}",
                   first_columns("CALL-ID", "AGE", "PACK/S", "HEARS", "VERDICT"), "LOSS %", "10 s %",
                   "JITTER ms", "REFUSED", "LAST", "STATE"),
       kHead}};
}

/// Returns a line about the requests that were refused since the start, by reason, the newest first. Empty if
/// there were none.
std::string refused_line(const json& reply) {
  std::string text;
  if (!reply.contains("refused_requests")) return text;  // an older daemon
  for (const json& each : reply["refused_requests"])
    text += fmt::format("{}{} {} ({} ago)", text.empty() ? "refused requests: " : ", ",
                        each["count"].get<std::uint64_t>(), each["reason"].get<std::string>(),
                        age(each["age_s"].get<double>()));
  return text;
}

/// A deleted call troubles nobody any more.
Colour colour_of(const json& call) {
  const auto severity = call["severity"].get<std::string>();
  if (call["deleting"].get<bool>() || severity == "fine") return kPlain;
  if (severity == "fault") return kBad;
  return call["hears"] == "some" ? kPoor : kPlain;
}

Line call_line(const json& call, const Rates& rates) {
  std::string id = call["call_id"].get<std::string>();
  if (id.size() > kIdWidth) id = whole_characters(id, kIdWidth - 3) + "...";
  const std::string state = call["deleting"].get<bool>() ? "deleting"
                            : call["answered"].get<bool>()
                                ? (call["kernel_streams"].get<std::size_t>() > 0 ? "kernel" : "answered")
                                : "offered";
  return {fmt::format("{} {:>7.2f} {:>7.1f} {:>9.1f} {:>8} {:>8} {}",
                      first_columns(id, age(call["age_s"].get<double>()),
                                    fmt::format("{:.0f}", rates.of(call["call_id"])),
                                    call["hears"].get<std::string>(), call["verdict"].get<std::string>()),
                      call["loss_percent"].get<double>(), call["loss_10s_percent"].get<double>(),
                      call["jitter_ms"].get<double>(), call["refused"].get<std::uint64_t>(),
                      call.contains("last_packet_age_s")
                          ? fmt::format("{:.1f}s", call["last_packet_age_s"].get<double>())
                          : std::string("never"),
                      state),
          colour_of(call)};
}

/// Returns what `explain` and `show` say about one call.
std::vector<Line> call_lines(Client& client, const std::string& call_id) {
  std::vector<Line> lines = {{call_id + "  (Esc goes back)", kHead}};
  const auto reply = client.ask({{"command", "explain"}, {"call_id", call_id}});
  if (!reply || reply->contains("error")) {
    lines.push_back({reply ? (*reply)["error"].get<std::string>() : std::string("no answer"), kBad});
    return lines;
  }
  for (const json& verdict : (*reply)["verdicts"]) {
    const auto severity = verdict["severity"].get<std::string>();
    lines.push_back({fmt::format("{} {} #{}: {}", verdict["direction"].get<std::string>(),
                                 verdict["leg"].get<std::string>(), verdict["media"].get<unsigned>(),
                                 verdict["sentence"].get<std::string>()),
                     severity == "fault"  ? kBad
                     : severity == "fine" ? kGood
                                          : kPlain});
    for (const json& line : verdict["evidence"]) lines.push_back({"    " + line.get<std::string>(), kPlain});
  }
  return lines;
}

/// Takes over the terminal, and restores it at its end.
class Terminal {
 public:
  Terminal() {
    std::setlocale(LC_ALL, "");
    initscr();
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    set_escdelay(50);
    if (has_colors() == TRUE) {
      start_color();
      use_default_colors();
      init_pair(kBad, COLOR_RED, -1);
      init_pair(kHead, COLOR_CYAN, -1);
      init_pair(kGood, COLOR_GREEN, -1);
      init_pair(kPoor, COLOR_YELLOW, -1);
    }
  }
  ~Terminal() { endwin(); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  static void draw(int row, const Line& line, bool is_chosen) {
    if (row >= LINES) return;
    const attr_t look = (line.colour == kPlain ? 0 : COLOR_PAIR(line.colour)) | (is_chosen ? A_REVERSE : 0);
    attron(look);
    mvaddnstr(row, 0, fmt::format("{:<{}}", line.text, std::max(0, COLS)).c_str(), COLS);
    attroff(look);
  }
};

int no_daemon(const Client& client) {
  fmt::print(stderr, "rtpferryctl: no answer on {}: {}\n", client.path(), client.error());
  return kExitNoDaemon;
}

}  // namespace

int run_top(Client& client, const TopOptions& options) {
  std::string sort = options.sort;
  Rates rates;
  const auto look = [&] { return client.ask({{"command", "top"}, {"sort", sort}}); };
  auto reply = look();
  if (!reply) return no_daemon(client);
  if (reply->contains("error")) {
    fmt::print(stderr, "rtpferryctl: {}\n", (*reply)["error"].get<std::string>());
    return kExitRefused;
  }
  rates.take(*reply);
  if (options.once) {
    for (const Line& line : head_lines(*reply, rates, sort)) fmt::print("{}\n", line.text);
    for (const json& call : (*reply)["calls"]) fmt::print("{}\n", call_line(call, rates).text);
    if (const std::string refused = refused_line(*reply); !refused.empty()) fmt::print("{}\n", refused);
    return 0;
  }
  {
    const Terminal terminal;
    // getch waits at most one interval for a key.
    timeout(static_cast<int>(options.interval_s * 1000));
    std::size_t chosen = 0;
    // The call that is open; empty = the list is shown.
    std::string inside;
    while (reply) {
      const auto& calls = (*reply)["calls"];
      erase();
      if (inside.empty()) {
        int row = 0;
        for (const Line& line : head_lines(*reply, rates, sort)) Terminal::draw(row++, line, false);
        chosen = calls.empty() ? 0 : std::min(chosen, calls.size() - 1);
        const std::string refused = refused_line(*reply);
        const int bottom = refused.empty() ? LINES : LINES - 1;
        const auto room = static_cast<std::size_t>(std::max(1, bottom - kHeadLines));
        // Scrolls so far that the chosen call is the last one on the screen.
        const std::size_t first = chosen >= room ? chosen - room + 1 : 0;
        for (std::size_t i = first; i < calls.size() && row < bottom; ++i)
          Terminal::draw(row++, call_line(calls[i], rates), i == chosen);
        if (!refused.empty()) Terminal::draw(std::max(row, bottom), {refused, kPoor}, false);
      } else {
        int row = 0;
        for (const Line& line : call_lines(client, inside)) Terminal::draw(row++, line, false);
      }
      refresh();
      const int key = getch();
      const auto sort_key = std::ranges::find(kSortKeys, key, &SortKey::key);
      if (key == 'q') return 0;
      if (key == 27 || key == KEY_LEFT || key == KEY_BACKSPACE) inside.clear();
      if (sort_key != kSortKeys.end()) sort = sort_key->name;
      if (key == KEY_DOWN) ++chosen;
      if (key == KEY_UP && chosen > 0) --chosen;
      if (key == KEY_NPAGE) chosen += static_cast<std::size_t>(LINES);
      if (key == KEY_PPAGE) chosen -= std::min(chosen, static_cast<std::size_t>(LINES));
      if ((key == '\n' || key == KEY_ENTER || key == KEY_RIGHT) && !calls.empty())
        inside = calls[chosen]["call_id"];
      reply = look();
      // No key was pressed, so one interval has passed since the last reply.
      if (reply && !reply->contains("error") && key == ERR) rates.take(*reply);
    }
  }
  return no_daemon(client);
}

}  // namespace ferry::ctl
