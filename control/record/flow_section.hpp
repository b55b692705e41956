// SPDX-License-Identifier: Apache-2.0
// The sections of who hears whom, and of the offers that would change it.
#pragma once

#include "control/record/section.hpp"

namespace ferry {

template <>
inline constexpr unsigned kEnumerators<SubscriptionKind> = 2;

template <>
struct Fields<Subscription> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("source", v.source);
    a("kind", v.kind);
    a("blocked", v.blocked);
    a("silenced", v.silenced);
    a("egress", v.egress);
    a("rtcp_only", v.rtcp_only);
  }
};

/// Who receives what whom sends. Behind the medias, which it names.
struct SubscriptionSection {
  static constexpr std::string_view kName = "subscriptions";
  static constexpr int kVersion = 1;
  static void save(const Call& call, ComponentsWriter& out) {
    each_media(call, [&](const Media& media) {
      for (std::size_t i = 0; i < media.subscriptions.size(); ++i)
        out.add(SubscriptionPlace{media.id, i}, media.subscriptions[i]);
    });
  }
  static void load(Call& call, const SavedComponent& saved) {
    saved.read(media_at(call, saved.at<SubscriptionPlace>().media).subscriptions.emplace_back());
  }
};

template <>
struct Fields<Proposal> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("offerer", v.offerer);
    a("answerer", v.answerer);
    a("until", v.until);
    a("former_sdp", v.former_sdp);
    a("former_order", v.former_order);
  }
};

/// Offers that wait for their answers (LAT-15). Behind the parties, which it names.
struct ProposalSection {
  static constexpr std::string_view kName = "proposals";
  static constexpr int kVersion = 1;
  static void save(const Call& call, ComponentsWriter& out) {
    for (std::size_t i = 0; i < call.proposals.size(); ++i) out.add(OrderPlace{i}, call.proposals[i]);
  }
  static void load(Call& call, const SavedComponent& saved) { saved.read(call.proposals.emplace_back()); }
};

}  // namespace ferry
