// SPDX-License-Identifier: Apache-2.0
// `Splitter` walks through a compound once, and that answers both questions: which medias it speaks of, and
// what one receiver gets of it. `admits` notes the medias of each part, and says whether the receiver gets
// the part. If the receiver gets all parts of a packet, the packet is copied as it is, its padding included.
// Otherwise the packet is written anew from the parts that the receiver gets, without padding.
//
// A receiver report without blocks says no more than that its sender is there. It goes to the receivers of
// the medias that its sender sends. One is also put in front if the compound would begin without a report.
#include "relay/core/rtcp/rtcp_sections.hpp"

#include "relay/core/rtcp/rtcp.hpp"
#include "relay/core/rtcp/rtcp_ssrcs.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

namespace {

using namespace rtcp_ssrcs;

constexpr std::size_t kHeader = 4;
constexpr std::size_t kBlock = 24;
constexpr std::size_t kEmptyReport = 8;

std::size_t size_of(Bytes packet) noexcept { return kHeader + std::size_t{4} * read_u16(packet, 2); }
bool is_report(Bytes packet) noexcept {
  const std::uint8_t type = read_u8(packet, 1);
  return type == rtcp_type::kSr || type == rtcp_type::kRr;
}

/// A packet of a valid compound without its padding.
Bytes without_padding(Bytes packet) noexcept {
  if ((read_u8(packet, 0) & 0x20) == 0) return packet;
  return packet.first(packet.size() - read_u8(packet, packet.size() - 1));
}

class Splitter {
 public:
  /// `into` is empty if only the topics are wanted; `audience` is then nobody.
  Splitter(const RtcpAudience& audience, const SectionDirectory& directory, Bytes compound,
           MutableBytes into) noexcept
      : audience_(audience),
        directory_(directory),
        into_(into),
        sender_(rtcp_sender(compound)),
        needs_report_(!audience.reduced_size || is_report(compound)) {
    for (; compound.size() >= kHeader; compound = compound.subspan(size_of(compound)))
      take(compound.first(size_of(compound)));
  }
  [[nodiscard]] SectionMask topics() const noexcept { return topics_; }
  [[nodiscard]] std::size_t size() const noexcept { return has_room_ ? size_ : 0; }

 private:
  void take(Bytes packet) noexcept {
    const Bytes content = without_padding(packet);
    const std::size_t count = read_u8(packet, 0) & 0x1f;
    switch (read_u8(packet, 1)) {
      case rtcp_type::kSr:
      case rtcp_type::kRr:
        return take_report(packet, count);
      case rtcp_type::kSdes:
        return take_names(packet, content, count);
      case rtcp_type::kBye:
        return take_bye(packet, content, count);
      case rtcp_type::kXr:
        return take_extended(packet, content);
      case rtcp_type::kRtpFeedback:
      case rtcp_type::kPayloadFeedback:
        return take_feedback(packet, content);
      default:
        // Application-defined packets and unknown types belong to the SSRC in front. That may be a stream
        // that the party hears, so the sender of the compound counts as the reporter.
        if (admits(content.size() < kEmptyReport ? 0 : of_either(Ssrc{read_u32(content, 4)})))
          copy(packet, sender_);
    }
  }

  /// Notes the medias that a part is about (0 = none), and says whether the receiver gets the part.
  bool admits(SectionMask about, bool is_feedback = false) noexcept {
    topics_ |= about;
    const SectionMask wanted = is_feedback ? audience_.feedback : audience_.sections;
    return about != 0 ? (about & wanted) != 0 : audience_.takes_rest && wanted != 0;
  }
  [[nodiscard]] SectionMask sent_in(Bytes packet, std::size_t at) const noexcept {
    return directory_.sent_in(Ssrc{read_u32(packet, at)});
  }
  [[nodiscard]] SectionMask heard_in(Bytes packet, std::size_t at) const noexcept {
    return directory_.heard_in(Ssrc{read_u32(packet, at)});
  }
  [[nodiscard]] SectionMask of_either(Ssrc ssrc) const noexcept {
    return directory_.sent_in(ssrc) | directory_.heard_in(ssrc);
  }

