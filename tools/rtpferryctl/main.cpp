// SPDX-License-Identifier: Apache-2.0
// The operator's command line. It turns words into a request, asks the daemon over its control socket, and
// prints the reply as a table or as JSON.
//
// `run` takes the commands apart by where they are carried out: those on files first, then help, manual and
// completion, then `doctor`, `top` and `trace` with functions of their own, and all others by `make_request`,
// one question and `print_reply`. The table in command_table.hpp says which options and arguments a command
// has.
//
// Exit status: 0 = done, 1 = the daemon refused or found a fault, 2 = wrong usage, 3 = no daemon answers.

#include "control/log/printable_json.hpp"
#include "control/protocol/cli/command_table.hpp"
#include "relay/base/closest_name.hpp"
#include "tools/rtpferryctl/client.hpp"
#include "tools/rtpferryctl/doctor.hpp"
#include "tools/rtpferryctl/exit_codes.hpp"
#include "tools/rtpferryctl/files.hpp"
#include "tools/rtpferryctl/manual.hpp"
#include "tools/rtpferryctl/migrate.hpp"
#include "tools/rtpferryctl/print.hpp"
#include "tools/rtpferryctl/prompts.hpp"
#include "tools/rtpferryctl/screen.hpp"
#include "tools/rtpferryctl/trace.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace {

using namespace ferry;
using namespace ferry::ctl;
using nlohmann::json;

int usage(std::string_view what) {
  fmt::print(stderr, "rtpferryctl: {} (rtpferryctl --help lists commands and options)\n", what);
  return kExitUsage;
}

/// The command line, cut into its parts.
struct Words {
  std::string command;
  std::vector<std::string> arguments;
  // Names without `--`; the value of a switch is empty.
  std::map<std::string, std::string, std::less<>> options;
  [[nodiscard]] bool has(std::string_view option) const { return options.contains(option); }
  [[nodiscard]] std::string option(std::string_view name, std::string_view otherwise = {}) const {
    const auto found = options.find(name);
    return found == options.end() ? std::string(otherwise) : found->second;
  }
};

Words split_words(std::span<char* const> arguments) {
  Words words;
  for (const std::string_view word : arguments.subspan(1)) {
    if (word.starts_with("--")) {
      const auto equals = std::min(word.find('='), word.size());
      words.options.emplace(word.substr(2, equals - 2), word.substr(std::min(equals + 1, word.size())));
    } else if (word == "-h") {
      words.options.emplace("help", "");
    } else if (words.command.empty()) {
      words.command = word;
    } else {
      words.arguments.emplace_back(word);
    }
  }
  return words;
}

/// Returns a sentence for an option that neither all commands have nor this one; else an empty text.
std::string unknown_option(const Words& words, const cli::CommandRow& row) {
  static constexpr std::string_view kCommon[] = {"json", "socket", "help"};
  for (const auto& [name, value] : words.options) {
    if (std::ranges::find(kCommon, std::string_view(name)) != std::end(kCommon)) continue;
    if (row.arguments.find("--" + name) == std::string_view::npos)
      return fmt::format("{} has no option '--{}'", row.name, name);
  }
  return {};
}

/// Makes the request of a command; returns a sentence if its arguments do not fit.
std::optional<std::string> make_request(const Words& words, json& request) {
  const auto& arguments = words.arguments;
  request = {{"command", words.command}};
  const auto takes = [&](std::initializer_list<const char*> names,
                         std::size_t least) -> std::optional<std::string> {
    if (arguments.size() < least || arguments.size() > names.size())
      return fmt::format("{} takes {}", words.command,
                         names.size() == 0 ? "no arguments" : cli::find_command(words.command)->arguments);
    const char* const* name = names.begin();
    for (const std::string& value : arguments) request[*name++] = value;
    return std::nullopt;
  };
  const std::string& command = words.command;
  if (command == "list") {
    for (const char* name : {"sort", "match", "state", "limit"}) {
      if (words.has(name)) request[name] = words.option(name);
    }
    request["reverse"] = words.has("reverse");
    return takes({}, 0);
  }
  if (command == "terminate" && (words.has("all") || (arguments.size() == 1 && arguments[0] == "all"))) {
    request["all"] = true;
    return std::nullopt;
  }
  if (command == "show" || command == "terminate") return takes({"call_id"}, 1);
  if (command == "explain") {
    request["packets"] = words.has("packets");
    return takes({"call_id"}, 1);
  }
  // The arguments are NAME=VALUE, and the daemon knows the names.
  if (command == "where") {
    if (arguments.size() < 3) return "where needs a CALL-ID, from=ADDRESS:PORT and to=PORT";
    request["call_id"] = arguments[0];
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      const auto equals = arguments[i].find('=');
      if (equals == std::string::npos) return fmt::format("'{}' is no NAME=VALUE", arguments[i]);
      request[arguments[i].substr(0, equals)] = arguments[i].substr(equals + 1);
    }
    return std::nullopt;
  }
  if (command == "record") return takes({"action", "call_id"}, 2);
  if (command == "ports") {
    request["holders"] = words.has("holders");
    return takes({}, 0);
  }
  if (command == "get") return takes({"name"}, 0);
  if (command == "set") return takes({"name", "value"}, 2);
  if (command == "params" || command == "drain") return takes({"what"}, 0);
  if (command == "log") {
    if (arguments.empty() || arguments[0] != "level" || arguments.size() > 3)
      return "log takes level [SUBSYSTEM|CALL-ID] [0-7]";
    // A single digit at the end is a level; anything else names a subsystem or a call.
    const bool is_level = arguments.size() > 1 && arguments.back().size() == 1 &&
                          arguments.back()[0] >= '0' && arguments.back()[0] <= '7';
    if (is_level) request["level"] = arguments.back();
    if (arguments.size() > (is_level ? 2u : 1u)) request["what"] = arguments[1];
    return std::nullopt;
  }
  return takes({}, 0);
}

