// SPDX-License-Identifier: Apache-2.0
// spandsp's T.38 gateway has the modems and follows T.30; it neither knows datagrams nor a clock. UDPTL is
// ours (udptl.hpp), the clock is the caller's. What spandsp sends comes by a callback in the middle of
// `hear`, `speak` or `take`, so it waits in a ring until it is asked for.
#include "codecs/fax/gateway.hpp"

#include <algorithm>
#include <new>

#include <spandsp.h>

namespace ferry {

namespace {

// Four packets of V.17 at 14,400 bit/s, 54 octets in 30 ms each, with their headers.
constexpr std::uint32_t kLeastBelieved = 260;
constexpr std::size_t kMostOctets = 1400;

void keep_quiet(int, const char*) {}

}  // namespace

std::size_t datagram_room(std::uint32_t said) noexcept {
  return said < kLeastBelieved ? kMostOctets : std::min<std::size_t>(said, kMostOctets);
}

/// spandsp's gateway.
struct T38Gateway::Modems {
  std::unique_ptr<t38_gateway_state_t, int (*)(t38_gateway_state_t*)> state;
  t38_core_state_t* core;

  explicit Modems(T38Gateway* owner) : state(t38_gateway_init(nullptr, send, owner), t38_gateway_free) {
    if (!state) throw std::bad_alloc();
    core = t38_gateway_get_t38_core_state(state.get());
    // Without handlers spandsp writes to standard error.
    for (logging_state_t* log :
         {t38_gateway_get_logging_state(state.get()), t38_core_get_logging_state(core)}) {
      span_log_set_message_handler(log, keep_quiet);
      span_log_set_level(log, SPAN_LOG_NONE);
    }
  }
  void set(const T38Settings& settings) const {
    t38_set_t38_version(core, settings.version);
    t38_set_data_transport_protocol(core, T38_TRANSPORT_UDPTL);
    t38_set_data_rate_management_method(core, T38_DATA_RATE_MANAGEMENT_TRANSFERRED_TCF);
    t38_set_sequence_number_handling(core, TRUE);
    t38_gateway_set_ecm_capability(state.get(), settings.ecm ? TRUE : FALSE);
    // IAF (machines that talk over IP alone) never: there is a modem behind the relay.
    t38_gateway_set_supported_modems(state.get(), (settings.v17 ? T30_SUPPORT_V17 : 0) |
                                                      (settings.v27ter ? T30_SUPPORT_V27TER : 0) |
                                                      (settings.v29 ? T30_SUPPORT_V29 : 0));
    t38_gateway_set_transmit_on_idle(state.get(), TRUE);
    t38_gateway_set_tep_mode(state.get(), FALSE);
  }
  static int send(t38_core_state_t*, void* owner, const std::uint8_t* octets, int size, int times) {
    const Bytes ifp(reinterpret_cast<const std::byte*>(octets), static_cast<std::size_t>(size));
    static_cast<T38Gateway*>(owner)->send(ifp, times);
    return 0;
  }
};

T38Gateway::T38Gateway(const T38Settings& settings)
    : writer_(settings.protection),
      most_datagram_(datagram_room(settings.max_datagram)),
      waiting_(std::make_unique<std::array<Waiting, kMostWaiting>>()),
      modems_(std::make_unique<Modems>(this)) {
  modems_->set(settings);
}

T38Gateway::~T38Gateway() = default;

void T38Gateway::hear(std::span<const std::int16_t> samples) noexcept {
  // spandsp filters the samples in place.
  std::array<std::int16_t, kStep> own{};
  while (!samples.empty()) {
    const auto some = samples.first(std::min(samples.size(), kStep));
    std::ranges::copy(some, own.begin());
    t38_gateway_rx(modems_->state.get(), own.data(), static_cast<int>(some.size()));
    samples = samples.subspan(some.size());
  }
}

void T38Gateway::miss(std::size_t samples) noexcept {
  t38_gateway_rx_fillin(modems_->state.get(), static_cast<int>(samples));
}

void T38Gateway::speak(std::span<std::int16_t> out) noexcept {
  const int made = t38_gateway_tx(modems_->state.get(), out.data(), static_cast<int>(out.size()));
  std::ranges::fill(out.subspan(static_cast<std::size_t>(std::max(made, 0))), std::int16_t{0});
}

UdptlReader::Outcome T38Gateway::take(Bytes datagram) noexcept {
  const auto outcome = reader_.read(datagram);
  for (const IfpPacket& each : reader_.packets()) {
    if (each.ifp.empty()) continue;
    t38_core_rx_ifp_packet(modems_->core, reinterpret_cast<const std::uint8_t*>(each.ifp.data()),
                           static_cast<int>(each.ifp.size()), each.sequence.value);
  }
  return outcome;
}

void T38Gateway::send(Bytes ifp, int times) noexcept {
  Waiting datagram;
  datagram.size = writer_.write(ifp, MutableBytes(datagram.octets).first(most_datagram_));
  for (int i = 0; i < times; ++i) {
    if (datagram.size == 0 || count_ == kMostWaiting) {
      ++overflown_;
      continue;
    }
    Waiting& place = (*waiting_)[(first_ + count_++) % kMostWaiting];
    place.size = datagram.size;
    std::ranges::copy(Bytes(datagram.octets).first(datagram.size), place.octets.begin());
  }
}

Bytes T38Gateway::next_datagram() noexcept {
  if (count_ == 0) return {};
  const Waiting& next = (*waiting_)[first_];
  first_ = (first_ + 1) % kMostWaiting;
  --count_;
  return Bytes(next.octets).first(next.size);
}

T38Gateway::Progress T38Gateway::progress() const noexcept {
  t38_stats_t stats;
  t38_gateway_get_transfer_statistics(modems_->state.get(), &stats);
  return {stats.pages_transferred, stats.bit_rate, stats.error_correcting_mode != FALSE};
}

}  // namespace ferry
