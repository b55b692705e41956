// SPDX-License-Identifier: Apache-2.0
// The control rows of docs/rules.md (C-01 … C-13) as one table.

#include "control/config/config.hpp"
#include "control/log/log.hpp"
#include "control/protocol/access.hpp"
#include "control/protocol/ng/bencode.hpp"
#include "control/protocol/udp_listener.hpp"
#include "relay/io/portable/socket_address.hpp"
#include "tests/support/world.hpp"

#include <atomic>
#include <random>
#include <set>
#include <thread>

#include <event2/event.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

struct Line {
  std::string id;
  std::string what;
  std::string found;
  bool holds = false;
};

const IpAddress kLocal = IpAddress::v4({127, 0, 0, 1});

bool alive(World& world) { return world.ng({{"command", "ping"}})["result"] == "pong"; }

Line c01() {
  const auto world = make_sim_world();
  std::vector<std::string> bad = {
      "c " + std::string(100'000, 'l'),
      "c " + std::string(100'000, 'd'),
      "c d1:a" + std::string(100'000, 'l'),
      "c {" + std::string(100'000, '['),
      "c {\"a\":" + std::string(100'000, '['),
      "c d9223372036854775808:x",
      "c d18446744073709551617:x",
      "c d7:command9223372036854775807:x",
      "c d1:ai99999999999999999999ee",
      "c d1:a-1:xe",
      std::string("c d\0\0e", 6),
      "c d4:" + std::string(300'000, 'x'),
  };
  std::mt19937 random(1);  // a fixed seed: the same datagrams each time
  const std::string good = "c d7:command5:offer7:call-id1:x8:from-tag1:y3:sdp5:v=0\r\ne";
  for (int i = 0; i < 20'000; ++i) {
    std::string mutated = good;
    for (unsigned n = random() % 4 + 1; n > 0; --n)
      mutated[random() % mutated.size()] = static_cast<char>(random());
    mutated.resize(random() % (mutated.size() + 1));
    bad.push_back(mutated);
  }
  std::size_t replies = 0;
  for (std::size_t i = 0; i < bad.size(); ++i) {
    bad[i] = std::to_string(i) + bad[i];
    if (world->service().handle(bad[i], kLocal)) ++replies;
    world->manager().flush(world->clock());
  }
  return {"C-01", "broken bencode and JSON, nesting 10^5, length 2^63",
          fmt::format("{} of {} answered", replies, bad.size()), alive(*world)};
}

Line c02() {
  const auto world = make_sim_world();
  const std::string head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
  const std::string audio = "m=audio 4000 RTP/AVP 8\r\n";
  std::string many_lines = head;
  for (int i = 0; i < 4100; ++i) many_lines += "a=x\r\n";
  std::string hundred_media = head;
  for (int i = 0; i < 100; ++i) hundred_media += audio;
  std::string thousand_media = head;
  for (int i = 0; i < 1000; ++i) thousand_media += audio;
  std::string many_formats = head + "m=audio 4000 RTP/AVP";
  for (int i = 0; i < 100; ++i) many_formats += " " + std::to_string(i);
  const std::vector<std::pair<std::string, bool>> bodies = {
      // body, and whether it may be accepted
      {many_lines + audio, false},
      {head, false},
      {hundred_media, false},
      {thousand_media, false},
      {many_formats + "\r\n", false},
      {head + "m=audio 0 RTP/AVP 8\r\n", true},
      {head + "m=audio 65536 RTP/AVP 8\r\n", false},
      {head + "m=audio -1 RTP/AVP 8\r\n", false},
      {head + audio + std::string("a=nul\0here\r\n", 12), true},
      {"v=0\ro=- 1 1 IN IP4 192.0.2.1\ns=-\r\nc=IN IP4 192.0.2.1\rt=0 0\nm=audio 4000 RTP/AVP 8\r", true},
      {head + audio + "a=fmtp:8 " + std::string(9000, 'x') + "\r\n", false},
      {head + audio + "a=fmtp:8 " + std::string(7000, 'x') + "\r\n", true},
      {head + audio + std::string(100'000, 'a'), false},
      {std::string(130 * 1024, 'v'), false},
      {head + "m=audio 4000/999999999999 RTP/AVP 8\r\n", false},
      {head + "m=audio 4000 RTP/AVP 999 -5 x\r\n", true},
      {head + audio +
           "a=rtcp:99999999\r\na=rtpmap:\r\na=rtpmap:8\r\na=rtpmap:300 x/1\r\na=fmtp:\r\na=\r\nb=\r\n",
       true},
  };
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    const json reply = world->ng(offer("c02-" + std::to_string(i), "A", bodies[i].first));
    const bool ok = reply["result"] == "ok";
    if (ok != bodies[i].second) {
      ++wrong;
      fmt::print("C-02 body {}: {}\n", i, reply.dump());
    }
    // What was refused left nothing behind.
    if (!ok && world->manager().find("c02-" + std::to_string(i)) != nullptr) ++wrong;
  }
  world->manager().terminate_all(world->clock());
  world->manager().flush(world->clock());
  const std::size_t left = world->open_ports();
  return {"C-02", "SDP torture: lines, sections, ports, NUL, line ends, huge fmtp",
          fmt::format("{} of {} as expected, {} ports left", bodies.size() - wrong, bodies.size(), left),
          wrong == 0 && left == 0 && alive(*world)};
}

Line c03() {
  const auto world = make_sim_world();
  const Endpoint a{IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};
  const json request = offer("c03", "A", audio_sdp(a));
  const auto first = world->service().handle("same " + request.dump(), kLocal);
  const auto second = world->service().handle("same {\"command\":\"list\"}", kLocal);
  bool ok = first && second && *first == *second;
  const auto elsewhere =
      world->service().handle("same {\"command\":\"ping\"}", IpAddress::v4({192, 0, 2, 9}));
  ok = ok && elsewhere && elsewhere->find("pong") != std::string::npos;  // another client's cookie
  for (int i = 0; i < 1000; ++i) world->ng(request);
  const std::size_t ports = world->open_ports();
  const json orphan = world->ng(answer("nobody", "A", "B", audio_sdp(a)));
  return {"C-03", "same cookie, other body; 1,000 duplicate offers; answer without offer",
          fmt::format("{} call, {} ports, '{}'", world->manager().size(), ports,
                      orphan.value("error-reason", "")),
          ok && world->manager().size() == 1 && ports == 4 && orphan["error-reason"] == "Unknown call-id"};
}

Line c04() {
  std::vector<std::string> words = {"rtpferryd", "--config-file=none", "--interface=127.0.0.1",
                                    "--listen-ng=0.0.0.0:2223"};
  const auto load = [&] {
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    return load_config(arguments);
  };
  const auto open = load();
  words.push_back("--control-allow=192.0.2.0/24");
  const auto listed = load();
  return {"C-04", "control on 0.0.0.0 without an allow-list",
          open ? "starts" : open.error().text.substr(0, 50) + "…", !open && listed.has_value()};
}

Line c05() {
  AccessList list({Network::parse("192.0.2.0/24").value()}, false);
  const Instant now{1h};
  const bool stranger = list.admit(IpAddress::v4({198, 51, 100, 1}), now);
  const bool known = list.admit(IpAddress::v4({192, 0, 2, 7}), now);
  AccessList open({}, true);
  std::size_t admitted = 0;
  for (int i = 0; i < 10'000; ++i) admitted += open.admit(IpAddress::v4({198, 51, 100, 1}), now) ? 1u : 0u;
  return {
      "C-05", "command from a foreign address",
      fmt::format("foreign {}, budget of an open listener {}", stranger ? "admitted" : "silence", admitted),
      !stranger && known && admitted == 2000};
}

Line c06() {
  const auto world = make_sim_world();
  const Endpoint a{IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};
  const std::vector<std::string> ids = {
      "../../x", std::string(10'000, 'i'), std::string("nul\0inside", 10), "100%s%n", "two\nlines",
      "\xff\xfe"};
  bool ok = true;
  for (const std::string& id : ids) {
    Dict request;
    request.set("command", "offer");
    request.set("call-id", id);
    request.set("from-tag", "A");
    request.set("sdp", audio_sdp(a));
    const std::string reply = world->service().handle_document(ng::encode_bencode(Value(request)), kLocal);
    ok = ok && reply.find("6:result2:ok") != std::string::npos;
    const std::string line = log::quote(id);
    ok = ok && line.size() <= 700 && line.find_first_of("\n\r\"") == std::string::npos &&
         line.find('\0') == std::string::npos;
    ok = ok && !world->manager().show(id, world->clock()).is_null();
    Dict remove;
    remove.set("command", "delete");
    remove.set("call-id", id);
    remove.set("delete delay", 0);
    world->service().handle_document(ng::encode_bencode(Value(remove)), kLocal);
  }
  return {"C-06", "hostile call-ids", fmt::format("{} calls left", world->manager().size()),
          ok && world->manager().size() == 0};
}

/// The real listener on a socket, in a thread of its own as in the daemon.
Line c11() {
  const auto world = make_live_world();
  EventBase base(event_base_new());
  AccessList access({}, false);
  const auto clock = [&] { return world->clock(); };
  UdpListener listener(base.get(), {IpAddress::v4({127, 250, 0, 9}), UdpPort{0}}, world->service(),
                       world->manager(), access, clock, 0);
  const SocketAddress target(listener.local());
  std::atomic<bool> stop{false};
  std::thread control([&] {
    while (!stop) {
      event_base_loop(base.get(), EVLOOP_NONBLOCK);
      world->manager().flush(world->clock());
    }
  });
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  const int size = 16 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  connect(fd, target.get(), target.size());
  // Offers of 6,000 new calls as fast as the socket takes them: many times what can be set up. What the
  // kernel could not keep is sent again, as a proxy would.
  constexpr std::size_t kRequests = 6000;
  std::vector<std::string> requests;
  for (std::size_t i = 0; i < kRequests; ++i) {
    json o =
        offer("c11-" + std::to_string(i), "A", audio_sdp({IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}}));
    requests.push_back(fmt::format("{} {}", i, o.dump()));
  }
  std::set<std::size_t> answered;
  std::size_t refused = 0;
  std::vector<char> buffer(65536);
  const auto collect = [&](int wait_ms) {
    pollfd waiting{fd, POLLIN, 0};
    if (poll(&waiting, 1, wait_ms) <= 0) return false;
    for (ssize_t n = 0; (n = recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
      const std::string_view reply(buffer.data(), static_cast<std::size_t>(n));
      const bool is_new = answered.insert(static_cast<std::size_t>(std::atoi(buffer.data()))).second;
      if (is_new && reply.find("Parallel session limit reached") != std::string_view::npos) ++refused;
    }
    return true;
  };
  unsigned rounds = 0;
  for (; rounds < 5 && answered.size() < kRequests; ++rounds) {
    for (std::size_t i = 0; i < kRequests; ++i) {
      if (!answered.contains(i)) send(fd, requests[i].data(), requests[i].size(), 0);
      if (i % 64 == 0) collect(0);
    }
    while (collect(300)) {
    }
  }
  stop = true;
  control.join();
  close(fd);
  return {"C-11", "offers many times faster than they can be set up",
          fmt::format("{} of {} answered ({} refused) within {} tries", answered.size(), kRequests, refused,
                      rounds),
          answered.size() == kRequests && rounds <= 5};
}

Line c12() {
  WorldOptions options;
  options.port_min = UdpPort{30000};
  options.port_max = UdpPort{30003};  // two pairs: one call
  options.session.delete_delay = 0s;
  const auto world = make_sim_world(options);
  const Endpoint a{IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};
  const auto remove = [&](const char* id) {
    world->ng({{"command", "delete"}, {"call-id", id}, {"from-tag", "A"}});
  };
  bool ok = world->ng(offer("one", "A", audio_sdp(a)))["result"] == "ok";
  const json full = world->ng(offer("two", "A", audio_sdp(a)));
  ok = ok && full["error-reason"] == "Ran out of ports" && world->manager().size() == 1;
  // A re-offer that finds no port fails alone: the call goes on as it was (CTL-6).
  const json before = world->ng({{"command", "query"}, {"call-id", "one"}});
  json moved = offer("one", "A", audio_sdp({a.address, UdpPort{4002}}));
  ok = ok && world->ng(moved)["error-reason"] == "Ran out of ports";
  ok = ok && world->ng({{"command", "query"}, {"call-id", "one"}}) == before;
  remove("one");
  ok = ok && world->ng(offer("three", "A", audio_sdp(a)))["result"] == "ok";
  remove("three");
  world->limit_descriptors(3);
  const json without = world->ng(offer("four", "A", audio_sdp(a)));
  ok = ok && without["error-reason"] == "Parallel session limit reached" && world->open_ports() == 0 &&
       without["message"] == row_of(PortFailure::kNoDescriptors).text;
  world->limit_descriptors(100);
  ok = ok && world->ng(offer("five", "A", audio_sdp(a)))["result"] == "ok";
  remove("five");
  ReplyCache cache(10'000);
  for (int i = 0; i < 1000; ++i) cache.store(std::to_string(i), std::string(500, 'r'), Instant{1h});
  ok = ok && cache.bytes() < 11'000 && cache.find("999").has_value();
  return {"C-12", "ports, descriptors, memory for replies exhausted in turn",
          fmt::format("{} ports left", world->open_ports()), ok && world->open_ports() == 0};
}

Line c13() {
  const auto world = make_sim_world();
  const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
  const Endpoint b{world->peer_address(1, 'B'), UdpPort{4000}};
  world->open(b);
  const UdpPort to_b = World::port_of(world->ng(offer("c13", "A", audio_sdp(a))));
  const UdpPort port = World::port_of(world->ng(answer("c13", "A", "B", audio_sdp(b))));
  std::size_t sent = 0;
  for (Duration t = 0s; t < 30s; t += 20ms) {
    const auto n = static_cast<std::uint16_t>(t / 20ms);
    world->at(t, [&, n] {
      world->send(a, {world->relay_address(), port}, rtp('A', 1, n));
      world->send(b, {world->relay_address(), to_b}, rtp('B', 2, n));
      ++sent;
    });
  }
  world->at(5s + 1ms, [&] { world->step_wall_clock(1h); });
  world->at(8s + 1ms, [&] { world->step_wall_clock(-2h); });
  world->at(10s - 1ms, [&] { world->stop(); });
  world->at(15s - 1ms, [&] { world->go_on(); });
  world->run(30s);
  const std::size_t got = world->count(b, 'A');
  const std::uint64_t stale = world->manager()
                                  .plane()
                                  .worker(0)
                                  .totals()
                                  .drops[static_cast<std::size_t>(DropReason::kStaleAfterPause)]
                                  .load();
  return {
      "C-13", "wall clock steps of an hour; process stopped for 5 s",
      fmt::format("{} of {} packets, {} stale of both, {} call", got, sent, stale, world->manager().size()),
      got + 250 - 10 == sent && stale == 2 * (250 - 10) && world->manager().size() == 1};
}

TEST(ControlTable, Rows) {
  const std::vector<Line> lines = {c01(), c02(), c03(), c04(), c05(), c06(), c11(), c12(), c13()};
  fmt::print("\nControl rows\n{:<6} {:<70} {:<66} {}\n", "row", "what happens", "found", "holds");
  for (const Line& line : lines) {
    fmt::print("{:<6} {:<70} {:<66} {}\n", line.id, line.what, line.found, line.holds ? "yes" : "NO");
    EXPECT_TRUE(line.holds) << line.id << ": " << line.found;
  }
}

}  // namespace
}  // namespace ferry::test
