// SPDX-License-Identifier: Apache-2.0
// Translates options of rtpproxy one by one, in their order.
//
// `translate_rtpproxy` cuts the command line into options. `Translation::take` and `take_long` turn each into
// an option of rtpferryd, or keep its value if several options decide together. `finish` adds those and
// rtpproxy's own defaults, which differ from the daemon's: ports 35000 to 65000, TOS 184, a socket in
// /var/run, and SIGHUP that drains. Options behind `--` come last, so that they count most.
//
// An option that rtpproxy has and the relay cannot keep is an error that says why. Only options that change
// nothing a client could notice are ignored.

#include "tools/rtpferry-rtpproxy/translate.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <string_view>

#include <fmt/format.h>
#include <sched.h>

namespace ferry {

namespace {

using std::string;
using std::string_view;

constexpr string_view kInternal = "internal";
constexpr string_view kExternal = "external";

constexpr string_view kProtocol = R"(Basic version: 20040107
Extension 20050322: several streams in a call, prompts
Extension 20060704: questions for capabilities (VF)
Extension 20071116: another packet time (Z)
Extension 20071218: copies of a stream (C)
Extension 20080403: counters of a session (Q)
Extension 20081102: payload types in U and L
Extension 20081224: notification of time-outs
Extension 20090810: bridging by remote and local address
Extension 20140323: load
Extension 20140617: time-outs that begin anew with the answer
Extension 20141004: counters by name (G)
Extension 20150330: new ports on demand
Extension 20150420: loss and duplicates by sequence number
Extension 20150617: %%CC_SELF%% in notification targets
Extension 20191015: subcommands (&&)
Extension 20200226: end of recording (N)
Extension 20230205: lost packets, hidden DTMF
Extension 20230314: counters and deletion in one
Extension 20230424: longest gap, jitter
Extension 20250523: source port of copies
Extension 20251015: time-out and TOS of a party
Extension 20260306: labels of local addresses
Extension 20260308: both legs in one command
Extension 20260309: a session that hears another one
)";

/// Letters of options with a value, then those without one.
constexpr string_view kWithValue = "l6AsmMtTWrSnLuwpdc";
constexpr string_view kAlone = "fDFbiaPR2vVC";

string lower(string_view text) {
  string small(text);
  std::ranges::transform(small, small.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return small;
}

/// Makes a path absolute: relative ones begin in the folder in which the program is started.
string absolute(const string& path) { return std::filesystem::absolute(path).lexically_normal().string(); }

/// Reads a decimal number, or a hexadecimal one after 0x.
std::optional<long> number_of(string_view text, long least, long most) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size() || number < least || number > most)
    return std::nullopt;
  return number;
}

/// One local address, which `-l`, `-6` and `-A` describe together.
struct Interface {
  string name;
  string address;
  string advertised;
};

