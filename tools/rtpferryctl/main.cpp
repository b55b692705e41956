// The operator's command line: asks the daemon over its control socket and prints tables or JSON.

#include "tools/rtpferryctl/files.hpp"
#include "tools/rtpferryctl/prompts.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using nlohmann::json;

constexpr int kExitOk = 0;
constexpr int kExitRefused = 1;
constexpr int kExitUsage = 2;
constexpr int kExitNoDaemon = 3;

constexpr std::string_view kHelp =
    "Usage: rtpferryctl [--socket=PATH] [--json] COMMAND\n\n"
    "  list                  calls, oldest first\n"
    "  show CALL-ID          one call: legs, addresses, latch, counters, drops\n"
    "  terminate CALL-ID     end a call now\n"
    "  terminate --all       end every call now\n"
    "  stats                 totals, drops by reason, control counters\n"
    "  record start|stop|pause CALL-ID\n"
    "                        recording of one call\n"
    "  ports                 use of the port ranges\n"
    "  engines               what moves the media, in the kernel and beside it, and why\n"
    "  unknown-flags         words of NG clients that nobody knows, with suggestions\n"
    "  version               version of the daemon\n\n"
    "Without a daemon:\n"
    "{}{}\n"
    "Exit status: 0 done, 1 refused (no such call), 2 wrong usage, 3 no daemon.\n";

std::optional<json> ask(const std::string& path, const json& request) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  path.copy(address.sun_path, sizeof address.sun_path - 1);  // the rest is zero
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  std::string reply;
  const std::string line = request.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size())) {
    char buffer[16384];
    for (ssize_t n = 0; reply.find('\n') == std::string::npos && (n = read(fd, buffer, sizeof buffer)) > 0;) {
      reply.append(buffer, static_cast<std::size_t>(n));
    }
  }
  close(fd);
  json parsed = json::parse(reply, nullptr, false);
  if (parsed.is_discarded()) return std::nullopt;
  return parsed;
}

std::string age(const json& call, const char* key) {
  return call.contains(key) ? fmt::format("{:.1f}s", call[key].get<double>()) : std::string("-");
}

void print_list(const json& reply) {
  fmt::print("{:<40} {:>9} {:>8} {:>10} {:<9} {}\n", "CALL-ID", "AGE", "MEDIAS", "LAST RTP", "STATE", "TAGS");
  for (const json& call : reply["calls"]) {
    std::string tags;
    for (const json& tag : call["tags"]) {
      const auto text = tag.get<std::string>();
      tags += (tags.empty() ? "" : " ") + (text.empty() ? std::string("(none)") : text);
    }
    const char* state = call["deleting"].get<bool>()   ? "deleting"
                        : call["answered"].get<bool>() ? "answered"
                                                       : "offered";
    fmt::print("{:<40} {:>9} {:>8} {:>10} {:<9} {}\n", call["call_id"].get<std::string>(), age(call, "age_s"),
               call["medias"].get<int>(), age(call, "last_packet_age_s"), state, tags);
  }
}

void print_stream(const json& stream) {
  fmt::print("      {:<5} advertised {:<24} learned {:<24} latch {} (rank {})\n",
             stream["component"].get<std::string>(), stream["advertised"].get<std::string>(),
             stream.value("learned", ""), stream.value("latch_state", "-"), stream.value("latch_rank", 0));
  fmt::print(
      "            in {} packets {} bytes {} refused, out {} packets {} bytes {} failed, last packet {}\n",
      stream["in"]["packets"].get<std::uint64_t>(), stream["in"]["bytes"].get<std::uint64_t>(),
      stream["in"]["errors"].get<std::uint64_t>(), stream["out"]["packets"].get<std::uint64_t>(),
      stream["out"]["bytes"].get<std::uint64_t>(), stream["out"]["errors"].get<std::uint64_t>(),
      age(stream, "last_packet_age_s"));
}

void print_srtp(const json& srtp) {
  if (!srtp.contains("suite")) {
    fmt::print("      SRTP: {}\n", srtp["state"].get<std::string>());
    return;
  }
  fmt::print("      SRTP: {} in, {} out, keyed by {}{}{}; not authentic {}, replays {}\n",
             srtp["suite"].get<std::string>(), srtp["suite_out"].get<std::string>(),
             srtp["keyed_by"].get<std::string>(), srtp["opportunistic"].get<bool>() ? " (OSRTP)" : "",
             srtp["keys_of_other_side"].get<bool>() ? ", with the keys of the other side" : "",
             srtp["authentication_failures"].get<std::uint64_t>(), srtp["replays"].get<std::uint64_t>());
  for (const json& stream : srtp["received"]) {
    fmt::print("        SSRC {:08x}: ROC {}, sequence {}, SRTCP index {}\n",
               stream["ssrc"].get<std::uint32_t>(), stream["roll_over_counter"].get<std::uint64_t>(),
               stream["sequence"].get<std::uint64_t>(), stream["rtcp_index"].get<std::uint64_t>());
  }
}

