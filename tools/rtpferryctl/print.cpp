// SPDX-License-Identifier: Apache-2.0
// Prints one reply for each kind of command. `print_reply` at the end chooses the function. All texts are
// safe for a terminal already, because the client asks for printable ones (CTL-14).

#include "tools/rtpferryctl/print.hpp"

#include <cstdint>
#include <ctime>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

namespace ferry::ctl {

using nlohmann::json;

namespace {

std::string age(const json& call, const char* key) {
  return call.contains(key) ? fmt::format("{:.1f}s", call[key].get<double>()) : std::string("-");
}

void print_list(const json& reply) {
  fmt::print("{:<40} {:>9} {:>7} {:>9} {:>7} {:>7} {:>8} {:>10} {:<9} {:<8} {:<8} {:<20} {}\n", "CALL-ID",
             "AGE", "MEDIAS", "PACKETS", "LOSS %", "10 s %", "REFUSED", "LAST RTP", "STATE", "SEVERITY",
             "HEARS", "VERDICT", "TAGS");
  for (const json& call : reply["calls"]) {
    std::string tags;
    for (const json& tag : call["tags"]) {
      const auto text = tag.get<std::string>();
      tags += (tags.empty() ? "" : " ") + (text.empty() ? std::string("(none)") : text);
    }
    const char* state = call["deleting"].get<bool>()   ? "deleting"
                        : call["answered"].get<bool>() ? "answered"
                                                       : "offered";
    fmt::print("{:<40} {:>9} {:>7} {:>9} {:>7.2f} {:>7.1f} {:>8} {:>10} {:<9} {:<8} {:<8} {:<20} {}\n",
               call["call_id"].get<std::string>(), age(call, "age_s"), call["medias"].get<int>(),
               call["packets"].get<std::uint64_t>(), call["loss_percent"].get<double>(),
               call["loss_10s_percent"].get<double>(), call["refused"].get<std::uint64_t>(),
               age(call, "last_packet_age_s"), state, call["severity"].get<std::string>(),
               call["hears"].get<std::string>(), call["verdict"].get<std::string>(), tags);
  }
}

/// The address of the peer: with ICE no source is learned, and the selected pair says it.
void print_stream(const json& stream, bool has_ice) {
  if (has_ice)
    fmt::print("      {:<5} pair with {}\n", stream["component"].get<std::string>(),
               stream.value("learned", "").empty() ? "nobody yet" : stream.value("learned", ""));
  else
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

/// Figures of the last seconds, if the worker knows them.
void print_recent(const json& stream) {
  if (!stream.contains("last_10s")) return;
  const json& recent = stream["last_10s"];
  fmt::print("        last {:.0f} s: {} packets, lost {} ({:.1f} %), longest run {}, jitter {:.1f} ms\n",
             recent["seconds"].get<double>(), recent["packets"].get<std::uint64_t>(),
             recent["lost"].get<std::uint64_t>(), recent["loss_percent"].get<double>(),
             recent["longest_loss_burst"].get<std::uint64_t>(), recent["jitter_ms"].get<double>());
}

void print_media(const json& media) {
  fmt::print("    media {} {} {}{}\n", media["index"].get<int>(), media["type"].get<std::string>(),
             media["protocol"].get<std::string>(), media["rejected"].get<bool>() ? " (rejected)" : "");
  // Nobody is latched then.
  const bool is_by_ice = media.contains("ice") || media.contains("end_to_end");
  if (media.contains("local")) {
    const json& local = media["local"];
    const std::string policy = fmt::format(", latch policy {}{}", media["latch_policy"].get<std::string>(),
                                           media["unsafe"].get<bool>() ? " (UNSAFE)" : "");
    fmt::print("      local {} ports {}/{}, advertised as {}, forwarded in {}{}\n",
               local["address"].get<std::string>(), local["rtp_port"].get<int>(),
               local["rtcp_port"].get<int>(), local["advertised"].get<std::string>(),
               media["path"] == "kernel" ? "the kernel" : "user space", is_by_ice ? std::string() : policy);
  }
  if (media.contains("ice")) {
    const json& ice = media["ice"];
    fmt::print("      ICE: {}, {}, {} candidates of the peer\n", ice["state"].get<std::string>(),
               ice["controlling"].get<bool>() ? "we control" : "the peer controls",
               ice["peer_candidates"].dump());
  }
  if (media.contains("end_to_end")) {
    const json& way = media["end_to_end"];
    fmt::print("      from end to end ({}): {}, media may go past the relay\n",
               way["word"].get<std::string>(),
               way["through_relay"].get<bool>() ? "the party answers through the relay"
                                                : "the party does not answer through the relay");
  }
  if (media.contains("dtls")) fmt::print("      DTLS: {}\n", media["dtls"]["state"].get<std::string>());
  for (const json& stream : media["streams"]) print_stream(stream, is_by_ice);
  for (const json& stream : media["received"]) {
    fmt::print(
        "      SSRC {:08x}: {} packets, lost {} ({:.1f} %) in {} bursts, reordered {}, duplicates {}, jitter "
        "{:.1f} ms, "
        "MOS {:.1f} ({})",
        stream["ssrc"].get<std::uint32_t>(), stream["packets"].get<std::uint64_t>(),
        stream["lost"].get<std::uint64_t>(), stream["loss_percent"].get<double>(),
        stream["loss_bursts"].get<std::uint64_t>(), stream["reordered"].get<std::uint64_t>(),
        stream["duplicates"].get<std::uint64_t>(), stream["jitter_ms"].get<double>(),
        stream["mos"].get<double>(), stream["mos_source"].get<std::string>());
    if (stream.contains("silent_percent"))
      fmt::print(", silent {:.0f} %", stream["silent_percent"].get<double>());
    if (stream.contains("clock_drift_ppm"))
      fmt::print(", clock {:+.0f} ppm (±{:.0f})", stream["clock_drift_ppm"].get<double>(),
                 stream["clock_drift_error_ppm"].get<double>());
    fmt::print("\n");
    print_recent(stream);
  }
  for (const json& stream : media["sent"]) {
    fmt::print("      sent SSRC {:08x}: {} packets", stream["ssrc"].get<std::uint32_t>(),
               stream["packets"].get<std::uint64_t>());
    if (stream.contains("reported"))
      fmt::print(", the party reports {:.1f} % lost ({} ago)",
                 stream["reported"]["loss_percent"].get<double>(), age(stream["reported"], "age_s"));
    fmt::print("\n");
    print_recent(stream);
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
  for (const json& p : reply["ports"]) {
    if (const int port = p.value("ice_port", 0); port != 0)
      fmt::print("{} {}: legs with ICE share port {}\n", p["interface"].get<std::string>(),
                 p["address"].get<std::string>(), port);
  }
  if (!reply.contains("holders")) return;
  fmt::print("\n{:<28} {:>6} {:<40} {:<24} {}\n", "ADDRESS", "PORT", "CALL-ID", "LEG", "MEDIA");
  for (const json& h : reply["holders"]) {
    fmt::print("{:<28} {:>6} {:<40} {:<24} {}{}\n", h["address"].get<std::string>(), h["port"].get<int>(),
               h["call_id"].get<std::string>(), h["leg"].get<std::string>(), h["media"].get<int>(),
               h["active"].get<bool>() ? "" : " (former port)");
  }
}

void print_unknown(const json& reply) {
  for (const json& word : reply["unknown"]) {
    const auto suggestion = word["did_you_mean"].get<std::string>();
    fmt::print("{:<40} {:>8}{}\n", word["word"].get<std::string>(), word["count"].get<std::uint64_t>(),
               suggestion.empty() ? "" : "  did you mean " + suggestion + "?");
  }
}

void print_dpdk(const json& dpdk) {
  fmt::print("{}, {}, {} addresses, {} buffers, packets distributed {}\n", dpdk["version"].get<std::string>(),
             dpdk["memory"].get<std::string>(), dpdk["iova"].get<std::string>(), dpdk["buffers"].dump(),
             dpdk["distribution"].get<std::string>());
  for (const json& port : dpdk["ports"]) {
    fmt::print(
        "port     {:<16} {} {} {}, mtu {}, {} receive and {} transmit queues, NUMA node {}, kernel: {}\n",
        port["device"].get<std::string>(), port["driver"].get<std::string>(), port["mac"].get<std::string>(),
        port["up"].get<bool>() ? "up" : "DOWN", port["mtu"].dump(), port["rx_queues"].dump(),
        port["tx_queues"].dump(), port["numa_node"].dump(), port["interface"].get<std::string>());
    for (const json& each : port["offloads"]) fmt::print("  {}\n", each.get<std::string>());
    for (const auto& [counter, count] : port["counts"].items()) {
      if (count != 0) fmt::print("  {:<30} {}\n", counter, count.dump());
    }
  }
  for (const auto& [what, count] : dpdk["counts"].items())
    fmt::print("frames {:<25} {}\n", what, count.dump());
}

void print_engines(const json& reply) {
  fmt::print("engine   {} with {} workers ({})\n", reply["engine"].get<std::string>(),
             reply["workers"].dump(), reply["reason"].get<std::string>());
  if (reply.contains("dpdk")) print_dpdk(reply["dpdk"]);
  for (const json& each : reply["offload"]) {
    fmt::print("offload  {:<16} {:<12} {}\n", each["interface"].get<std::string>(),
               each["mode"].get<std::string>(), each["reason"].get<std::string>());
  }
  if (reply["offload"].empty())
    fmt::print("offload  off: {}\n", reply.value("offload_reason", "nothing to attach to"));
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
  for (const auto& [error, count] : reply["send_errors"].items())
    fmt::print("not sent {:<23} {}\n", error, count.dump());
  for (const char* section : {"recorder", "rtpproxy", "refused_requests", "kept_calls", "memory"}) {
    if (!reply.contains(section)) continue;
    for (const auto& [key, value] : reply[section].items())
      fmt::print("{} {:<23} {}\n", section, key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  for (const auto& [key, value] : reply["control"].items())
    fmt::print("control {:<24} {}\n", key, value.dump());
}

/// Colours a text by its severity: red for a fault, yellow for a note, green for fine.
std::string coloured(std::string_view text, std::string_view severity) {
  static const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  if (!is_terminal) return std::string(text);
  const char* colour = severity == "fault" ? "31" : severity == "note" ? "33" : "32";
  return fmt::format("\033[{}m{}\033[0m", colour, text);
}

/// Prints the packets that the flight recorder kept.
void print_flight(const json& flight) {
  fmt::print("\n{} #{} at {}: the last {} packets\n", flight["leg"].get<std::string>(),
             flight["media"].get<unsigned>(), flight["local"].get<std::string>(), flight["packets"].size());
  for (const json& p : flight["packets"]) {
    const std::string what = p.contains("rtcp")
                                 ? fmt::format("RTCP {}", p["rtcp"].get<int>())
                                 : fmt::format("PT {:<3} seq {:<5} ts {}", p["payload_type"].get<int>(),
                                               p["sequence"].get<int>(), p["timestamp"].get<std::uint32_t>());
    fmt::print("  {:>8.3f} {:>21} {:<4} {:>5} {:<34} {}{}\n", p["t"].get<double>(),
               p["from"].get<std::string>(), p["port"].get<std::string>(), p["size"].get<int>(), what,
               p["verdict"].get<std::string>(), p.contains("kernel") ? " (kernel)" : "");
  }
}

/// Writes a time with its day, because a complaint may be about yesterday.
std::string time_text(std::int64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

/// Prints a refused request with the advice of its reason.
void print_refused(const json& each) {
  fmt::print("refused {}: {} ({})\n", time_text(each["last_at_ms"].get<std::int64_t>()),
             each["sentence"].get<std::string>(), each["reason"].get<std::string>());
  const auto count = each["count"].get<std::uint64_t>();
  fmt::print("             by {} from {}{}\n", each["protocol"].get<std::string>(),
             each["client"].get<std::string>(),
             count == 1 ? std::string()
                        : fmt::format(", {} times since {}", count,
                                      time_text(each["first_at_ms"].get<std::int64_t>())));
  fmt::print("             what to do: {}\n", each["advice"].get<std::string>());
}

/// Prints the reply to `explain`: the summary, each verdict with its evidence, refused requests, packets.
void print_explanation(const json& reply) {
  fmt::print("call {}  {}  {}\n", reply["call_id"].get<std::string>(), reply["state"].get<std::string>(),
             coloured(reply.value("summary", ""), reply["severity"].get<std::string>()));
  for (const json& verdict : reply["verdicts"]) {
    const auto severity = verdict["severity"].get<std::string>();
    fmt::print("{:<5} {:<4} {} #{} ({}): {}\n", coloured(severity, severity),
               verdict["direction"].get<std::string>(), verdict["leg"].get<std::string>(),
               verdict["media"].get<unsigned>(), verdict["cause"].get<std::string>(),
               verdict["sentence"].get<std::string>());
    for (const json& line : verdict["evidence"]) fmt::print("             {}\n", line.get<std::string>());
    if (severity == "fault")
      fmt::print("             what to do: {}\n", verdict["advice"].get<std::string>());
  }
  if (reply.contains("refused")) {
    for (const json& each : reply["refused"]) print_refused(each);
  }
  if (!reply.contains("flight")) return;
  for (const json& flight : reply["flight"]) print_flight(flight);
}

void print_where(const json& reply) {
  if (reply.contains("arrives_at"))
    fmt::print("arrives at {}, the port of {} #{} (latch {})\n", reply["arrives_at"].get<std::string>(),
               reply["leg"].get<std::string>(), reply["media"].get<unsigned>(),
               reply["latch"].get<std::string>());
  fmt::print("{}{}\n", reply["verdict"].get<std::string>(),
             reply.contains("reason") ? fmt::format(": {} ({})", reply["reason"].get<std::string>(),
                                                    reply["meaning"].get<std::string>())
                                      : std::string());
  if (!reply.contains("sinks")) return;
  for (const json& sink : reply["sinks"])
    fmt::print("  {} #{}: {}{} {}\n", sink.value("leg", ""), sink.value("media", 0u),
               sink.value("verdict", ""),
               sink.contains("to") ? " to " + sink["to"].get<std::string>() : std::string(),
               sink.value("reason", ""));
}

void print_interfaces(const json& reply) {
  fmt::print("{:<16} {:<28} {:>12} {:>12} {:>12} {:>12} {:>9}\n", "INTERFACE", "ADDRESS", "IN", "OUT",
             "REFUSED", "NOT SENT", "LOST");
  for (const json& i : reply["interfaces"])
    fmt::print("{:<16} {:<28} {:>12} {:>12} {:>12} {:>12} {:>9}\n", i["name"].get<std::string>(),
               i["address"].get<std::string>(), i["ingress"]["packets"].dump(), i["egress"]["packets"].dump(),
               i["ingress"]["errors"].dump(), i["egress"]["errors"].dump(), i["packets_lost"].dump());
}

void print_params(const json& reply) {
  for (const json& p : reply["params"])
    fmt::print("{:<20} {:<14} {}{}\n", p["name"].get<std::string>(), p["value"].get<std::string>(),
               p["help"].get<std::string>(),
               p["value"] == p["at_start"] ? std::string()
                                           : fmt::format(" (was {})", p["at_start"].get<std::string>()));
}

void print_pairs(const json& pairs) {
  for (const auto& [name, value] : pairs.items())
    fmt::print("{:<20} {}\n", name, value.is_string() ? value.get<std::string>() : value.dump());
}

}  // namespace

bool print_reply(std::string_view command, const json& reply) {
  struct Row {
    std::string_view command;
    void (*print)(const json& reply);
  };
  static constexpr Row kRows[] = {
      {"list", print_list},
      {"show", print_show},
      {"explain", print_explanation},
      {"where", print_where},
      {"ports", print_ports},
      {"interfaces", print_interfaces},
      {"stats", print_stats},
      {"engines", print_engines},
      {"unknown-flags", print_unknown},
      {"params", print_params},
      {"get", [](const json& r) { print_pairs(r["parameters"]); }},
      {"set", [](const json& r) { print_pairs(r["parameters"]); }},
      {"log", [](const json& r) { print_pairs(r["levels"]); }},
      {"version", [](const json& r) { fmt::print("rtpferryd {}\n", r["version"].get<std::string>()); }},
      {"record", [](const json& r) { fmt::print("{}\n", r["recording"].get<std::string>()); }},
      {"terminate",
       [](const json& r) { fmt::print("{} calls ended\n", r["terminated"].get<std::size_t>()); }},
      {"ready", [](const json&) { fmt::print("ready\n"); }},
      {"drain",
       [](const json& r) {
         fmt::print("{}, {} calls\n", r["draining"].get<bool>() ? "draining" : "not draining",
                    r["calls"].get<std::size_t>());
       }},
  };
  for (const Row& row : kRows) {
    if (row.command != command) continue;
    row.print(reply);
    return true;
  }
  return false;
}

}  // namespace ferry::ctl
