// SPDX-License-Identifier: Apache-2.0
// The two ends of the media bench: `mediagen gen INTERFACE` sends prepared RTP frames at a rate and counts
// and times what comes back, `mediagen bare|bare-tc INTERFACE` attaches the least that a forwarder must do.
// Both read JSON lines.
//
//   gen   {"flows": [["SRC", PORT, "DST", PORT, "SRC-MAC", "DST-MAC", "CRYPTO"], …]} (CRYPTO: a value of
//         a=crypto that the stream is encrypted by, or empty), then {"rate": N, "seconds": S} as
//   often as
//         wanted; each answers {"sent": …, "received": …, "p50_us": …, "p99_us": …, "p999_us": …}
//   bare  {"flows": [["LOCAL", PORT, "OUT-LOCAL", PORT, "OUT-PEER", PORT], …]}, then waits for the end of its
//   input

#include "bench/frame.hpp"
#include "control/sdp/sdes.hpp"
#include "media.skel.h"  // generated
#include "relay/core/srtp/srtp_context.hpp"
#include "relay/srtp/evp_backend.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace ferry;
using nlohmann::json;

constexpr std::size_t kBuckets = 1024;
constexpr std::size_t kPayload = 172;
constexpr std::size_t kTag = 10;
constexpr std::size_t kBatch = 32;

struct Frame {
  bench::FrameHeaders headers;
  std::array<std::uint8_t, kPayload + kTag + 4> rtp;
} __attribute__((packed));
/// Of a frame whose RTP packet has this size.
constexpr std::size_t frame_size(std::size_t rtp) { return sizeof(Frame) - sizeof(Frame::rtp) + rtp; }

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

Frame make_frame(const json& flow, std::uint32_t ssrc, std::size_t size) {
  Frame frame{};
  frame.headers = bench::make_headers({flow[0], flow[1], flow[2], flow[3], flow[4], flow[5]}, size);
  frame.rtp[0] = 0x80;
  frame.rtp[1] = 96;
  const std::uint32_t ssrc_be = htonl(ssrc);
  std::memcpy(frame.rtp.data() + 8, &ssrc_be, 4);
  return frame;
}

std::vector<std::uint64_t> read_buckets(int map) {
  std::vector<std::uint64_t> sums(kBuckets);
  std::vector<std::uint64_t> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  for (std::uint32_t i = 0; i < kBuckets; ++i) {
    if (bpf_map_lookup_elem(map, &i, cpus.data()) != 0) continue;
    for (const auto cpu : cpus) sums[i] += cpu;
  }
  return sums;
}

double quantile_us(const std::vector<std::uint64_t>& counts, std::uint64_t total, double share) {
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    seen += counts[i];
    if (total > 0 && static_cast<double>(seen) >= share * static_cast<double>(total))
      return static_cast<double>(16 + i % 16) * static_cast<double>(1ull << (i / 16)) / 16.0 / 1000.0;
  }
  return 0;
}

void attach_tc(const bpf_program* program, unsigned ifindex) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_INGRESS;
  bpf_tc_hook_create(&hook);
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.prog_fd = bpf_program__fd(program);
  options.flags = BPF_TC_F_REPLACE;
  options.handle = 1;
  options.priority = 1;
  if (const int error = bpf_tc_attach(&hook, &options); error != 0)
    throw std::runtime_error(std::string("cannot attach: ") + std::strerror(-error));
}

int attach(const bpf_program* program, unsigned ifindex) {
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.flags = XDP_FLAGS_DRV_MODE;
  const int link = bpf_link_create(bpf_program__fd(program), static_cast<int>(ifindex), BPF_XDP, &options);
  if (link < 0) throw std::runtime_error(std::string("cannot attach: ") + std::strerror(-link));
  return link;
}

json read_line() {
  std::string line;
  return std::getline(std::cin, line) ? json::parse(line) : json();
}