void print_media(const json& media) {
  fmt::print("    media {} {} {}{}\n", media["index"].get<int>(), media["type"].get<std::string>(),
             media["protocol"].get<std::string>(), media["rejected"].get<bool>() ? " (rejected)" : "");
  if (media.contains("local")) {
    const json& local = media["local"];
    fmt::print("      local {} ports {}/{}, advertised as {}, latch policy {}{}\n",
               local["address"].get<std::string>(), local["rtp_port"].get<int>(),
               local["rtcp_port"].get<int>(), local["advertised"].get<std::string>(),
               media["latch_policy"].get<std::string>(), media["unsafe"].get<bool>() ? " (UNSAFE)" : "");
  }
  for (const json& stream : media["streams"]) print_stream(stream);
  for (const json& stream : media["received"]) {
    fmt::print(
        "      SSRC {:08x}: {} packets, lost {} ({:.1f} %), reordered {}, duplicates {}, jitter {:.1f} ms, "
        "MOS {:.1f} ({})",
        stream["ssrc"].get<std::uint32_t>(), stream["packets"].get<std::uint64_t>(),
        stream["lost"].get<std::uint64_t>(), stream["loss_percent"].get<double>(),
        stream["reordered"].get<std::uint64_t>(), stream["duplicates"].get<std::uint64_t>(),
        stream["jitter_ms"].get<double>(), stream["mos"].get<double>(),
        stream["mos_source"].get<std::string>());
    if (stream.contains("silent_percent"))
      fmt::print(", silent {:.0f} %", stream["silent_percent"].get<double>());
    fmt::print("\n");
  }
  if (media.contains("srtp")) print_srtp(media["srtp"]);
  for (const auto& [reason, count] : media["drops"].items()) {
    fmt::print("      dropped {}: {}\n", reason, count.get<std::uint64_t>());
  }
}

void print_show(const json& call) {
  fmt::print("call {}  age {}  worker {}{}\n", call["call_id"].get<std::string>(), age(call, "age_s"),
             call["worker"].get<int>(), call["deleting"].get<bool>() ? "  (being deleted)" : "");
  for (const json& leg : call["legs"]) {
    const auto tag = leg["tag"].get<std::string>();
    fmt::print("  leg {}", tag.empty() ? "(no tag yet)" : tag);
    if (!leg["via_branch"].get<std::string>().empty())
      fmt::print("  branch {}", leg["via_branch"].get<std::string>());
    if (!leg["label"].get<std::string>().empty()) fmt::print("  label {}", leg["label"].get<std::string>());
    if (!leg["received_from"].get<std::string>().empty())
      fmt::print("  signalling from {}", leg["received_from"].get<std::string>());
    fmt::print("\n");
    for (const json& media : leg["medias"]) print_media(media);
  }
  if (call.contains("recording")) {
    const json& recording = call["recording"];
    fmt::print("  recording: {} to {}", recording["state"].get<std::string>(),
               recording["base"].get<std::string>());
    const auto lost =
        recording["packets_lost"].get<std::uint64_t>() + recording["kernel_copies_lost"].get<std::uint64_t>();
    fmt::print("{}\n", lost == 0 ? "" : fmt::format(", {} packets lost on the way to the disk", lost));
  }
  for (const json& word : call["not_in_force"]) fmt::print("  not in force: {}\n", word.get<std::string>());
}

void print_ports(const json& reply) {
  fmt::print("{:<16} {:<28} {:>13} {:>8} {:>8} {:>8} {:>8}\n", "INTERFACE", "ADDRESS", "RANGE", "PAIRS",
             "USED", "RESTING", "REUSED");
  for (const json& p : reply["ports"]) {
    fmt::print("{:<16} {:<28} {:>13} {:>8} {:>8} {:>8} {:>8}\n", p["interface"].get<std::string>(),
               p["address"].get<std::string>(),
               fmt::format("{}-{}", p["first"].get<int>(), p["last"].get<int>()), p["pairs"].get<int>(),
               p["used"].get<int>(), p["resting"].get<int>(), p["forced_reuses"].get<int>());
  }
}

void print_unknown(const json& reply) {
  for (const json& word : reply["unknown"]) {
    const auto suggestion = word["did_you_mean"].get<std::string>();
    fmt::print("{:<40} {:>8}{}\n", word["word"].get<std::string>(), word["count"].get<std::uint64_t>(),
               suggestion.empty() ? "" : "  did you mean " + suggestion + "?");
  }
}

