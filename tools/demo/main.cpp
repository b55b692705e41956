// SPDX-License-Identifier: Apache-2.0
// Places a demonstration call. Two parties with real sockets talk through a running relay, send from other
// ports than their SDP says, and judge what they hear. The exit status is 0 only if each heard the other's
// tone and the relay learned the port of each.
//
// The order: an offer and an answer over NG (`Relay`), a packet of each party every 20 ms while both listen,
// then the relay's own view of the call over its control socket, a table of both, and the deletion of the
// call.

#include "codecs/tone/tone.hpp"
#include "relay/core/rtp/rtp.hpp"
#include "relay/core/rtp/stream_stats.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using ferry::Endpoint;
using nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

// 20 ms at 8 kHz.
constexpr std::size_t kSamples = 160;

/// One party: it has a socket, sends a tone and listens for the tone of the other.
class Party {
 public:
  Party(std::string name, const ferry::IpAddress& host, double sends, double listens, std::uint32_t ssrc)
      : name_(std::move(name)), source_(sends), meter_(listens), ssrc_(ssrc) {
    socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const ferry::SocketAddress address(Endpoint{host, ferry::UdpPort{0}});
    if (bind(socket_, address.get(), address.size()) != 0)
      throw std::runtime_error("cannot open a socket for " + name_);
    ferry::SocketAddress bound;
    getsockname(socket_, bound.get(), bound.size_pointer());
    local_ = bound.endpoint();
    // The SDP names another port, so that the relay has to learn where the media comes from.
    signalled_ = {local_.address,
                  ferry::UdpPort{static_cast<std::uint16_t>(
                      local_.port.value > 60000 ? local_.port.value - 1000 : local_.port.value + 1000)}};
  }
  ~Party() { close(socket_); }
  Party(const Party&) = delete;
  Party& operator=(const Party&) = delete;

