// SPDX-License-Identifier: Apache-2.0
// Many browsers and as many plain phones, who call each other through a relay: `webrtcgen`. It reads JSON
// lines and answers each with one; what goes wrong ends it, with {"error": REASON}.
//
//   {"interface": "g0", "macs": [OWN, RELAY'S], "browser": ADDRESS, "phone": ADDRESS, "ng": "ADDRESS:PORT",
//    "ng_namespace": FILE, "to_phone": {NG KEYS}, "to_browser": {NG KEYS}, "from": "both"|"browser"|"phone"}
//       comes first; "counts": false stands for a load without media, of which an interface may have several.
//       The browser's address is even and the phone's odd; who offers alternates, if both do.
//   {"do": "set-up", "calls": N, "window": W}  more calls, from the NG offer to the browser's keys
//   {"do": "prove"}                            in every call each side hears the other, in both sections
//   {"do": "media", "legs": K, "seconds": S}   the first K calls, both ways; counts what arrives
//
// Between orders it answers checks and asks for consent.

#include "bench/frame.hpp"
#include "bench/web_call.hpp"
#include "media.skel.h"  // generated
#include "relay/dtls/openssl_dtls.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

using namespace ferry;
using namespace ferry::bench;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::size_t kBatch = 64;
constexpr Duration kCallTime = std::chrono::seconds(30);
constexpr std::array<Side, 2> kSides = {Side::kBrowser, Side::kPhone};
// Mark of the NG socket in the events of epoll. Others: number of the call, and below it which socket it is.
constexpr std::uint64_t kNg = ~std::uint64_t{0};
// That of the orders, which only end a wait.
constexpr std::uint64_t kOrders = kNg - 1;

Instant now() { return std::chrono::steady_clock::now(); }
double seconds_since(Instant start) { return std::chrono::duration<double>(now() - start).count(); }

json read_line() {
  std::string line;
  return std::getline(std::cin, line) ? json::parse(line) : json();
}

// A UDP socket that is connected to `to` in another network namespace; empty: in this one.
int open_ng(const std::string& name, const Endpoint& to) {
  const int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  const int there = name.empty() ? here : open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (there < 0 || setns(there, CLONE_NEWNET) != 0) throw std::runtime_error("cannot enter " + name);
  const SocketAddress address(to);
  const int fd = socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const bool is_good = fd >= 0 && connect(fd, address.get(), address.size()) == 0;
  if (setns(here, CLONE_NEWNET) != 0 || !is_good) throw std::runtime_error("no NG socket");
  if (there != here) close(there);
  close(here);
  return fd;
}

/// The counter at the interface of both parties.
class Counter {
 public:
  explicit Counter(const std::string& interface) : skeleton_(media_bpf__open_and_load()) {
    if (skeleton_ == nullptr) throw std::runtime_error("the kernel refuses the programs of the bench");
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.flags = XDP_FLAGS_DRV_MODE;
    if (bpf_link_create(bpf_program__fd(skeleton_->progs.count),
                        static_cast<int>(if_nametoindex(interface.c_str())), BPF_XDP, &options) < 0)
      throw std::runtime_error("cannot count at " + interface);
  }
  ~Counter() { media_bpf__destroy(skeleton_); }
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  /// From now on media is counted and taken away, or not.
  void set(bool counts) {
    if (counts) std::ranges::fill(skeleton_->bss->heard, 0);
    skeleton_->bss->is_counting = counts ? 1 : 0;
  }
  /// By kind: audio to browsers, audio to phones, video to browsers, video to phones.
  [[nodiscard]] std::array<std::uint64_t, 4> heard() const {
    std::array<std::uint64_t, 4> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
      all[i] = __atomic_load_n(&skeleton_->bss->heard[i], __ATOMIC_RELAXED);
    return all;
  }

 private:
  media_bpf* skeleton_;
};

class Generator {
 public:
  explicit Generator(const json& order);
  ~Generator();
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  /// Serves the calls until there is an order to read, or no more will come.
  void wait_for_order();
  json obey(const json& order);

