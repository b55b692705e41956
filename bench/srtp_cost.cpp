// CPU time to protect and to unprotect an RTP packet of 172 octets, by our back end and by Debian's libsrtp2,
// with one session and with 4,000 in turn. Rounds are interleaved; medians are printed.

#include "relay/core/srtp/srtp_context.hpp"
#include "relay/srtp/evp_backend.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include <srtp2/srtp.h>

namespace {

using namespace ferry;

constexpr std::size_t kPacket = 172;
constexpr int kRounds = 5;
constexpr std::uint32_t kPackets = 8'000;
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

/// A session each way.
struct Session {
  virtual ~Session() = default;
  virtual bool protect(Buffer& packet, std::size_t& size) = 0;
  virtual bool unprotect(Buffer& packet, std::size_t& size) = 0;
};

class Ours final : public Session {
 public:
  explicit Ours(const SrtpMasterKey& key)
      : sender_(EvpBackend().make(key)), receiver_(EvpBackend().make(key)) {}
  bool protect(Buffer& packet, std::size_t& size) override {
    return sender_.seal_rtp(packet, size) == SrtpResult::kOk;
  }
  bool unprotect(Buffer& packet, std::size_t& size) override {
    return receiver_.open_rtp(MutableBytes(packet).first(size), size) == SrtpResult::kOk;
  }

 private:
  SrtpSender sender_;
  SrtpReceiver receiver_;
};

class Libsrtp final : public Session {
 public:
  explicit Libsrtp(const SrtpMasterKey& key) {
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
  ~Libsrtp() override {
    srtp_dealloc(out_);
    srtp_dealloc(in_);
  }
  Libsrtp(const Libsrtp&) = delete;
  Libsrtp& operator=(const Libsrtp&) = delete;
  bool protect(Buffer& packet, std::size_t& size) override {
    int n = static_cast<int>(size);
    const bool good = srtp_protect(out_, packet.data(), &n) == srtp_err_status_ok;
    size = static_cast<std::size_t>(n);
    return good;
  }
  bool unprotect(Buffer& packet, std::size_t& size) override {
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

struct Cost {
  double protect = 0;
  double unprotect = 0;
};

/// Sessions in turn, in batches that make reading the clock cheap, until `kPackets` went each way.
std::optional<Cost> measure(std::vector<std::unique_ptr<Session>>& sessions, std::uint32_t first_sequence) {
  const std::size_t batch = std::max<std::size_t>(sessions.size(), 1000);
  std::vector<Buffer> packets(batch);
  std::vector<std::size_t> sizes(batch);
  Cost cost;
  const std::uint32_t turns = std::max<std::uint32_t>(1, kPackets / static_cast<std::uint32_t>(batch));
  std::uint32_t sequence = first_sequence;
  for (std::uint32_t turn = 0; turn < turns; ++turn) {
    for (std::size_t i = 0; i < batch; ++i) {
      if (i % sessions.size() == 0) ++sequence;
      packets[i].fill(std::byte{0x55});
      write_u16(packets[i], 0, 0x8008);
      write_u16(packets[i], 2, static_cast<std::uint16_t>(sequence));
      write_u32(packets[i], 8, 1);
      sizes[i] = kPacket;
    }
    bool good = true;
    const double start = cpu_ns();
    for (std::size_t i = 0; i < batch; ++i)
      good &= sessions[i % sessions.size()]->protect(packets[i], sizes[i]);
    const double middle = cpu_ns();
    for (std::size_t i = 0; i < batch; ++i)
      good &= sessions[i % sessions.size()]->unprotect(packets[i], sizes[i]);
    cost.unprotect += cpu_ns() - middle;
    cost.protect += middle - start;
    if (!good) return std::nullopt;
  }
  const double total = static_cast<double>(turns) * static_cast<double>(batch);
  return Cost{cost.protect / total, cost.unprotect / total};
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

template <class Kind>
std::vector<std::unique_ptr<Session>> make(SrtpSuite suite, std::size_t count) {
  std::mt19937 random(1);
  std::vector<std::unique_ptr<Session>> sessions;
  for (std::size_t i = 0; i < count; ++i) {
    SrtpMasterKey key;
    key.suite = suite;
    key.key = SecretBytes<32>(random_octets(random, row_of(suite).key));
    key.salt = SecretBytes<14>(random_octets(random, row_of(suite).salt));
    sessions.push_back(std::make_unique<Kind>(key));
  }
  return sessions;
}

}  // namespace

int main() {
  srtp_init();
  std::printf("ns of CPU for a packet of %zu octets, medians of %d rounds\n", kPacket, kRounds);
  std::printf("%-26s %8s %14s %14s %8s\n", "", "sessions", "OpenSSL EVP", "libsrtp2", "ratio");
  for (const SrtpSuite suite : {SrtpSuite::kAes128Cm80, SrtpSuite::kAeadAes128Gcm}) {
    for (const std::size_t count : {std::size_t{1}, std::size_t{4000}}) {
      auto ours = make<Ours>(suite, count);
      auto theirs = make<Libsrtp>(suite, count);
      std::array<std::vector<double>, 4> all;
      std::uint32_t sequence = 1;
      for (int round = 0; round < kRounds; ++round) {
        const auto a = measure(ours, sequence);
        const auto b = measure(theirs, sequence);
        if (!a || !b) {
          std::printf("a packet was refused\n");
          return 1;
        }
        for (const auto& [at, value] :
             {std::pair{0u, a->protect}, {1u, a->unprotect}, {2u, b->protect}, {3u, b->unprotect}})
          all[at].push_back(value);
        sequence += 8'001;
      }
      for (const unsigned way : {0u, 1u}) {
        const double own = median(all[way]);
        const double other = median(all[way + 2]);
        std::printf("%-26s %8zu %11.0f ns %11.0f ns %8.1f\n",
                    (std::string(row_of(suite).name) + (way == 0 ? " out" : " in")).c_str(), count, own,
                    other, other / own);
      }
    }
  }
  return 0;
}