  [[nodiscard]] std::string sdp() const {
    return fmt::format(
        "v=0\r\no={0} 1 1 IN IP4 {1}\r\ns=demo\r\nc=IN IP4 {1}\r\nt=0 0\r\nm=audio {2} RTP/AVP "
        "8\r\na=rtpmap:8 PCMA/8000\r\n",
        name_, signalled_.address.to_string(), signalled_.port.value);
  }
  void send_to(const Endpoint& relay) {
    const auto audio = source_.next(kSamples);
    std::vector<std::byte> packet(ferry::kRtpFixedHeaderSize);
    ferry::write_rtp_header(packet, ferry::PayloadType{8}, sent_ == 0,
                            ferry::SeqNo{static_cast<std::uint16_t>(sent_)},
                            static_cast<std::uint32_t>(sent_ * kSamples), ferry::Ssrc{ssrc_});
    packet.insert(packet.end(), audio.begin(), audio.end());
    const ferry::SocketAddress to(relay);
    sent_at_[static_cast<std::uint16_t>(sent_)] = SteadyClock::now();
    sendto(socket_, packet.data(), packet.size(), 0, to.get(), to.size());
    ++sent_;
  }
  /// Takes what has arrived; `other` knows when it was sent.
  void listen(const Party& other) {
    std::vector<std::byte> buffer(2048);
    for (ssize_t n = 0; (n = recv(socket_, buffer.data(), buffer.size(), 0)) > 0;) {
      const auto now = SteadyClock::now();
      const auto rtp = ferry::parse_rtp({buffer.data(), static_cast<std::size_t>(n)});
      if (!rtp) continue;
      if (!first_heard_) first_heard_ = rtp->sequence.value;
      meter_.feed(rtp->payload);
      stats_.count(*rtp, static_cast<std::size_t>(n), 8000, now);
      const auto sent = other.sent_at_.find(rtp->sequence.value);
      if (sent != other.sent_at_.end()) latency_.push_back(now - sent->second);
    }
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const Endpoint& local() const { return local_; }
  [[nodiscard]] const Endpoint& signalled() const { return signalled_; }
  [[nodiscard]] int descriptor() const { return socket_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t heard() const { return stats_.counters().packets; }
  /// Packets that `other` sent before the first one that arrived: the relay had yet to learn where to send.
  [[nodiscard]] std::uint64_t early(const Party& other) const { return first_heard_.value_or(other.sent_); }
  /// Percent of the later ones that did not arrive; all of them if none did.
  [[nodiscard]] double loss_percent(const Party& other) const {
    if (!first_heard_) return 100;
    const auto sent = static_cast<double>(other.sent_ - *first_heard_);
    return 100.0 * (1.0 - static_cast<double>(heard()) / sent);
  }
  [[nodiscard]] double tone_share() const { return meter_.share(); }
  [[nodiscard]] double jitter_ms() const {
    return static_cast<double>(stats_.counters().jitter().count()) / 1e6;
  }
  [[nodiscard]] double latency_us() {
    if (latency_.empty()) return 0;
    std::nth_element(latency_.begin(), latency_.begin() + static_cast<std::ptrdiff_t>(latency_.size() / 2),
                     latency_.end());
    return std::chrono::duration<double, std::micro>(latency_[latency_.size() / 2]).count();
  }

 private:
  std::string name_;
  ferry::ToneSource source_;
  ferry::ToneMeter meter_;
  std::uint32_t ssrc_;
  int socket_ = -1;
  Endpoint local_;
  Endpoint signalled_;
  std::uint64_t sent_ = 0;
  // Sequence number of the first packet, which is also the number of that packet in the stream.
  std::optional<std::uint16_t> first_heard_;
  std::map<std::uint16_t, SteadyClock::time_point> sent_at_;
  std::vector<SteadyClock::duration> latency_;
  ferry::StreamStats stats_;
};

/// Speaks NG over UDP in JSON. It tries five times for a second each, as a proxy does.
class Relay {
 public:
  explicit Relay(const Endpoint& target) {
    const ferry::SocketAddress address(target);
    socket_ = socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (connect(socket_, address.get(), address.size()) != 0)
      throw std::runtime_error("cannot reach " + target.to_string());
  }
  ~Relay() { close(socket_); }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  json ask(const json& request) {
    const std::string message = fmt::format("demo_{}_{} {}", getpid(), ++serial_, request.dump());
    const auto end = SteadyClock::now() + 5s;
    while (SteadyClock::now() < end) {
      pollfd waiting{socket_, POLLIN, 0};
      std::vector<char> buffer(65536);
      ssize_t n = -1;
      if (send(socket_, message.data(), message.size(), 0) > 0 && poll(&waiting, 1, 1000) > 0) {
        n = recv(socket_, buffer.data(), buffer.size(), 0);
      }
      if (n <= 0) {
        // Refused: the daemon is not there yet.
        poll(nullptr, 0, 100);
        continue;
      }
      const std::string_view reply(buffer.data(), static_cast<std::size_t>(n));
      json parsed = json::parse(reply.substr(reply.find(' ') + 1));
      if (parsed.value("result", "") == "error")
        throw std::runtime_error("relay: " + parsed.value("error-reason", ""));
      return parsed;
    }
    throw std::runtime_error("the relay does not answer");
  }

 private:
  int socket_ = -1;
  unsigned serial_ = 0;
};

Endpoint media_of(const json& reply) {
  const auto sdp = reply.at("sdp").get<std::string>();
  const auto c = sdp.find("c=IN IP4 ") + 9;
  const auto m = sdp.find("m=audio ") + 8;
  return Endpoint::parse(sdp.substr(c, sdp.find("\r\n", c) - c) + ":" + sdp.substr(m, sdp.find(' ', m) - m))
      .value();
}

json show(const std::string& path, const std::string& call) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return nullptr;
  path.copy(address.sun_path, sizeof address.sun_path - 1);  // the rest is zero
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string reply;
  const std::string line = json{{"command", "show"}, {"call_id", call}}.dump() + "\n";
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      write(fd, line.data(), line.size()) > 0) {
    char buffer[16384];
    for (ssize_t n = 0; reply.find('\n') == std::string::npos && (n = read(fd, buffer, sizeof buffer)) > 0;)
      reply.append(buffer, static_cast<std::size_t>(n));
  }
  close(fd);
  return json::parse(reply, nullptr, false);
}