  /// Room for a packet of `size` octets; empty if there is none. If the compound may not begin with this
  /// packet, an empty receiver report of `sender` goes in front.
  MutableBytes append(std::size_t size, Ssrc sender, bool is_a_report = false) noexcept {
    const std::size_t front = size_ == 0 && needs_report_ && !is_a_report ? kEmptyReport : 0;
    if (!has_room_ || into_.size() - size_ < front + size) {
      has_room_ = false;
      return {};
    }
    if (front != 0) {
      write_head(into_, 0, rtcp_type::kRr, kEmptyReport);
      write_u32(into_, 4, sender.value);
      size_ = front;
    }
    const MutableBytes place = into_.subspan(size_, size);
    size_ += size;
    return place;
  }
  static void write_head(MutableBytes packet, std::size_t count, std::uint8_t type,
                         std::size_t size) noexcept {
    write_u8(packet, 0, static_cast<std::uint8_t>(0x80 | count));
    write_u8(packet, 1, type);
    write_u16(packet, 2, static_cast<std::uint16_t>(size / 4 - 1));
  }
  /// Writes a packet as it is.
  void copy(Bytes packet) noexcept {
    copy(packet, packet.size() < kEmptyReport ? sender_ : Ssrc{read_u32(packet, 4)});
  }
  void copy(Bytes packet, Ssrc sender) noexcept {
    const MutableBytes place = append(packet.size(), sender, is_report(packet));
    if (!place.empty()) std::ranges::copy(packet, place.begin());
  }