void print_engines(const json& reply) {
  fmt::print("engine   {} with {} workers ({})\n", reply["engine"].get<std::string>(),
             reply["workers"].dump(), reply["reason"].get<std::string>());
  for (const json& each : reply["offload"]) {
    fmt::print("offload  {:<16} {:<12} {}\n", each["interface"].get<std::string>(),
               each["mode"].get<std::string>(), each["reason"].get<std::string>());
  }
  if (reply["offload"].empty()) fmt::print("offload  off\n");
  fmt::print("streams in the kernel {}, packets in the kernel {}, in user space {}\n", reply["flows"].dump(),
             reply["packets_kernel"].dump(), reply["packets_user"].dump());
  for (const auto& [program, count] : reply["sent_by"].items())
    fmt::print("sent by {:<24} {}\n", program, count.dump());
  for (const auto& [reason, count] : reply["punted"].items())
    fmt::print("left to user space {:<14} {}\n", reason, count.dump());
}

void print_stats(const json& reply) {
  for (const char* section : {"currentstatistics", "totalstatistics"}) {
    for (const auto& [key, value] : reply[section].items()) {
      fmt::print("{:<32} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  for (const auto& [reason, count] : reply["drops"].items())
    fmt::print("dropped {:<24} {}\n", reason, count.dump());
  for (const char* section : {"recorder", "rtpproxy"}) {
    if (!reply.contains(section)) continue;
    for (const auto& [key, value] : reply[section].items())
      fmt::print("{} {:<23} {}\n", section, key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  for (const auto& [key, value] : reply["control"].items())
    fmt::print("control {:<24} {}\n", key, value.dump());
}

int usage(std::string_view what) {
  fmt::print(stderr, "rtpferryctl: {}\n\n", what);
  fmt::print(stderr, kHelp, ferry::ctl::kFileHelp, ferry::ctl::kPromptHelp);
  return kExitUsage;
}

int run(std::span<char* const> arguments) {
  std::string path = "/run/rtpferry/control.sock";
  bool as_json = false;
  bool all = false;
  std::vector<std::string> words;
  if (arguments.size() > 1) {
    const std::string_view command = arguments[1];
    const std::vector<std::string> rest(arguments.begin() + 2, arguments.end());
    const bool wants_help = std::ranges::find(rest, "--help") != rest.end();
    if (command == "convert" && !wants_help) return ferry::ctl::run_convert(rest);
    if (command == "makeprompt" && !wants_help) return ferry::ctl::run_makeprompt(rest);
    if (command == "decrypt" && !wants_help) return ferry::ctl::run_decrypt(rest);
  }
  for (const char* argument : arguments.subspan(1)) {
    const std::string_view word = argument;
    if (word == "--json") {
      as_json = true;
    } else if (word == "--all") {
      all = true;
    } else if (word.starts_with("--socket=")) {
      path = word.substr(9);
    } else if (word == "--help" || word == "-h") {
      fmt::print(kHelp, ferry::ctl::kFileHelp, ferry::ctl::kPromptHelp);
      return kExitOk;
    } else if (word.starts_with("--")) {
      return usage(fmt::format("unknown option '{}'", word));
    } else {
      words.emplace_back(word);
    }
  }
  if (words.empty()) return usage("no command");
  json request = {{"command", words[0]}};
  const bool wants_call = words[0] == "show" || words[0] == "terminate";
  if (words[0] == "terminate" && (all || (words.size() == 2 && words[1] == "all"))) {
    request["all"] = true;
  } else if (wants_call) {
    if (words.size() != 2) return usage(fmt::format("{} needs a CALL-ID", words[0]));
    request["call_id"] = words[1];
  } else if (words[0] == "record") {
    if (words.size() != 3) return usage("record needs start, stop or pause and a CALL-ID");
    request["action"] = words[1];
    request["call_id"] = words[2];
  } else if (words.size() != 1) {
    return usage(fmt::format("{} takes no arguments", words[0]));
  }
  const auto reply = ask(path, request);
  if (!reply) {
    fmt::print(stderr, "rtpferryctl: no answer on {}: {}\n", path,
               errno != 0 ? std::strerror(errno) : "is rtpferryd running?");
    return kExitNoDaemon;
  }
  if (as_json) {
    fmt::print("{}\n", reply->dump(2, ' ', false, json::error_handler_t::replace));
    return reply->contains("error") ? kExitRefused : kExitOk;
  }
  if (reply->contains("error")) {
    const auto error = (*reply)["error"].get<std::string>();
    if (error == "unknown command") return usage(fmt::format("unknown command '{}'", words[0]));
    fmt::print(stderr, "rtpferryctl: {}\n", error);
    return kExitRefused;
  }
  const std::string& command = words[0];
  if (command == "list") print_list(*reply);
  if (command == "show") print_show(*reply);
  if (command == "ports") print_ports(*reply);
  if (command == "stats") print_stats(*reply);
  if (command == "engines") print_engines(*reply);
  if (command == "unknown-flags") print_unknown(*reply);
  if (command == "version") fmt::print("rtpferryd {}\n", (*reply)["version"].get<std::string>());
  if (command == "record") fmt::print("{}\n", (*reply)["recording"].get<std::string>());
  if (command == "terminate") fmt::print("{} calls ended\n", (*reply)["terminated"].get<std::size_t>());
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