class Translation {
 public:
  /// Takes one option by its letter. Options that decide together are kept for `finish`.
  Result<void, string> take(char letter, const string& value) {
    switch (letter) {
      case 'f':
        foreground_ = true;
        return {};
      case 'D':
        // The program would stay in its folder, and look for prompts there. All other paths are made
        // absolute.
        if (const string here = std::filesystem::current_path(); here != "/") add("rtpp-prompts", here);
        return {};
      // It is not needed: there is -u, and control listeners have their allow-list.
      case 'F':
        return {};
      case 'l':
      case '6':
        return take_address(value, letter == '6');
      case 'A':
        advertised_ = value;
        return {};
      case 's':
        sockets_.push_back(value);
        return {};
      case 'm':
      case 'M':
        return take_port(letter, value);
      case 'b':
        return fail(string("-b: ports are always drawn at random, so that nobody can guess the next one"));
      case 't':
        return take_number("tos", "-t", value, 0, 255);
      case 'T':
        return take_number("rtpp-timeout", "-T", value, 1, 31'536'000);
      case 'W':
        return take_number("rtpp-setup-timeout", "-W", value, 1, 31'536'000);
      case 'i':
        add("rtpp-independent-legs", "yes");
        return {};
      case 'r':
        recordings_ = absolute(value);
        return {};
      case 'S':
        spool_ = value;
        return {};
      case 'a':
        add("record-all", "yes");
        return {};
      case 'P':
        add("rtpp-recording", "pcap");
        return {};
      case 'R':
        add("recording-rtcp", "no");
        return {};
      case 'n':
        add("rtpp-notify", value);
        return {};
      case '2':
        return fail(
            string("-2: packets are not sent twice; receivers conceal a lost one, and FEC is for that"));
      case 'L': {
        const auto files = number_of(value, 1, 1L << 30);
        if (!files) return fail(fmt::format("-L: '{}' is no number of files", value));
        start_.open_files = static_cast<unsigned long>(*files);
        return {};
      }
      case 'u': {
        const auto colon = value.find(':');
        add("user", value.substr(0, colon));
        if (colon != string::npos) {
          add("group", value.substr(colon + 1));
          has_group_ = true;
        }
        return {};
      }
      case 'w':
        return take_mode(value);
      case 'p':
        pid_file_ = value;
        return {};
      case 'd':
        return take_log(value);
      case 'c':
        if (value != "fifo" && value != "rr")
          return fail(fmt::format("-c: '{}' is neither fifo nor rr", value));
        start_.scheduler = value == "fifo" ? SCHED_FIFO : SCHED_RR;
        return {};
      case 'v':
        start_.text = kProtocol;
        return {};
      case 'V':
        start_.text = "rtpferry " FERRY_VERSION "\n";
        return {};
      // C prints the kind of clock.
      default:
        start_.text = "monotonic\n";
        return {};
    }
  }

  Result<void, string> take_long(string_view name, const std::optional<string>& value) {
    if (name == "bridge_symmetric") {
      add("rtpp-bridge-symmetric", "yes");
    } else if (name == "force_asymmetric") {
      add("rtpp-asymmetric", "yes");
    } else if (name == "no_resolve" || name == "no_redirect" || name == "overload_prot") {
      // Nothing to do: names are never looked up, nothing is redirected, and overload is always answered.
    } else if (name == "nice") {
      const auto number = value ? number_of(*value, -20, 19) : std::nullopt;
      if (!number) return fail(string("--nice: needs a number from -20 to 19"));
      start_.nice = static_cast<int>(*number);
    } else if (name == "config" || name == "dso") {
      return fail(
          fmt::format("--{}: there are no modules to load here: DTMF is caught by M3, accounting is in "
                      "rtpferryctl and in "
                      "the manifests of recordings; options of rtpferryd may stand behind --",
                      name));
    } else {
      return fail(fmt::format("unknown option --{}", name));
    }
    return {};
  }

  /// Makes the command line of rtpferryd, once all options are known. `more` are the options behind `--`.
  Result<RtpproxyStart, string> finish(std::span<const string> more) {
    if (!start_.text.empty()) return std::move(start_);
    std::vector<string> head = {"--config-file=none", "--sighup=drain"};
    if (auto ok = add_interfaces(head); !ok) return fail(ok.error());
    if (sockets_.empty()) sockets_.emplace_back("unix:/var/run/rtpproxy.sock");
    for (const string& socket : sockets_) {
      const bool is_known = socket.find(':') != string::npos || socket.starts_with('/');
      if (socket.starts_with("stdio") && !foreground_) return fail(string("-s stdio: needs -f"));
      head.push_back("--listen-rtpp=" + (is_known ? socket : "unix:" + socket));
    }
    if (!tos_is_named_) head.emplace_back("--tos=184");
    head.push_back(fmt::format("--port-min={}", ports_[0]));
    head.push_back(fmt::format("--port-max={}", ports_[1]));
    // The owner may connect, and the group that -u names.
    const unsigned mode = mode_ ? *mode_ : has_group_ ? 0775u : 0755u;
    head.push_back(fmt::format("--rtpp-socket-mode={:o}", mode));
    head.push_back(fmt::format("--log-level={}", level_ ? *level_ : foreground_ ? 6 : 4));
    if (foreground_) {
      head.emplace_back("--foreground=yes");
    } else {
      head.emplace_back("--foreground=no");
      head.push_back("--log-facility=" + (facility_.empty() ? "daemon" : facility_));
      head.emplace_back("--log-stderr=no");
    }
    if (!pid_file_.empty() || !foreground_)
      head.push_back("--pidfile=" + (pid_file_.empty() ? "/var/run/rtpproxy.pid" : pid_file_));
    if (!recordings_.empty()) add("recording-dir", recordings_);
    // A relative folder lies in that of the recordings.
    const std::filesystem::path base =
        recordings_.empty() ? std::filesystem::current_path() : std::filesystem::path(recordings_);
    if (!spool_.empty()) add("recording-spool", (base / spool_).lexically_normal().string());
    head.insert(head.end(), arguments_.begin(), arguments_.end());
    head.insert(head.end(), more.begin(), more.end());
    start_.arguments = std::move(head);
    return std::move(start_);
  }