  void take_report(Bytes packet, std::size_t count) noexcept {
    const bool is_sr = read_u8(packet, 1) == rtcp_type::kSr;
    const std::size_t first = is_sr ? 28 : kEmptyReport;
    // An empty receiver report says no more than that its sender is there.
    const bool keeps_sender = (is_sr || count == 0) && admits(sent_in(packet, 4));
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) kept += admits(heard_in(packet, first + kBlock * i)) ? 1 : 0;
    if (kept == count && (keeps_sender || (!is_sr && count > 0))) return copy(packet);
    if (kept == 0 && !keeps_sender) return;
    const bool stays_sr = is_sr && keeps_sender;
    const std::size_t head = stays_sr ? 28 : kEmptyReport;
    const std::size_t size = head + kBlock * kept;
    const MutableBytes made = append(size, Ssrc{}, true);
    if (made.empty()) return;
    std::ranges::copy(packet.first(head), made.begin());
    write_head(made, kept, stays_sr ? rtcp_type::kSr : rtcp_type::kRr, size);
    std::size_t at = head;
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes block = packet.subspan(first + kBlock * i, kBlock);
      if (!admits(heard_in(block, 0))) continue;
      std::ranges::copy(block, made.begin() + static_cast<std::ptrdiff_t>(at));
      at += kBlock;
    }
  }

  /// Writes those of a packet's parts that `is_kept` names. `parts(visit)` calls `visit` with each part, and
  /// `tail` follows them. `head`: octets in front of the parts. `has_count`: the header counts them.
  template <class Parts, class IsKept>
  void write_parts(Bytes packet, std::size_t head, bool has_count, Parts parts, IsKept is_kept,
                   Bytes tail = {}) noexcept {
    std::size_t all = 0;
    std::size_t kept = 0;
    std::size_t size = head + tail.size();
    Ssrc sender{read_u32(packet, 4)};
    parts([&](Bytes part) {
      ++all;
      if (!is_kept(part)) return;
      if (has_count && kept == 0) sender = Ssrc{read_u32(part, 0)};
      ++kept;
      size += part.size();
    });
    if (kept == 0) return;
    if (kept == all) return copy(packet);
    // `is_kept` may look at what the compound begins with, so the room that was taken just now must not
    // count.
    const std::size_t before = size_;
    const MutableBytes made = append(size, sender);
    if (made.empty()) return;
    std::ranges::copy(packet.first(head), made.begin());
    const std::size_t count = has_count ? kept : read_u8(packet, 0) & 0x1f;
    write_head(made, count, read_u8(packet, 1), size);
    auto to = made.begin() + static_cast<std::ptrdiff_t>(head);
    const std::size_t after = std::exchange(size_, before);
    parts([&](Bytes part) {
      if (is_kept(part)) to = std::ranges::copy(part, to).out;
    });
    size_ = after;
    std::ranges::copy(tail, to);
  }

  void take_names(Bytes packet, Bytes content, std::size_t count) noexcept {
    if (count == 0) {
      if (admits(0)) copy(packet);
      return;
    }
    const auto parts = [&](auto visit) {
      std::size_t at = kHeader;
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t begin = at;
        at += 4;
        while (read_u8(content, at) != 0) at += std::size_t{2} + read_u8(content, at + 1);
        at = (at + 4) & ~std::size_t{3};
        visit(content.subspan(begin, at - begin));
      }
    };
    // The names of a reporter go along with its report (FB-2).
    write_parts(packet, kHeader, true, parts, [&](Bytes chunk) {
      const bool is_reporter =
          size_ >= kEmptyReport && is_report(into_) && read_u32(into_, 4) == read_u32(chunk, 0);
      return admits(sent_in(chunk, 0)) || is_reporter;
    });
  }

  void take_bye(Bytes packet, Bytes content, std::size_t count) noexcept {
    if (count == 0) {
      if (admits(0)) copy(packet);
      return;
    }
    const auto parts = [&](auto visit) {
      for (std::size_t i = 0; i < count; ++i) visit(content.subspan(kHeader + 4 * i, 4));
    };
    // A reason is padded to whole words by itself. One that ends elsewhere is left out.
    Bytes reason = content.subspan(kHeader + 4 * count);
    if (reason.size() % 4 != 0) reason = {};
    write_parts(
        packet, kHeader, true, parts, [&](Bytes ssrc) { return admits(sent_in(ssrc, 0)); }, reason);
  }

  void take_extended(Bytes packet, Bytes content) noexcept {
    if (content.size() == kEmptyReport) {
      if (admits(sent_in(content, 4))) copy(packet);
      return;
    }
    const auto parts = [&](auto visit) {
      for (std::size_t at = kEmptyReport; at < content.size();) {
        const std::size_t size = 4 + std::size_t{4} * read_u16(content, at + 2);
        visit(content.subspan(at, size));
        at += size;
      }
    };
    const SectionMask senders = sent_in(content, 4);
    write_parts(packet, kEmptyReport, false, parts, [&](Bytes block) {
      const std::uint8_t type = read_u8(block, 0);
      SectionMask about = 0;
      if (type == kDlrr) {
        for (std::size_t at = 4; at + 12 <= block.size(); at += 12)
          about |= of_either(Ssrc{read_u32(block, at)});
      } else if (type != kReceiverTime && block.size() >= 8) {
        about = heard_in(block, 4);
      }
      // A receiver reference time goes to everybody who hears the reporter.
      return admits(about != 0 ? about : senders);
    });
  }

  void take_feedback(Bytes packet, Bytes content) noexcept {
    const bool is_payload = read_u8(packet, 1) == rtcp_type::kPayloadFeedback;
    const std::uint8_t format = read_u8(packet, 0) & 0x1f;
    // These requests name a stream in each entry. Their field "media source" means nothing.
    const bool has_entries = is_payload ? format == kFir || format == kTstr : format == kTmmbr;
    if (has_entries && content.size() >= 20) {
      const auto parts = [&](auto visit) {
        for (std::size_t at = 12; at + 8 <= content.size(); at += 8) visit(content.subspan(at, 8));
      };
      return write_parts(packet, 12, false, parts,
                         [&](Bytes entry) { return admits(heard_in(entry, 0), true); });
    }
    if (admits(feedback_about(content, is_payload, format), true)) copy(packet);
  }

  /// The medias that a whole feedback packet speaks of.
  [[nodiscard]] SectionMask feedback_about(Bytes packet, bool is_payload,
                                           std::uint8_t format) const noexcept {
    SectionMask about = heard_in(packet, 8);
    const auto add = [&](std::size_t at, std::size_t step) {
      for (; at + 4 <= packet.size(); at += step) about |= of_either(Ssrc{read_u32(packet, at)});
    };
    // A notification answers the party that asked, about a stream of its own sender.
    const bool is_notice = is_payload ? format == kTstn : format == kTmmbn;
    if (is_notice) add(12, 8);
    if (is_payload && format == kVbcm) add(12, packet.size());
    const bool is_remb =
        is_payload && format == kApplication && packet.size() >= 20 && read_u32(packet, 12) == kRemb;
    if (is_remb) add(20, 4);
    if (!is_payload && format == kCcfb && packet.size() >= 16) {
      const auto next = [&](std::size_t at) { return at + 8 + ((read_u16(packet, at + 6) + 1u) / 2) * 4; };
      for (std::size_t at = next(8); at + 12 <= packet.size(); at = next(at)) about |= heard_in(packet, at);
    }
    return about == 0 && is_notice ? sent_in(packet, 4) : about;
  }

  RtcpAudience audience_;
  const SectionDirectory& directory_;
  MutableBytes into_;
  /// Sender of the compound's first packet.
  Ssrc sender_;
  /// True if the written compound has to begin with a report (FB-6).
  bool needs_report_;
  bool has_room_ = true;
  std::size_t size_ = 0;
  SectionMask topics_ = 0;
};

}  // namespace

SectionMask rtcp_topics(Bytes compound, const SectionDirectory& directory) noexcept {
  return Splitter({}, directory, compound, {}).topics();
}

std::size_t write_rtcp_for(const RtcpAudience& audience, Bytes compound, const SectionDirectory& directory,
                           MutableBytes into) noexcept {
  return Splitter(audience, directory, compound, into).size();
}

}  // namespace ferry