int run(const Endpoint& target, const std::string& control, int seconds) {
  // The parties have addresses of their own, so that none of their ports can be one of the relay's.
  Party alice("alice", ferry::IpAddress::v4({127, 0, 0, 2}), 440, 700, 0xA11CE);
  Party bob("bob", ferry::IpAddress::v4({127, 0, 0, 3}), 700, 440, 0xB0B);
  Relay relay(target);
  const std::string call = fmt::format("demo-{}@rtpferry", getpid());
  const Endpoint for_bob = media_of(relay.ask({{"command", "offer"},
                                               {"call-id", call},
                                               {"from-tag", "alice"},
                                               {"sdp", alice.sdp()},
                                               {"replace", {"origin"}}}));
  const Endpoint for_alice = media_of(relay.ask({{"command", "answer"},
                                                 {"call-id", call},
                                                 {"from-tag", "alice"},
                                                 {"to-tag", "bob"},
                                                 {"sdp", bob.sdp()},
                                                 {"replace", {"origin"}}}));
  fmt::print("call {} is up: alice talks to {}, bob to {}\n", call, for_alice.to_string(),
             for_bob.to_string());
  const auto start = SteadyClock::now();
  for (int packet = 0; packet < seconds * 50; ++packet) {
    alice.send_to(for_alice);
    bob.send_to(for_bob);
    const auto next = start + (packet + 1) * 20ms;
    while (SteadyClock::now() < next) {
      pollfd waiting[2] = {{alice.descriptor(), POLLIN, 0}, {bob.descriptor(), POLLIN, 0}};
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - SteadyClock::now()).count();
      if (poll(waiting, 2, static_cast<int>(std::max<long>(0, left))) <= 0) break;
      alice.listen(bob);
      bob.listen(alice);
    }
    if ((packet + 1) % 50 == 0) {
      fmt::print("  {:>2} s: alice heard {} packets, bob {}\n", (packet + 1) / 50, alice.heard(),
                 bob.heard());
      std::fflush(stdout);
    }
  }
  const json shown = show(control, call);
  fmt::print("\n{:<7} {:<22} {:<22} {:<22} {:>6} {:>6} {:>7} {:>9} {:>5} {:>11} {:>6}\n", "party", "SDP says",
             "relay learned", "relay port", "sent", "heard", "loss %", "jitter ms", "MOS", "latency us",
             "tone");
  bool good = true;
  for (std::size_t i = 0; i < 2; ++i) {
    Party& me = i == 0 ? alice : bob;
    const Party& other = i == 0 ? bob : alice;
    const double loss = me.loss_percent(other);
    const double mos =
        static_cast<double>(ferry::estimate_mos_times_10(
            0ms, std::chrono::nanoseconds(static_cast<long>(me.jitter_ms() * 1e6)), std::max(0.0, loss))) /
        10;
    const bool tone = me.tone_share() > 0.5;
    std::string learned = "?";
    if (shown.is_object() && shown.contains("legs"))
      learned = shown["legs"][i]["medias"][0]["streams"][0].value("learned", "?");
    good = good && tone && learned == me.local().to_string();
    fmt::print("{:<7} {:<22} {:<22} {:<22} {:>6} {:>6} {:>7.2f} {:>9.2f} {:>5.1f} {:>11.0f} {:>6}\n",
               me.name(), me.signalled().to_string(), learned, (i == 0 ? for_alice : for_bob).to_string(),
               me.sent(), me.heard(), loss, me.jitter_ms(), mos, me.latency_us(), tone ? "right" : "WRONG");
  }
  for (const auto& [me, other] : {std::pair(&alice, &bob), std::pair(&bob, &alice)}) {
    if (me->heard() == 0 || me->early(*other) == 0) continue;
    fmt::print(
        "{} of {}'s packets came before the relay had learned where {} is; they are not counted as lost.\n",
        me->early(*other), other->name(), me->name());
  }
  relay.ask({{"command", "delete"}, {"call-id", call}, {"from-tag", "alice"}, {"delete delay", 0}});
  fmt::print("\n{}\n", good ? "Both parties heard each other." : "The call did NOT work.");
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string target = "127.0.0.1:2223";
  std::string control = "/run/rtpferry/control.sock";
  int seconds = 5;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("--ng="))
      target = word.substr(5);
    else if (word.starts_with("--socket="))
      control = word.substr(9);
    else if (word.starts_with("--seconds="))
      seconds = std::max(1, std::atoi(argv[i] + 10));
    else {
      fmt::print(
          "Usage: rtpferry-demo [--ng=ADDR:PORT] [--socket=PATH] [--seconds=N]\nPlaces a call with tones "
          "through a running rtpferryd on this host.\n");
      return word == "--help" ? 0 : 2;
    }
  }
  const auto endpoint = Endpoint::parse(target);
  if (!endpoint) {
    fmt::print(stderr, "rtpferry-demo: '{}' is no ADDRESS:PORT\n", target);
    return 2;
  }
  try {
    return run(*endpoint, control, seconds);
  } catch (const std::exception& e) {
    fmt::print(stderr, "rtpferry-demo: {}\n", e.what());
    return 1;
  }
}
