// SPDX-License-Identifier: Apache-2.0
// CPU time to protect and to unprotect an RTP packet of 172 octets, by our back ends and by Debian's
// libsrtp2, with one session and with 4,000 in turn. Rounds are interleaved; medians are printed.

#include "relay/core/srtp/srtp_context.hpp"
#include "relay/srtp/backends.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <srtp2/srtp.h>

namespace {

using namespace ferry;

constexpr std::size_t kPacket = 172;
constexpr int kRounds = 15;
constexpr int kLibsrtpEach = 5;  // rounds: it takes seconds to make its sessions
constexpr std::uint32_t kPackets = 8'000;
constexpr std::array<std::size_t, 2> kCounts = {1, 4000};  // sessions
using Buffer = std::array<std::byte, 256>;

double cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

std::vector<std::byte> random_octets(std::mt19937& random, std::size_t size) {
  std::vector<std::byte> octets(size);
  for (auto& each : octets) each = static_cast<std::byte>(random());
  return octets;
}

/// Packets of sessions in turn, each way. False if one was refused.
struct Sessions {
  virtual ~Sessions() = default;
  virtual bool protect(std::span<Buffer> packets, std::span<std::size_t> sizes) = 0;
  virtual bool unprotect(std::span<Buffer> packets, std::span<std::size_t> sizes) = 0;
};

/// One of our back ends.
class Ours final : public Sessions {
 public:
  Ours(std::string_view backend, std::span<const SrtpMasterKey> keys) : backend_(make_srtp_backend(backend)) {
    for (const SrtpMasterKey& key : keys) {
      senders_.emplace_back(backend_->make(key));
      receivers_.emplace_back(backend_->make(key));
    }
  }
  bool protect(std::span<Buffer> packets, std::span<std::size_t> sizes) override {
    bool good = true;
    for (std::size_t i = 0; i < packets.size() && !backend_->is_batching(); ++i) {
      prefetch(senders_, i);
      good &= senders_[i % senders_.size()].seal_rtp(packets[i], sizes[i]) == SrtpResult::kOk;
    }
    for (std::size_t first = 0; first < packets.size() && backend_->is_batching(); first += kBatch) {
      const std::size_t count = std::min(kBatch, packets.size() - first);
      for (std::size_t n = 0; n < count; ++n) {
        SrtpSender& sender = senders_[(first + n) % senders_.size()];
        good &= sender.prepare_rtp(packets[first + n], sizes[first + n], std::nullopt, work_[n]) ==
                SrtpResult::kOk;
      }
      backend_->seal_rtp(std::span(work_).first(count));
      for (std::size_t n = 0; n < count; ++n) sizes[first + n] = work_[n].size;
    }
    return good;
  }
  bool unprotect(std::span<Buffer> packets, std::span<std::size_t> sizes) override {
    bool good = true;
    for (std::size_t i = 0; i < packets.size() && !backend_->is_batching(); ++i) {
      prefetch(receivers_, i);
      SrtpReceiver& receiver = receivers_[i % receivers_.size()];
      good &= receiver.open_rtp(MutableBytes(packets[i]).first(sizes[i]), sizes[i]) == SrtpResult::kOk;
    }
    for (std::size_t first = 0; first < packets.size() && backend_->is_batching(); first += kBatch) {
      const std::size_t count = std::min(kBatch, packets.size() - first);
      for (std::size_t n = 0; n < count; ++n) {
        const SrtpReceiver& receiver = receivers_[(first + n) % receivers_.size()];
        good &= receiver.prepare_rtp(MutableBytes(packets[first + n]).first(sizes[first + n]), work_[n]);
      }
      backend_->open_rtp(std::span(work_).first(count));
      for (std::size_t n = 0; n < count; ++n) {
        SrtpReceiver& receiver = receivers_[(first + n) % receivers_.size()];
        good &= work_[n].done && receiver.accept_rtp(work_[n].ssrc, work_[n].index) == SrtpResult::kOk;
      }
    }
    return good;
  }

