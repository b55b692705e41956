// SPDX-License-Identifier: Apache-2.0
#include "recorder/packet_file.hpp"

#include <array>
#include <chrono>
#include <cstring>

#include <sys/socket.h>

namespace ferry {

int PacketFile::flush() {
  if (waiting_.empty()) return output_->flush();
  const bool is_first = output_->size() == 0;
  const int wrong = output_->write_at(output_->size(), waiting_);
  (wrong == 0 ? written_ : lost_) += waiting_packets_;
  waiting_packets_ = 0;
  // A file without its head cannot be read, so the head waits for the next attempt.
  waiting_.resize(wrong != 0 && is_first ? head_size_ : 0);
  return wrong != 0 ? wrong : output_->flush();
}

// The layout that rtpproxy's tools read: address family (2 octets), port (2), address (16), time as a double
// in seconds (8), length (2). All in the host's order, except for the port and the address.
void AdHocFile::write(const CapturedDatagram& datagram) {
  constexpr std::size_t kPort = 2;
  constexpr std::size_t kAddress = 4;
  constexpr std::size_t kTime = 20;
  constexpr std::size_t kLength = 28;
  std::array<std::byte, 30> header{};
  const bool is_v4 = datagram.from.address.is_v4();
  const std::uint16_t family = is_v4 ? AF_INET : AF_INET6;
  const double time = std::chrono::duration<double>(datagram.at.time_since_epoch()).count();
  const auto length = static_cast<std::uint16_t>(datagram.payload.size());
  std::memcpy(header.data(), &family, sizeof family);
  write_u16(header, kPort, datagram.from.port.value);
  for (std::size_t i = 0; i < (is_v4 ? 4u : 16u); ++i)
    header[kAddress + i] = std::byte{datagram.from.address.octets()[i]};
  std::memcpy(header.data() + kTime, &time, sizeof time);
  std::memcpy(header.data() + kLength, &length, sizeof length);
  append(header);
  append(datagram.payload);
  count();
}

}  // namespace ferry
