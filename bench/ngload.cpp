// SPDX-License-Identifier: Apache-2.0
// Load generator for the NG protocol and the rtpproxy protocol: sets calls up and takes them down,
// several requests under way at a time. Prints one JSON object; the CPU time and memory of the relay are read
// from /proc by its pid.

#include "control/protocol/ng/bencode.hpp"
#include "relay/base/random.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using ferry::Dict;
using ferry::List;
using ferry::Value;
using SteadyClock = std::chrono::steady_clock;

struct Options {
  std::string target = "127.0.0.1:2223";
  // Not the address of the relay: its ports there would be those of other calls, and every fourth call a
  // loop.
  std::string media = "127.0.0.2";
  int pid = 0;
  unsigned calls = 4500;
  unsigned window = 16;
  bool rtpproxy = false;
};

// The ports of the parties. None of them is one of the relay's own for commands (2777 in the benchmarks),
// where no party may be (LAT-11a).
unsigned caller_port(unsigned call) { return 4000 + call % 9000 * 2; }
unsigned callee_port(unsigned call) { return 22000 + call % 9000 * 2; }

std::string sdp(const std::string& user, const std::string& address, unsigned port) {
  return fmt::format(
      "v=0\r\no={} 1001 1 IN IP4 {}\r\ns=-\r\nc=IN IP4 {}\r\nt=0 0\r\nm=audio {} RTP/AVP 8 0 101\r\n"
      "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 "
      "0-15\r\n"
      "a=ptime:20\r\na=sendrecv\r\n",
      user, address, address, port);
}

enum class Kind { kOffer, kAnswer, kDelete };

std::string make_request(const Options& options, Kind kind, unsigned call, const std::string& cookie) {
  Dict dict;
  dict.set("supports", List{Value("load limit")});
  dict.set("call-id", fmt::format("{:08x}-bench-{}@192.0.2.1", call * 2654435761u, call));
  dict.set("received-from", List{Value("IP4"), Value(options.media)});
  dict.set("from-tag", fmt::format("from{}", call));
  if (kind != Kind::kDelete) dict.set("replace", List{Value("origin"), Value("session-connection")});
  if (kind == Kind::kOffer) dict.set("sdp", sdp("alice", options.media, caller_port(call)));
  if (kind == Kind::kAnswer) {
    dict.set("to-tag", fmt::format("to{}", call));
    dict.set("sdp", sdp("bob", options.media, callee_port(call)));
  }
  dict.set("command", kind == Kind::kOffer ? "offer" : kind == Kind::kAnswer ? "answer" : "delete");
  return cookie + " " + ferry::ng::encode_bencode(Value(std::move(dict)));
}

/// The same call in the rtpproxy protocol.
std::string make_command(const Options& options, Kind kind, unsigned call, const std::string& cookie) {
  const std::string names = fmt::format("{:08x}-bench-{}@192.0.2.1", call * 2654435761u, call);
  switch (kind) {
    case Kind::kOffer:
      return fmt::format("{} Uc8,0,101 {} {} {} from{};1", cookie, names, options.media, caller_port(call),
                         call);
    case Kind::kAnswer:
      return fmt::format("{} Lc8,0,101 {} {} {} from{};1 to{};1", cookie, names, options.media,
                         callee_port(call), call, call);
    case Kind::kDelete:
      break;
  }
  return fmt::format("{} D {} from{} to{}", cookie, names, call, call);
}

/// A good reply of either protocol.
bool is_good(const Options& options, Kind kind, std::string_view reply) {
  if (!options.rtpproxy) return reply.find("6:result2:ok") != std::string_view::npos;
  const std::string_view text = reply.substr(reply.find(' ') + 1);
  return kind == Kind::kDelete ? text == "0\n" : !text.starts_with('E') && text != "0\n";
}