 private:
  /// As the worker does for the packets that it has received together.
  template <class Contexts>
  static void prefetch(const Contexts& contexts, std::size_t at) {
    contexts[(at + 6) % contexts.size()].prefetch(SrtpFetch::kSession);
    contexts[(at + 3) % contexts.size()].prefetch(SrtpFetch::kContext);
  }
  static constexpr std::size_t kBatch = 32;  // what a worker has at once under load
  std::shared_ptr<const SrtpBackend> backend_;
  std::vector<SrtpSender> senders_;
  std::vector<SrtpReceiver> receivers_;
  std::array<SrtpWork, kBatch> work_{};
};

/// libsrtp2 as its users have it, without our framing.
class LibsrtpSession {
 public:
  explicit LibsrtpSession(const SrtpMasterKey& key) {
    for (const Bytes part : {key.key.get(), key.salt.get()}) {
      for (const std::byte each : part) octets_.push_back(std::to_integer<unsigned char>(each));
    }
    srtp_policy_t policy{};
    if (row_of(key.suite).is_aead) {
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    } else {
      srtp_crypto_policy_set_rtp_default(&policy.rtp);
      srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
    }
    policy.key = octets_.data();
    policy.window_size = 128;
    policy.ssrc.type = ssrc_any_outbound;
    srtp_create(&out_, &policy);
    policy.ssrc.type = ssrc_any_inbound;
    srtp_create(&in_, &policy);
  }
  ~LibsrtpSession() {
    srtp_dealloc(out_);
    srtp_dealloc(in_);
  }
  LibsrtpSession(const LibsrtpSession&) = delete;
  LibsrtpSession& operator=(const LibsrtpSession&) = delete;
  bool protect(Buffer& packet, std::size_t& size) {
    int n = static_cast<int>(size);
    const bool good = srtp_protect(out_, packet.data(), &n) == srtp_err_status_ok;
    size = static_cast<std::size_t>(n);
    return good;
  }
  bool unprotect(Buffer& packet, std::size_t& size) {
    int n = static_cast<int>(size);
    const bool good = srtp_unprotect(in_, packet.data(), &n) == srtp_err_status_ok;
    size = static_cast<std::size_t>(n);
    return good;
  }

 private:
  std::vector<unsigned char> octets_;
  srtp_t in_ = nullptr;
  srtp_t out_ = nullptr;
};

class Libsrtp final : public Sessions {
 public:
  explicit Libsrtp(std::span<const SrtpMasterKey> keys) {
    for (const SrtpMasterKey& key : keys) sessions_.push_back(std::make_unique<LibsrtpSession>(key));
  }
  bool protect(std::span<Buffer> packets, std::span<std::size_t> sizes) override {
    bool good = true;
    for (std::size_t i = 0; i < packets.size(); ++i)
      good &= sessions_[i % sessions_.size()]->protect(packets[i], sizes[i]);
    return good;
  }
  bool unprotect(std::span<Buffer> packets, std::span<std::size_t> sizes) override {
    bool good = true;
    for (std::size_t i = 0; i < packets.size(); ++i)
      good &= sessions_[i % sessions_.size()]->unprotect(packets[i], sizes[i]);
    return good;
  }