class Generator {
 public:
  Generator(const std::string& interface, const json& flows, int latencies) : latencies_(latencies) {
    for (std::size_t i = 0; i < flows.size(); ++i) {
      senders_.push_back(sender_of(flows[i][6].get<std::string>()));
      const std::size_t size = kPayload + (senders_.back() ? kTag : 0);
      frames_.push_back(make_frame(flows[i], 1000 + static_cast<std::uint32_t>(i), size));
    }
    sealed_.resize(kBatch);
    socket_ = bench::open_frame_socket(interface);
  }
  ~Generator() { close(socket_); }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  json run(double rate, double seconds) {
    const auto before = read_buckets(latencies_);
    const std::int64_t start = now_ns();
    const auto end = start + static_cast<std::int64_t>(seconds * 1e9);
    std::uint64_t sent = 0;
    std::array<mmsghdr, kBatch> messages{};
    std::array<iovec, kBatch> pieces{};
    for (std::int64_t now = start; now < end; now = now_ns()) {
      const auto due = static_cast<std::uint64_t>(static_cast<double>(now - start) * rate / 1e9);
      if (due < sent + kBatch) continue;
      for (std::size_t i = 0; i < kBatch; ++i) {
        Frame* frame = &frames_[next_];
        SrtpSender* sender = senders_[next_].get();
        if (++next_ == frames_.size()) {
          next_ = 0;
          ++sequence_;
          timestamp_ += 160;  // 20 ms at 8 kHz
        }
        const std::uint16_t sequence = htons(sequence_);
        const std::uint32_t timestamp = htonl(timestamp_);
        const std::int64_t at = now_ns();
        std::memcpy(frame->rtp.data() + 2, &sequence, 2);
        std::memcpy(frame->rtp.data() + 4, &timestamp, 4);
        std::memcpy(frame->rtp.data() + 12, &at, 8);
        std::size_t size = kPayload;
        if (sender != nullptr) {
          sealed_[i] = *frame;
          frame = &sealed_[i];
          sender->seal_rtp(std::as_writable_bytes(std::span(frame->rtp)), size);
        }
        pieces[i] = {frame, frame_size(size)};
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
      }
      const int n = sendmmsg(socket_, messages.data(), kBatch, 0);
      // What the interface does not take was never sent.
      if (n > 0) sent += static_cast<std::uint64_t>(n);
    }
    const double took = static_cast<double>(now_ns() - start) / 1e9;
    // What is under way arrives. What was lost never does, and tells nobody: 60 ms without a packet are the
    // end.
    auto after = read_buckets(latencies_);
    for (int quiet = 0; quiet < 3;) {
      usleep(20'000);
      auto again = read_buckets(latencies_);
      quiet = again == after ? quiet + 1 : 0;
      after = std::move(again);
    }
    std::uint64_t received = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) received += after[i] -= before[i];
    return {{"sent", sent},
            {"seconds", took},
            {"received", received},
            {"p50_us", quantile_us(after, received, 0.5)},
            {"p99_us", quantile_us(after, received, 0.99)},
            {"p999_us", quantile_us(after, received, 0.999)}};
  }

 private:
  static std::unique_ptr<SrtpSender> sender_of(const std::string& crypto) {
    if (crypto.empty()) return nullptr;
    const auto line = sdp::parse_crypto(crypto);
    if (!line || line->suite->suite != SrtpSuite::kAes128Cm80)
      throw std::runtime_error("the generator knows one suite");
    SrtpMasterKey key;
    key.suite = line->suite->suite;
    key.key = SecretBytes<32>(line->key_and_salt.get().first(line->suite->key));
    key.salt = SecretBytes<14>(line->key_and_salt.get().subspan(line->suite->key));
    return std::make_unique<SrtpSender>(EvpBackend().make(key));
  }

  int latencies_;
  int socket_ = -1;
  std::vector<Frame> frames_;
  std::vector<std::unique_ptr<SrtpSender>> senders_;  // null: plain
  std::vector<Frame> sealed_;
  std::size_t next_ = 0;
  std::uint16_t sequence_ = 1;
  std::uint32_t timestamp_ = 0;
};

struct End {
  std::uint32_t address = 0;
  std::uint16_t port = 0;
  std::uint16_t zero = 0;
};
struct Rewrite {
  std::uint32_t source = 0;
  std::uint32_t destination = 0;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint64_t packets = 0;
};

std::uint32_t address_be(const json& text) {
  std::uint32_t address = 0;
  inet_pton(AF_INET, text.get<std::string>().c_str(), &address);
  return address;
}

int run(const std::string& what, const std::string& interface) {
  media_bpf* skeleton = media_bpf__open_and_load();
  if (skeleton == nullptr) throw std::runtime_error("the kernel refuses the programs of the bench");
  const unsigned ifindex = if_nametoindex(interface.c_str());
  const json flows = read_line().at("flows");
  if (what.starts_with("bare")) {
    for (const json& flow : flows) {
      const End key{address_be(flow[0]), htons(flow[1].get<std::uint16_t>()), 0};
      const Rewrite to{address_be(flow[2]), address_be(flow[4]), htons(flow[3].get<std::uint16_t>()),
                       htons(flow[5].get<std::uint16_t>()), 0};
      bpf_map_update_elem(bpf_map__fd(skeleton->maps.rewrites), &key, &to, BPF_ANY);
    }
    if (what == "bare") attach(skeleton->progs.bare, ifindex);
    if (what == "bare-tc") attach_tc(skeleton->progs.bare_tc, ifindex);
    std::cout << json{{"attached", true}}.dump() << std::endl;
    while (!read_line().is_null()) {
    }
  } else {
    attach(skeleton->progs.sink, ifindex);
    Generator generator(interface, flows, bpf_map__fd(skeleton->maps.latencies));
    std::cout << json{{"attached", true}}.dump() << std::endl;
    for (json order = read_line(); !order.is_null(); order = read_line())
      std::cout << generator.run(order.at("rate"), order.at("seconds")).dump() << std::endl;
  }
  media_bpf__destroy(skeleton);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) throw std::runtime_error("usage: mediagen gen|bare|bare-tc INTERFACE");
    return run(argv[1], argv[2]);
  } catch (const std::exception& e) {
    std::cerr << "mediagen: " << e.what() << "\n";
    return 1;
  }
}
