// SPDX-License-Identifier: Apache-2.0
// UDPTL as a stream. Sequence numbers are unwrapped into positions, so that a ring of the last packets can be
// asked for any of them. The reader walks from the position that it has given last to that of the datagram:
// first it looks for what is missing in the datagram's parts, then it gives what is known.
//
// Parity of a datagram at position x with n parts and span s: part m is the exclusive or of the packets x + m
// - n, x + m - 2n, ... x + m - sn. So each packet before x is in exactly one part, and n lost in a row are
// recovered by the next datagram if the others of their groups are known. Octets behind the end of a shorter
// packet count as zero; its length gets lost, but a reader of IFP knows where a packet ends.
#include "codecs/fax/udptl.hpp"

#include <algorithm>

namespace ferry {

namespace {

constexpr std::size_t kMostEarlier = 15;
constexpr std::int64_t kMostInGroups = 48;
// The sequence number in front.
constexpr std::size_t kNumberSize = 2;
// The octet that says that earlier packets follow, and how many.
constexpr std::size_t kEarlierHeader = 2;
// The octet that says that parity follows, the span as an integer of one octet, and the number of groups.
constexpr std::size_t kParityHeader = 4;
constexpr std::byte kParityFollows{0x80};

/// The octets of `ifp` are added to `sum` without carry; what is behind its end counts as zero.
void add_without_carry(MutableBytes sum, Bytes ifp) noexcept {
  for (std::size_t i = 0; i < ifp.size() && i < sum.size(); ++i) sum[i] ^= ifp[i];
}

}  // namespace

IfpMemory::IfpMemory() : octets_(static_cast<std::size_t>(kSize) * kLongestIfp) {}

void IfpMemory::put(std::int64_t position, Bytes ifp) noexcept {
  if (position < 0 || ifp.size() > kLongestIfp) return;
  slots_[index(position)] = {position, ifp.size()};
  std::ranges::copy(ifp, octets_.begin() + static_cast<std::ptrdiff_t>(index(position) * kLongestIfp));
}

std::optional<Bytes> IfpMemory::at(std::int64_t position) const noexcept {
  if (position < 0) return std::nullopt;
  const Slot& slot = slots_[index(position)];
  if (slot.position != position) return std::nullopt;
  return Bytes(octets_).subspan(index(position) * kLongestIfp, slot.size);
}

void IfpMemory::clear() noexcept { slots_.fill({}); }

UdptlReader::Outcome UdptlReader::read(Bytes datagram) noexcept {
  count_ = 0;
  const auto view = parse_udptl(datagram);
  Outcome outcome = Outcome::kMalformed;
  if (view) outcome = view->primary.size() > kLongestIfp ? Outcome::kTooLong : sort_in(*view);
  if (outcome != Outcome::kTaken && outcome != Outcome::kRepeated) ++figures_.refused;
  return outcome;
}

UdptlReader::Outcome UdptlReader::sort_in(const UdptlView& view) noexcept {
  if (!has_begun_) begin(view);
  std::int64_t steps = distance(view.sequence, SeqNo{static_cast<std::uint16_t>(next_)});
  if (steps >= IfpMemory::kSize || steps < -IfpMemory::kSize) {
    const bool is_confirmed = far_ && distance(view.sequence, *far_) == 1;
    far_ = view.sequence;
    if (!is_confirmed) return Outcome::kFar;
    begin(view);
    steps = distance(view.sequence, SeqNo{static_cast<std::uint16_t>(next_)});
  }
  const std::int64_t position = next_ + steps;
  if (steps < 0 && is_known(position)) return Outcome::kRepeated;
  memory_.put(position, view.primary);
  // Its packet is of no use any more, but the parity of later ones may cover it.
  if (steps < 0) return Outcome::kLate;
  far_.reset();
  if (view.recovery == UdptlView::Recovery::kEarlier)
    find_earlier(view, position);
  else
    find_by_parity(view, position);
  give(position);
  return Outcome::kTaken;
}

// A stream begins at 0, and its first datagrams may be lost: what the first one that comes can bring back
// belongs to it. In the middle of a stream only redundancy brings packets back at once.
void UdptlReader::begin(const UdptlView& view) noexcept {
  memory_.clear();
  has_begun_ = true;
  const auto count = static_cast<std::int64_t>(std::min<std::size_t>(view.count, IfpMemory::kSize - 1));
  next_ = view.sequence.value;
  if (next_ <= count)
    next_ = 0;
  else if (view.recovery == UdptlView::Recovery::kEarlier)
    next_ -= count;
}

bool UdptlReader::is_known(std::int64_t position) const noexcept {
  // Nothing came before the stream, and its parity says so.
  return position < 0 || memory_.at(position).has_value();
}

void UdptlReader::find_earlier(const UdptlView& view, std::int64_t position) noexcept {
  Bytes parts = view.parts;
  for (std::int64_t each = position - 1; each >= next_ && !parts.empty(); --each) {
    const Bytes part = next_udptl_part(parts);
    if (is_known(each) || part.size() > kLongestIfp) continue;
    memory_.put(each, part);
    ++figures_.repeated_earlier;
  }
}

void UdptlReader::find_by_parity(const UdptlView& view, std::int64_t position) noexcept {
  const auto groups = static_cast<std::int64_t>(view.count);
  if (position == next_ || groups == 0 || groups * view.span >= IfpMemory::kSize) return;
  Bytes parts = view.parts;
  for (std::int64_t group = 0; group < groups; ++group) {
    const Bytes part = next_udptl_part(parts);
    if (part.size() <= kLongestIfp) solve(part, position + group - groups, groups, view.span);
  }
}

void UdptlReader::solve(Bytes part, std::int64_t newest, std::int64_t step, std::int64_t span) noexcept {
  std::array<std::byte, kLongestIfp> sum{};
  std::ranges::copy(part, sum.begin());
  std::int64_t missing = -1;
  for (std::int64_t i = 0; i < span; ++i) {
    const std::int64_t each = newest - i * step;
    if (!is_known(each)) {
      if (missing >= 0) return;
      missing = each;
    } else if (const auto ifp = memory_.at(each)) {
      add_without_carry(sum, *ifp);
    }
  }
  if (missing < next_) return;
  memory_.put(missing, Bytes(sum).first(part.size()));
  ++figures_.recovered_by_parity;
}

void UdptlReader::give(std::int64_t position) noexcept {
  for (; next_ <= position; ++next_) {
    const auto ifp = memory_.at(next_);
    if (ifp)
      packets_[count_++] = {SeqNo{static_cast<std::uint16_t>(next_)}, *ifp};
    else
      ++figures_.lost;
  }
  figures_.taken += count_;
}

UdptlWriter::UdptlWriter(const UdptlProtection& protection) : protection_(protection) {
  protection_.earlier = std::min(protection_.earlier, kMostEarlier);
  protection_.groups = std::clamp<std::size_t>(protection_.groups, 1, kMostInGroups);
  protection_.span = std::clamp<std::size_t>(protection_.span, 1, kMostInGroups / protection_.groups);
}

std::size_t UdptlWriter::write(Bytes ifp, MutableBytes out) noexcept {
  const std::size_t primary = kNumberSize + udptl_length_size(ifp.size()) + ifp.size();
  if (ifp.size() > kLongestIfp || out.size() < primary + kEarlierHeader) return 0;
  write_u16(out, 0, static_cast<std::uint16_t>(next_));
  const std::size_t length = write_udptl_length(out.subspan(kNumberSize), ifp.size());
  std::ranges::copy(ifp, out.begin() + static_cast<std::ptrdiff_t>(kNumberSize + length));
  const MutableBytes rest = out.subspan(primary);
  std::size_t recovery = 0;
  if (protection_.recovery == UdptlView::Recovery::kParity) recovery = write_parity(rest);
  if (recovery == 0) recovery = write_earlier(rest);
  memory_.put(next_++, ifp);
  return primary + recovery;
}

std::size_t UdptlWriter::write_earlier(MutableBytes out) const noexcept {
  const std::size_t most = protection_.recovery == UdptlView::Recovery::kEarlier ? protection_.earlier : 0;
  std::size_t count = 0;
  std::size_t size = kEarlierHeader;
  while (count < most) {
    const auto ifp = memory_.at(next_ - 1 - static_cast<std::int64_t>(count));
    if (!ifp || size + udptl_length_size(ifp->size()) + ifp->size() > out.size()) break;
    size += write_udptl_length(out.subspan(size), ifp->size());
    std::ranges::copy(*ifp, out.begin() + static_cast<std::ptrdiff_t>(size));
    size += ifp->size();
    ++count;
  }
  write_u8(out, 0, 0);
  write_u8(out, 1, static_cast<std::uint8_t>(count));
  return size;
}

std::size_t UdptlWriter::write_parity(MutableBytes out) const noexcept {
  if (next_ == 0 || out.size() < kParityHeader) return 0;
  const auto groups = static_cast<std::int64_t>(protection_.groups);
  out[0] = kParityFollows;
  write_u8(out, 1, 1);
  write_u8(out, 2, static_cast<std::uint8_t>(protection_.span));
  write_u8(out, 3, static_cast<std::uint8_t>(protection_.groups));
  std::size_t size = kParityHeader;
  for (std::int64_t group = 0; group < groups; ++group) {
    const std::size_t written = write_group(out.subspan(size), next_ + group - groups);
    if (written == 0) return 0;
    size += written;
  }
  return size;
}

std::size_t UdptlWriter::write_group(MutableBytes out, std::int64_t newest) const noexcept {
  const auto groups = static_cast<std::int64_t>(protection_.groups);
  std::array<std::byte, kLongestIfp> sum{};
  std::size_t longest = 0;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(protection_.span); ++i) {
    const auto ifp = memory_.at(newest - i * groups);
    if (!ifp) continue;
    add_without_carry(sum, *ifp);
    longest = std::max(longest, ifp->size());
  }
  if (udptl_length_size(longest) + longest > out.size()) return 0;
  const std::size_t length = write_udptl_length(out, longest);
  std::ranges::copy(Bytes(sum).first(longest), out.begin() + static_cast<std::ptrdiff_t>(length));
  return length + longest;
}

}  // namespace ferry