/// The daemon tells facts, and the checks run here: they also read files of the host that the daemon may not
/// open.
int run_doctor(ctl::Client& client, bool as_json) {
  const auto facts = client.ask({{"command", "facts"}});
  if (!facts) {
    fmt::print(stderr, "rtpferryctl: no answer on {}: {}\n", client.path(), client.error());
    return kExitNoDaemon;
  }
  const auto checks = ctl::examine(*facts, ctl::Host());
  json list = json::array();
  bool has_failed = false;
  for (const ctl::Check& check : checks) {
    has_failed = has_failed || check.health == ctl::Health::kFail;
    list.push_back({{"name", check.name},
                    {"health", to_string(check.health)},
                    {"finding", check.finding},
                    {"advice", check.advice}});
    if (as_json) continue;
    fmt::print("{:<5} {:<34} {}\n", to_string(check.health), check.name, check.finding);
    if (!check.advice.empty()) fmt::print("      {:<34} {}\n", "", check.advice);
  }
  if (as_json) fmt::print("{}\n", to_ascii({{"checks", std::move(list)}}, 2));
  return has_failed ? kExitRefused : kExitOk;
}

int run(std::span<char* const> arguments) {
  if (arguments.size() > 1) {
    const std::string_view command = arguments[1];
    const std::vector<std::string> rest(arguments.begin() + 2, arguments.end());
    const bool wants_help = std::ranges::find(rest, "--help") != rest.end();
    if (command == "convert" && !wants_help) return ctl::run_convert(rest);
    if (command == "makeprompt" && !wants_help) return ctl::run_makeprompt(rest);
    if (command == "migrate" && !wants_help) return ctl::run_migrate(rest);
    if (command == "decrypt" && !wants_help) return ctl::run_decrypt(rest);
  }
  const Words words = split_words(arguments);
  if (words.has("help")) {
    fmt::print("{}", ctl::help_text());
    return kExitOk;
  }
  if (words.command.empty()) return usage("no command");
  const cli::CommandRow* row = cli::find_command(words.command);
  if (row == nullptr) {
    const std::string_view close = closest_name(words.command, cli::kCommandRows, &cli::CommandRow::name);
    return usage(close.empty()
                     ? fmt::format("unknown command '{}'", words.command)
                     : fmt::format("unknown command '{}': did you mean '{}'?", words.command, close));
  }
  if (auto wrong = unknown_option(words, *row); !wrong.empty()) return usage(wrong);
  if (words.command == "manual") {
    fmt::print("{}", ctl::manual_page());
    return kExitOk;
  }
  if (words.command == "completion") {
    if (words.arguments != std::vector<std::string>{"bash"}) return usage("completion is made for bash");
    fmt::print("{}", ctl::bash_completion());
    return kExitOk;
  }
  const bool for_people = !words.has("json") || words.command == "top";  // the screen has no other form
  ctl::Client client(words.option("socket", "/run/rtpferry/control.sock"), for_people);
  if (words.command == "doctor") return run_doctor(client, words.has("json"));
  if (words.command == "top") {
    if (!words.arguments.empty()) return usage("top takes options only");
    const double interval = std::strtod(words.option("interval", "1").c_str(), nullptr);
    return ctl::run_top(
        client, {words.option("sort", "severity"), std::clamp(interval, 0.1, 60.0), words.has("once")});
  }
  if (words.command == "trace") {
    if (words.arguments.size() != 1) return usage("trace needs a CALL-ID");
    return ctl::run_trace(
        client, {words.arguments[0], std::strtoull(words.option("count", "100").c_str(), nullptr, 10),
                 std::strtoll(words.option("seconds", "30").c_str(), nullptr, 10), words.option("pcap"),
                 words.has("json")});
  }
  json request;
  if (const auto wrong = make_request(words, request)) return usage(*wrong);
  const auto reply = client.ask(request);
  if (!reply) {
    fmt::print(stderr, "rtpferryctl: no answer on {}: {}\n", client.path(), client.error());
    return kExitNoDaemon;
  }
  if (words.has("json")) {
    fmt::print("{}\n", to_ascii(*reply, 2));
    return reply->contains("error") ? kExitRefused : kExitOk;
  }
  if (reply->contains("error")) {
    fmt::print(stderr, "rtpferryctl: {}\n", (*reply)["error"].get<std::string>());
    return kExitRefused;
  }
  if (!ctl::print_reply(words.command, *reply)) fmt::print("{}\n", to_ascii(*reply, 2));
  // Scripts see a fault of a call in the exit status.
  return kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv, static_cast<std::size_t>(argc)});
  } catch (const std::exception& e) {
    fmt::print(stderr, "rtpferryctl: {}\n", e.what());
    return kExitRefused;
  }
}