 private:
  void add(string_view name, string_view value) {
    arguments_.push_back(fmt::format("--{}={}", name, value));
    tos_is_named_ = tos_is_named_ || name == "tos";
  }
  Result<void, string> take_number(string_view name, string_view letter, const string& value, long least,
                                   long most) {
    const auto number = number_of(value, least, most);
    if (!number) return fail(fmt::format("{}: '{}' is no number from {} to {}", letter, value, least, most));
    add(name, std::to_string(*number));
    return {};
  }
  Result<void, string> take_port(char letter, const string& value) {
    const auto port = number_of(value, 1, 65535);
    if (!port) return fail(fmt::format("-{}: '{}' is no port", letter, value));
    ports_[letter == 'm' ? 0 : 1] = *port;
    return {};
  }
  Result<void, string> take_log(const string& value) {
    static const std::map<string_view, int> kLevels = {
        {"dbug", 7}, {"info", 6}, {"warn", 4}, {"err", 3}, {"crit", 2}};
    const auto colon = value.find(':');
    const auto level = kLevels.find(lower(string_view(value).substr(0, colon)));
    if (level == kLevels.end())
      return fail(fmt::format("-d: '{}' is none of dbug, info, warn, err, crit", value));
    level_ = level->second;
    if (colon != string::npos) {
      facility_ = lower(string_view(value).substr(colon + 1));
      if (facility_.starts_with("log_")) facility_ = facility_.substr(4);
    }
    return {};
  }
  Result<void, string> take_mode(const string& value) {
    unsigned mode = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), mode, 8);
    if (error != std::errc{} || end != value.data() + value.size() || mode > 0777)
      return fail(fmt::format("-w: '{}' is no octal mode, as 0755", value));
    mode_ = mode;
    return {};
  }
  /// Takes `A`, `A/B`, `/B` or `LABEL@A[=ADVERTISED]`.
  Result<void, string> take_address(const string& value, bool is_v6) {
    if (const auto at = value.find('@'); at != string::npos) {
      const auto equals = value.find('=', at);
      interfaces_.push_back({value.substr(0, at), value.substr(at + 1, equals - at - 1),
                             equals == string::npos ? string() : value.substr(equals + 1)});
      return {};
    }
    const auto slash = value.find('/');
    const string first = value.substr(0, slash);
    const auto real = [&](const string& address) {
      return address == "*" ? (is_v6 ? "::" : "0.0.0.0") : address;
    };
    if (std::ranges::any_of(interfaces_, [&](const Interface& known) {
          return known.name == kInternal && !first.empty() &&
                 (known.address.find(':') != string::npos) == is_v6;
        }))
      return fail(
          fmt::format("-{}: a second address needs a label, as in label@{}", is_v6 ? '6' : 'l', value));
    if (!first.empty()) interfaces_.push_back({string(kInternal), real(first), {}});
    if (slash != string::npos) interfaces_.push_back({string(kExternal), real(value.substr(slash + 1)), {}});
    return {};
  }
  /// Turns addresses into interfaces `internal` and `external`, and bridges them if there are both.
  Result<void, string> add_interfaces(std::vector<string>& to) {
    const auto has = [&](string_view name) {
      return std::ranges::find(interfaces_, name, &Interface::name) != interfaces_.end();
    };
    if (!has(kInternal)) {
      if (has(kExternal)) return fail(string("-l /ADDRESS: there is no internal address"));
      interfaces_.insert(interfaces_.begin(), {string(kInternal), "0.0.0.0", {}});
    }
    // The first interface is the default one.
    std::stable_partition(interfaces_.begin(), interfaces_.end(),
                          [](const Interface& each) { return each.name == kInternal; });
    const auto slash = advertised_.find('/');
    const std::array<string, 2> shown = {advertised_.substr(0, slash),
                                         slash == string::npos ? string() : advertised_.substr(slash + 1)};
    for (Interface& each : interfaces_) {
      if (each.name == kInternal) each.advertised = shown[0];
      if (each.name == kExternal && !shown[1].empty()) each.advertised = shown[1];
    }
    for (const Interface& each : interfaces_) {
      to.push_back(fmt::format("--interface={}/{}{}{}", each.name, each.address,
                               each.advertised.empty() ? "" : "!", each.advertised));
    }
    if (has(kExternal)) to.push_back(fmt::format("--rtpp-bridge={}/{}", kInternal, kExternal));
    return {};
  }

  RtpproxyStart start_;
  std::vector<string> arguments_;
  std::vector<Interface> interfaces_;
  string advertised_;
  std::vector<string> sockets_;
  std::array<long, 2> ports_ = {35000, 65000};
  std::optional<unsigned> mode_;
  bool has_group_ = false;
  bool tos_is_named_ = false;
  bool foreground_ = false;
  string pid_file_;
  /// Folders of finished recordings (absolute) and of those that grow (as given); empty = not named.
  string recordings_;
  string spool_;
  std::optional<int> level_;
  string facility_;
};

}  // namespace