 private:
  std::vector<std::unique_ptr<LibsrtpSession>> sessions_;
};

struct Cost {
  double protect = 0;
  double unprotect = 0;
};

/// Turns through all sessions that make reading the clock cheap, until `kPackets` went each way. The first
/// turn, which meets each session anew, does not count.
std::optional<Cost> measure(Sessions& sessions, std::size_t count) {
  constexpr std::size_t batch = 4000;  // the same memory for packets, however many sessions
  constexpr std::uint32_t turns = kPackets / batch;
  std::vector<Buffer> packets(batch);
  std::vector<std::size_t> sizes(batch);
  Cost cost;
  std::uint16_t sequence = 0;
  for (std::uint32_t turn = 0; turn <= turns; ++turn) {
    for (std::size_t i = 0; i < batch; ++i) {
      if (i % count == 0) ++sequence;
      packets[i].fill(std::byte{0x55});
      write_u16(packets[i], 0, 0x8008);
      write_u16(packets[i], 2, sequence);
      write_u32(packets[i], 8, 1);
      sizes[i] = kPacket;
    }
    const double start = cpu_ns();
    bool good = sessions.protect(packets, sizes);
    const double middle = cpu_ns();
    good &= sessions.unprotect(packets, sizes);
    const double end = cpu_ns();
    if (!good) return std::nullopt;
    if (turn == 0) continue;
    cost.protect += middle - start;
    cost.unprotect += end - middle;
  }
  return Cost{cost.protect / kPackets, cost.unprotect / kPackets};
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::vector<SrtpMasterKey> make_keys(SrtpSuite suite, std::size_t count) {
  std::mt19937 random(1);
  std::vector<SrtpMasterKey> keys(count);
  for (SrtpMasterKey& key : keys) {
    key.suite = suite;
    key.key = SecretBytes<32>(random_octets(random, row_of(suite).key));
    key.salt = SecretBytes<14>(random_octets(random, row_of(suite).salt));
  }
  return keys;
}

/// Null for libsrtp2 without our framing.
struct Kind {
  std::optional<std::string_view> backend;
  std::size_t count;  // of sessions
  std::array<std::vector<double>, 2> costs;

  [[nodiscard]] std::unique_ptr<Sessions> make(std::span<const SrtpMasterKey> keys) const {
    if (backend) return std::make_unique<Ours>(*backend, keys.first(count));
    return std::make_unique<Libsrtp>(keys.first(count));
  }
  [[nodiscard]] double out() const { return median(costs[0]); }
  [[nodiscard]] double in() const { return median(costs[1]); }
};

/// Rounds of all kinds in turn, so that a neighbour disturbs them alike; one line for each. Only one kind's
/// sessions exist at a time: libsrtp2 slows with all that its process has.
bool compare(SrtpSuite suite) {
  const auto keys = make_keys(suite, std::ranges::max(kCounts));
  std::vector<Kind> kinds;
  for (const std::size_t count : kCounts) {
    for (const std::string_view name : srtp_backend_names()) {
      if (name != "libsrtp2") kinds.push_back({name, count, {}});
    }
    kinds.push_back({std::nullopt, count, {}});
  }
  for (int round = 0; round < kRounds; ++round) {
    for (Kind& kind : kinds) {
      if (!kind.backend && round % kLibsrtpEach != 0) continue;
      const auto cost = measure(*kind.make(keys), kind.count);
      if (!cost) return false;
      kind.costs[0].push_back(cost->protect);
      kind.costs[1].push_back(cost->unprotect);
    }
  }
  const std::size_t each = kinds.size() / kCounts.size();
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const Kind& kind = kinds[k];
    const Kind& library = kinds[k / each * each + each - 1];
    const Kind& one_session = kinds[k % each];
    std::printf("%-24s %8zu  %-15s %7.0f ns %7.0f ns", std::string(row_of(suite).name).c_str(), kind.count,
                std::string(kind.backend.value_or("libsrtp2 alone")).c_str(), kind.out(), kind.in());
    std::printf("  libsrtp2 %5.1f and %5.1f times that", library.out() / kind.out(),
                library.in() / kind.in());
    if (k >= each)
      std::printf("; %.2f and %.2f times one session", kind.out() / one_session.out(),
                  kind.in() / one_session.in());
    std::printf("\n");
  }
  return true;
}

}  // namespace

int main() {
  srtp_init();
  std::printf("ns of CPU for a packet of %zu octets, medians of %d rounds, of libsrtp2 alone %d\n", kPacket,
              kRounds, kRounds / kLibsrtpEach);
  std::printf("%-24s %8s  %-15s %10s %10s\n", "", "sessions", "", "out", "in");
  for (const SrtpSuite suite : {SrtpSuite::kAes128Cm80, SrtpSuite::kAeadAes128Gcm}) {
    if (compare(suite)) continue;
    std::printf("a packet was refused\n");
    return 1;
  }
  return 0;
}