 private:
  /// A call that is being set up.
  struct Pending {
    WebCall* call;
    bool is_answered = false;  // the reply to the offer came
    bool has_begun = false;    // so did that to the answer
    std::string request;
    Instant begun;
    Instant sent;
  };

  json set_up(unsigned count, std::size_t window);
  json prove();
  json media(std::size_t legs, double seconds);

  void watch(int fd, std::uint64_t mark);
  void watch_transports(WebCall& call);
  void begin_call();
  void request(Pending& pending, json keys);
  void on_reply(std::string_view reply);
  /// True if all keys are there.
  bool drive(Pending& pending);
  /// Reads everything that has come, and waits for it for so long.
  void pump(int timeout_ms);
  void read_ng();
  void read_media(std::uint64_t mark);
  void keep_consent();
  void put(std::size_t leg, Side from, std::size_t section, bool is_last);
  void flush();

  json order_;
  CallSettings settings_;
  int ng_ = -1;
  int epoll_ = -1;
  int frames_ = -1;
  /// Null: no media is asked for.
  std::unique_ptr<Counter> counter_;
  std::vector<std::unique_ptr<WebCall>> calls_;
  std::map<unsigned, Pending> pending_;  // by number of the call
  Instant driven_{};

  struct Slot {
    FrameHeaders headers;
    std::array<std::byte, 1456> rtp;
  } __attribute__((packed));
  /// Headers of each stream, with the size of payload that they are for.
  struct Stream {
    std::size_t size = 0;
    FrameHeaders headers;
  };
  std::vector<std::array<std::array<Stream, kSections>, 2>> streams_;  // by leg, side and section
  std::vector<Slot> slots_{kBatch};
  std::array<std::size_t, kBatch> sizes_{};
  std::size_t filled_ = 0;
  std::uint64_t sent_ = 0;
};