Result<RtpproxyStart, std::string> translate_rtpproxy(std::span<const std::string> arguments) {
  Translation translation;
  std::size_t i = 0;
  // A value may follow its letter at once, or be the next word.
  const auto value_of = [&](string_view rest) -> std::optional<string> {
    if (!rest.empty()) return string(rest);
    if (i + 1 >= arguments.size()) return std::nullopt;
    return arguments[++i];
  };
  for (; i < arguments.size(); ++i) {
    const string_view word = arguments[i];
    if (word == "--") {
      ++i;
      break;
    }
    if (word.starts_with("--")) {
      const auto equals = word.find('=');
      const string_view name = word.substr(2, equals - 2);
      std::optional<string> value;
      if (equals != string_view::npos) value = string(word.substr(equals + 1));
      if (!value && (name == "nice" || name == "config" || name == "dso")) value = value_of({});
      if (auto ok = translation.take_long(name, value); !ok) return fail(ok.error());
      continue;
    }
    if (word.size() < 2 || word[0] != '-') return fail(fmt::format("unexpected argument '{}'", word));
    for (std::size_t at = 1; at < word.size(); ++at) {
      const char letter = word[at];
      const bool has_value = kWithValue.find(letter) != string_view::npos;
      if (!has_value && kAlone.find(letter) == string_view::npos)
        return fail(fmt::format("unknown option -{}", letter));
      std::optional<string> value = string();
      if (has_value) {
        value = value_of(word.substr(at + 1));
        if (!value) return fail(fmt::format("-{} needs a value", letter));
      }
      if (auto ok = translation.take(letter, *value); !ok) return fail(ok.error());
      if (has_value) break;
    }
  }
  return translation.finish(arguments.subspan(std::min(i, arguments.size())));
}

}  // namespace ferry