/// CPU seconds of a process, all threads.
double cpu_seconds(int pid) {
  std::ifstream in(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string word;
  double ticks = 0;
  for (int i = 3; i <= 15 && fields >> word; ++i) {
    if (i >= 14) ticks += std::stod(word);
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

/// One value in kB from a file of "Name: value kB" lines.
long kilobytes(const std::string& file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(name + ":")) return std::stol(line.substr(name.size() + 1));
  }
  return 0;
}

struct Phase {
  double seconds = 0;
  double cpu = 0;
  unsigned errors = 0;
  unsigned retries = 0;
};

/// Runs every call through `kinds` in order, with `window` calls under way.
Phase run_phase(int fd, const Options& options, const std::vector<Kind>& kinds, unsigned& serial) {
  struct Slot {
    unsigned call = 0;
    std::size_t step = 0;
    std::string cookie;
    std::string request;
    SteadyClock::time_point sent;
    bool busy = false;
  };
  Phase phase;
  std::vector<Slot> slots(options.window);
  unsigned next_call = 0;
  unsigned done = 0;
  const auto start = SteadyClock::now();
  const double cpu_before = cpu_seconds(options.pid);
  const auto send_request = [&](std::size_t index) {
    Slot& slot = slots[index];
    slot.cookie = fmt::format("{}_{}", index, serial++);
    slot.request = options.rtpproxy ? make_command(options, kinds[slot.step], slot.call, slot.cookie)
                                    : make_request(options, kinds[slot.step], slot.call, slot.cookie);
    slot.sent = SteadyClock::now();
    if (send(fd, slot.request.data(), slot.request.size(), 0) < 0) ++phase.errors;
  };
  for (std::size_t i = 0; i < slots.size() && next_call < options.calls; ++i) {
    slots[i].call = next_call++;
    slots[i].busy = true;
    send_request(i);
  }
  std::vector<char> buffer(65536);
  while (done < options.calls) {
    pollfd waiting{fd, POLLIN, 0};
    if (poll(&waiting, 1, 500) == 0) {
      for (Slot& slot : slots) {
        if (!slot.busy || SteadyClock::now() - slot.sent < std::chrono::milliseconds(500)) continue;
        ++phase.retries;
        slot.sent = SteadyClock::now();
        if (send(fd, slot.request.data(), slot.request.size(), 0) < 0) ++phase.errors;
      }
      if (SteadyClock::now() - start > std::chrono::seconds(120)) break;
      continue;
    }
    for (ssize_t n = 0; (n = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0;) {
      const std::string_view reply(buffer.data(), static_cast<std::size_t>(n));
      const auto index = static_cast<std::size_t>(std::atoi(buffer.data()));
      if (index >= slots.size() || !slots[index].busy || !reply.starts_with(slots[index].cookie + " "))
        continue;
      Slot& slot = slots[index];
      if (!is_good(options, kinds[slot.step], reply)) ++phase.errors;
      if (++slot.step < kinds.size()) {
        send_request(index);
        continue;
      }
      ++done;
      slot.busy = next_call < options.calls;
      if (!slot.busy) continue;
      slot.call = next_call++;
      slot.step = 0;
      send_request(index);
    }
  }
  phase.seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
  phase.cpu = cpu_seconds(options.pid) - cpu_before;
  return phase;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--target")
      options.target = argv[i + 1];
    else if (name == "--media")
      options.media = argv[i + 1];
    else if (name == "--pid")
      options.pid = std::atoi(argv[i + 1]);
    else if (name == "--calls")
      options.calls = static_cast<unsigned>(std::atoi(argv[i + 1]));
    else if (name == "--protocol")
      options.rtpproxy = std::string_view(argv[i + 1]) == "rtpproxy";
    else if (name == "--window")
      options.window = static_cast<unsigned>(std::atoi(argv[i + 1]));
    else {
      fmt::print(stderr, "ngload: unknown option {}\n", name);
      return 2;
    }
  }
  const auto target = ferry::Endpoint::parse(options.target);
  if (!target || options.pid == 0) {
    fmt::print(stderr,
               "usage: ngload --pid PID [--target ADDR:PORT] [--media ADDR] [--calls N] [--window N] "
               "[--protocol ng|rtpproxy]\n");
    return 2;
  }
  const ferry::SocketAddress address(*target);
  const int fd = socket(address.family(), SOCK_DGRAM, 0);
  const int size = 4 * 1024 * 1024;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (connect(fd, address.get(), address.size()) != 0) {
    fmt::print(stderr, "ngload: cannot reach {}\n", options.target);
    return 1;
  }
  auto serial = static_cast<unsigned>(ferry::random_u64() >> 34);
  const std::string status = fmt::format("/proc/{}/status", options.pid);
  // A few calls first, so that what is allocated once is not charged to the calls that are counted.
  Options warm = options;
  warm.calls = 64;
  run_phase(fd, warm, {Kind::kOffer, Kind::kAnswer, Kind::kDelete}, serial);
  const long rss_before = kilobytes(status, "VmRSS");
  const long slab_before = kilobytes("/proc/meminfo", "Slab");
  const Phase up = run_phase(fd, options, {Kind::kOffer, Kind::kAnswer}, serial);
  const long rss = kilobytes(status, "VmRSS") - rss_before;
  const long slab = kilobytes("/proc/meminfo", "Slab") - slab_before;
  const Phase down = run_phase(fd, options, {Kind::kDelete}, serial);
  const double calls = options.calls;
  const nlohmann::json result = {{"calls", options.calls},
                                 {"offer_answer_per_s", calls / up.seconds},
                                 {"delete_per_s", calls / down.seconds},
                                 {"cycle_per_s", calls / (up.seconds + down.seconds)},
                                 {"cpu_us_offer_answer", up.cpu * 1e6 / calls},
                                 {"cpu_us_delete", down.cpu * 1e6 / calls},
                                 {"user_kb_per_call", static_cast<double>(rss) / calls},
                                 {"kernel_kb_per_call", static_cast<double>(slab) / calls},
                                 {"errors", up.errors + down.errors},
                                 {"retries", up.retries + down.retries}};
  fmt::print("{}\n", result.dump());
  close(fd);
  return 0;
}
