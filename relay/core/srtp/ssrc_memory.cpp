// SPDX-License-Identifier: Apache-2.0
// Three structures over one array of nodes: a list by age, hash chains to find an SSRC, and a list of free
// nodes. All are linked by 16-bit indices, so a record costs no allocation of its own. An SSRC that is too
// old for a record goes into a Bloom filter, which answers only "was used".
#include "relay/core/srtp/ssrc_memory.hpp"

#include "relay/base/memory.hpp"

namespace ferry {

namespace {

/// Spreads the 32 bits of an SSRC over 64 (the last step of splitmix64).
constexpr std::uint64_t spread(Ssrc ssrc) noexcept {
  std::uint64_t x = ssrc.value + std::uint64_t{0x9e3779b97f4a7c15};
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Bits that each SSRC sets in the filter.
constexpr std::size_t kHashes = 8;
constexpr std::uint64_t kBits = SsrcSet::kWords * 64;

/// Bit number `n` of an SSRC in the filter, by double hashing. The step is odd, so that the bits differ.
constexpr std::uint64_t bit_of(std::uint64_t hash, std::size_t n) noexcept {
  return ((hash >> 32) + n * ((hash & 0xffffffff) | 1)) % kBits;
}

}  // namespace

bool SsrcSet::prepare() noexcept {
  return !words_.empty() || had_memory([&] { words_.resize(kWords); });
}

void SsrcSet::add(Ssrc ssrc) noexcept {
  const std::uint64_t hash = spread(ssrc);
  for (std::size_t n = 0; n < kHashes; ++n) {
    const std::uint64_t bit = bit_of(hash, n);
    words_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
}

bool SsrcSet::contains(Ssrc ssrc) const noexcept {
  if (words_.empty()) return false;
  const std::uint64_t hash = spread(ssrc);
  for (std::size_t n = 0; n < kHashes; ++n) {
    const std::uint64_t bit = bit_of(hash, n);
    if ((words_[bit / 64] >> (bit % 64) & 1) == 0) return false;
  }
  return true;
}

SsrcMemory::Place SsrcMemory::place_of(Ssrc ssrc) const noexcept {
  if (chains_.empty()) return kNone;
  Place at = chains_[spread(ssrc) % kChains];
  while (at != kNone && nodes_[at].record.ssrc != ssrc) at = nodes_[at].next;
  return at;
}

const SsrcRecord* SsrcMemory::find(Ssrc ssrc) const noexcept {
  const Place at = place_of(ssrc);
  return at == kNone ? nullptr : &nodes_[at].record;
}

void SsrcMemory::release(Place at) noexcept {
  Node& node = nodes_[at];
  // Unlinks it from the list by age; an end of the list moves if there is no neighbour.
  (node.older == kNone ? oldest_ : nodes_[node.older].newer) = node.newer;
  (node.newer == kNone ? newest_ : nodes_[node.newer].older) = node.older;
  Place* link = &chains_[spread(node.record.ssrc) % kChains];
  while (*link != at) link = &nodes_[*link].next;
  *link = node.next;
  node.next = free_;
  free_ = at;
}

void SsrcMemory::remove(Ssrc ssrc) noexcept {
  if (const Place at = place_of(ssrc); at != kNone) release(at);
}

bool SsrcMemory::prepare_place() noexcept {
  if (chains_.empty() && !had_memory([&] { chains_.assign(kChains, kNone); })) return false;
  if (free_ != kNone) return true;
  if (nodes_.size() >= kRecords) {
    // The filter gets its memory first, so that the SSRC is never lost in between.
    if (!forgotten_.prepare()) return false;
    // The oldest record is lost, but that it was used stays known.
    forgotten_.add(nodes_[oldest_].record.ssrc);
    release(oldest_);
    return true;
  }
  if (!had_memory([&] { nodes_.emplace_back(); })) return false;
  free_ = static_cast<Place>(nodes_.size() - 1);
  return true;
}

bool SsrcMemory::keep(const SsrcRecord& record) noexcept {
  if (const Place known = place_of(record.ssrc); known != kNone)
    release(known);
  else if (!prepare_place())
    return false;
  // A free node is taken, becomes the first of its chain and the newest of all.
  const Place at = free_;
  free_ = nodes_[at].next;
  Place& chain = chains_[spread(record.ssrc) % kChains];
  nodes_[at] = {record, newest_, kNone, chain};
  chain = at;
  (newest_ == kNone ? oldest_ : nodes_[newest_].newer) = at;
  newest_ = at;
  return true;
}

void SsrcMemory::close_all() noexcept {
  for (Place at = oldest_; at != kNone; at = nodes_[at].newer) nodes_[at].record.is_closed = true;
}

SsrcMemory::State SsrcMemory::state() const {
  State state;
  for_each([&](const SsrcRecord& record) { state.records.push_back(record); });
  state.forgotten = forgotten_.words();
  return state;
}

void SsrcMemory::restore(const State& state) {
  forgotten_.restore(state.forgotten);
  for (const SsrcRecord& record : state.records) {
    if (!keep(record)) throw std::bad_alloc();
  }
}

}  // namespace ferry