Generator::Generator(const json& order) : order_(order) {
  if (order.value("counts", true))
    counter_ = std::make_unique<Counter>(order.at("interface").get<std::string>());
  rlimit limit{200'000, 200'000};
  setrlimit(RLIMIT_NOFILE, &limit);
  const auto browser = IpAddress::parse(order.at("browser").get<std::string>());
  const auto phone = IpAddress::parse(order.at("phone").get<std::string>());
  const auto ng = Endpoint::parse(order.at("ng").get<std::string>());
  if (!browser || !phone || !ng) throw std::runtime_error("browser, phone and ng are addresses");
  settings_ = {*browser, *phone, OpenSslDtls().make_identity()};
  ng_ = open_ng(order.value("ng_namespace", ""), *ng);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  frames_ = open_frame_socket(order.at("interface"));
  watch(ng_, kNg);
  watch(STDIN_FILENO, kOrders);
  // Whoever listens answers; before that there is silence, or nobody at the port.
  const std::string ping = R"(0 {"command": "ping"})";
  std::array<char, 512> reply;
  for (int tries = 0; recv(ng_, reply.data(), reply.size(), 0) <= 0; ++tries) {
    if (tries == 100) throw std::runtime_error("the relay does not answer");
    static_cast<void>(send(ng_, ping.data(), ping.size(), 0));
    usleep(100'000);
  }
}

Generator::~Generator() {
  calls_.clear();
  for (const int fd : {ng_, epoll_, frames_}) close(fd);
}

json Generator::obey(const json& order) {
  const std::string what = order.at("do");
  if (what == "set-up") return set_up(order.at("calls"), order.at("window"));
  if (what == "prove") return prove();
  if (what == "media") return media(order.at("legs"), order.at("seconds"));
  throw std::runtime_error("nobody knows what this is: " + what);
}

void Generator::watch(int fd, std::uint64_t mark) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = mark;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Generator::watch_transports(WebCall& call) {
  for (std::size_t i = 0; i < call.transports(); ++i)
    watch(call.transport(i).fd(), std::uint64_t{call.number()} << 8 | i);
}

void Generator::request(Pending& pending, json keys) {
  const unsigned number = pending.call->number();
  keys["call-id"] = fmt::format("web-{}", number);
  keys["from-tag"] = fmt::format("A{}", number);
  pending.request = fmt::format("{}_{} {}", number, pending.is_answered ? 2 : 1, keys.dump());
  pending.sent = now();
  static_cast<void>(send(ng_, pending.request.data(), pending.request.size(), 0));
}

void Generator::begin_call() {
  const auto number = static_cast<unsigned>(calls_.size());
  const std::string from = order_.value("from", "both");
  const bool browser_offers = from == "browser" || (from == "both" && number % 2 == 0);
  calls_.push_back(std::make_unique<WebCall>(number, browser_offers, settings_));
  WebCall& call = *calls_.back();
  for (std::size_t section = 0; section < kSections; ++section)
    watch(call.phone_fd(section), std::uint64_t{number} << 8 | 0x80 | section);
  if (browser_offers) watch_transports(call);
  Pending& pending = pending_[number];
  pending.call = &call;
  pending.begun = now();
  json keys = order_.at(browser_offers ? "to_phone" : "to_browser");
  keys["command"] = "offer";
  keys["sdp"] = call.sdp(browser_offers ? Side::kBrowser : Side::kPhone);
  request(pending, std::move(keys));
}

void Generator::on_reply(std::string_view reply) {
  const std::size_t blank = reply.find(' ');
  unsigned number = 0;
  unsigned step = 0;
  if (blank == std::string_view::npos || std::sscanf(reply.data(), "%u_%u", &number, &step) != 2) return;
  const auto found = pending_.find(number);
  if (found == pending_.end()) return;
  Pending& pending = found->second;
  if (pending.has_begun || step != (pending.is_answered ? 2u : 1u)) return;  // a repetition
  const json answer = json::parse(reply.substr(blank + 1));
  if (answer.value("result", "") != "ok") throw std::runtime_error("the relay refused: " + answer.dump());
  WebCall& call = *pending.call;
  const Side offerer = call.browser_offers() ? Side::kBrowser : Side::kPhone;
  const Side answerer = call.browser_offers() ? Side::kPhone : Side::kBrowser;
  call.hear(pending.is_answered ? offerer : answerer, answer.at("sdp"));
  if (pending.is_answered) {
    call.begin();
    pending.has_begun = true;
    return;
  }
  if (!call.browser_offers()) watch_transports(call);
  pending.is_answered = true;
  request(pending,
          {{"command", "answer"}, {"to-tag", fmt::format("B{}", number)}, {"sdp", call.sdp(answerer)}});
}

bool Generator::drive(Pending& pending) {
  const Instant time = now();
  WebCall& call = *pending.call;
  const bool is_late = time - pending.begun > kCallTime;
  const auto give_up = [&call](std::string_view why) {
    throw std::runtime_error(fmt::format("call {}, offered by the {}: {}", call.number(),
                                         call.browser_offers() ? "browser" : "phone", why));
  };
  if (!pending.has_begun) {
    if (is_late) give_up("no reply by NG");
    if (time - pending.sent > std::chrono::seconds(1)) {
      pending.sent = time;
      static_cast<void>(send(ng_, pending.request.data(), pending.request.size(), 0));
    }
    return false;
  }
  bool is_ready = true;
  for (std::size_t i = 0; i < call.transports(); ++i) {
    WebTransport& transport = call.transport(i);
    transport.drive(time);
    const WebTransport::Stage stage = transport.stage();
    if (stage == WebTransport::Stage::kReady) continue;
    is_ready = false;
    if (is_late || stage == WebTransport::Stage::kFailed) give_up(to_string(stage));
  }
  return is_ready;
}

json Generator::set_up(unsigned count, std::size_t window) {
  const Instant start = now();
  const std::size_t first = calls_.size();
  const std::size_t end = first + count;
  std::vector<double> took;
  while (took.size() < count) {
    while (pending_.size() < window && calls_.size() < end) begin_call();
    pump(1);
    for (auto each = pending_.begin(); each != pending_.end();) {
      if (!drive(each->second)) {
        ++each;
        continue;
      }
      took.push_back(seconds_since(each->second.begun) * 1000);
      each = pending_.erase(each);
    }
  }
  const double seconds = seconds_since(start);
  std::ranges::sort(took);
  std::map<std::string, unsigned> suites;
  std::set<Endpoint> ends;
  std::size_t handshakes = 0;
  for (std::size_t i = first; i < end; ++i) {
    handshakes += calls_[i]->transports();
    ++suites[std::string(calls_[i]->transport(0).suite())];
    for (std::size_t k = 0; k < calls_[i]->transports(); ++k)
      ends.insert(calls_[i]->transport(k).remote().candidate);
  }
  return {{"calls", count},
          {"seconds", seconds},
          {"handshakes", handshakes},
          {"relay_ends", ends.size()},
          {"p50_ms", took[took.size() / 2]},
          {"p99_ms", took[took.size() * 99 / 100]},
          {"suites", suites}};
}

json Generator::prove() {
  for (const Instant start = now();;) {
    std::size_t missing = 0;
    std::string which;
    for (const auto& call : calls_) {
      for (std::size_t section = 0; section < kSections; ++section) {
        for (const Side by : kSides) {
          if (call->has_heard(by, section)) continue;
          ++missing;
          which = fmt::format("call {}: no {} to the {}", call->number(), kNames[section],
                              by == Side::kBrowser ? "browser" : "phone");
          call->send_packet(by == Side::kBrowser ? Side::kPhone : Side::kBrowser, section);
        }
      }
      // The relay's queues are those of calls in real time.
      if (missing > 0 && call->number() % 8 == 0) pump(1);
    }
    if (missing == 0) return {{"calls", calls_.size()}, {"seconds", seconds_since(start)}};
    if (now() - start > kCallTime)
      throw std::runtime_error(
          fmt::format("{} of {} streams do not arrive, {}", missing, 4 * calls_.size(), which));
    for (const Instant sent = now(); seconds_since(sent) < 0.2;) pump(20);
  }
}

void Generator::put(std::size_t leg, Side from, std::size_t section, bool is_last) {
  WebCall& call = *calls_[leg];
  Slot& slot = slots_[filled_];
  Stream& stream = streams_[leg][static_cast<std::size_t>(from)][section];
  const std::size_t size = call.write_packet(from, section, false, is_last, MutableBytes(slot.rtp));
  if (stream.size != size) {
    Endpoint at;
    const Endpoint to = call.way(from, section, at).peer;
    stream = {size, make_headers({at.address.to_string(), at.port.value, to.address.to_string(),
                                  to.port.value, order_["macs"][0], order_["macs"][1]},
                                 size)};
  }
  slot.headers = stream.headers;
  sizes_[filled_] = sizeof(FrameHeaders) + size;
  if (++filled_ == kBatch) flush();
}

void Generator::flush() {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> pieces{};
  for (std::size_t i = 0; i < filled_; ++i) {
    pieces[i] = {&slots_[i], sizes_[i]};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  // What the interface does not take was never sent.
  const int n = filled_ == 0 ? 0 : sendmmsg(frames_, messages.data(), static_cast<unsigned>(filled_), 0);
  if (n > 0) sent_ += static_cast<std::uint64_t>(n);
  filled_ = 0;
}

json Generator::media(std::size_t legs, double seconds) {
  if (!counter_) throw std::runtime_error("media is asked of a load that does not count");
  if (legs == 0 || legs > calls_.size()) throw std::runtime_error("no such number of legs");
  streams_.resize(calls_.size());
  counter_->set(true);
  sent_ = 0;
  std::uint64_t audio = 0;
  std::uint64_t pictures = 0;
  Instant pumped{};
  const Instant start = now();
  const auto per_second = [&](unsigned rate) { return static_cast<double>(legs) * rate; };
  for (double time = 0; time < seconds; time = seconds_since(start)) {
    // Legs follow each other evenly; the packets of a picture leave together, as those of a camera do.
    bool is_late = false;
    if (static_cast<double>(audio) < time * per_second(kAudioPerSecond)) {
      for (const Side from : kSides) put(audio % legs, from, 0, true);
      ++audio;
      is_late = true;
    }
    if (static_cast<double>(pictures) < time * per_second(kPicturesPerSecond)) {
      for (unsigned i = 0; i < kPacketsOfPicture; ++i) {
        for (const Side from : kSides) put(pictures % legs, from, 1, i + 1 == kPacketsOfPicture);
      }
      ++pictures;
      is_late = true;
    }
    if (!is_late) flush();
    if (now() - pumped > milliseconds(2)) {
      pump(0);
      pumped = now();
    }
  }
  flush();
  const double took = seconds_since(start);
  // What is under way arrives. 60 ms without a packet are the end, or 0.5 s while many are missing: somebody
  // else may have the relay's core.
  auto heard = counter_->heard();
  const auto total = [&heard] { return heard[0] + heard[1] + heard[2] + heard[3]; };
  for (Instant last = now();
       now() - last < (total() >= sent_ * 9 / 10 ? milliseconds(60) : milliseconds(500));) {
    pump(5);
    const auto again = counter_->heard();
    if (again != heard) last = now();
    heard = again;
  }
  counter_->set(false);
  const double wanted =
      seconds * 2 * (per_second(kAudioPerSecond) + per_second(kPicturesPerSecond) * kPacketsOfPicture);
  return {{"legs", legs},    {"wanted", wanted},    {"sent", sent_},
          {"seconds", took}, {"received", total()}, {"heard", heard}};
}

void Generator::wait_for_order() {
  for (pollfd input{STDIN_FILENO, POLLIN, 0}; poll(&input, 1, 0) == 0;) pump(20);
}

void Generator::read_ng() {
  std::array<char, 32768> buffer;
  for (ssize_t size = 0; (size = recv(ng_, buffer.data(), buffer.size() - 1, 0)) > 0;) {
    buffer[static_cast<std::size_t>(size)] = 0;
    on_reply({buffer.data(), static_cast<std::size_t>(size)});
  }
}

void Generator::read_media(std::uint64_t mark) {
  WebCall& call = *calls_[mark >> 8];
  const std::size_t number = mark & 0x7f;
  const bool is_phone = (mark & 0x80) != 0;
  if (!is_phone && number >= call.transports()) return;  // closed meanwhile
  const int fd = is_phone ? call.phone_fd(number) : call.transport(number).fd();
  std::array<std::byte, 2048> buffer;
  for (;;) {
    SocketAddress from;
    const ssize_t size = recvfrom(fd, buffer.data(), buffer.size(), 0, from.get(), from.size_pointer());
    if (size < 0) return;
    const MutableBytes datagram = MutableBytes(buffer).first(static_cast<std::size_t>(size));
    if (is_phone) {
      const unsigned type = datagram.size() < 12 ? 64 : read_u8(datagram, 1) & 0x7f;
      if (type < 64 || type >= 96) call.note(Side::kPhone, datagram);
      continue;
    }
    const auto plain = call.transport(number).take(from.endpoint(), datagram, now());
    if (plain) call.note(Side::kBrowser, *plain);
  }
}

void Generator::pump(int timeout_ms) {
  std::array<epoll_event, 256> events;
  const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t mark = events[static_cast<std::size_t>(i)].data.u64;
    if (mark == kNg) {
      read_ng();
    } else if (mark != kOrders) {
      read_media(mark);
    }
  }
  if (now() - driven_ > milliseconds(100)) keep_consent();
}

void Generator::keep_consent() {
  driven_ = now();
  for (const auto& call : calls_) {
    if (pending_.contains(call->number())) continue;
    for (std::size_t i = 0; i < call->transports(); ++i) {
      WebTransport& transport = call->transport(i);
      if (transport.stage() == WebTransport::Stage::kReady) transport.drive(driven_);
    }
  }
}

int run() {
  Generator generator(read_line());
  std::cout << json{{"ready", true}}.dump() << std::endl;
  for (;;) {
    generator.wait_for_order();
    const json order = read_line();
    if (order.is_null()) return 0;
    std::cout << generator.obey(order).dump() << std::endl;
  }
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& e) {
    std::cout << json{{"error", e.what()}}.dump() << std::endl;
    return 1;
  }
}
