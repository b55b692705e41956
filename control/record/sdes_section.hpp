// SPDX-License-Identifier: Apache-2.0
// The section of SDES: the lines of both sides and what was agreed. With keys: whoever stores or sends it
// must encrypt it (SRT-15).
#pragma once

#include "control/record/section.hpp"

namespace ferry {

/// The text of `a=crypto`, and whose key it is.
template <>
struct JsonValue<sdp::CryptoLine> {
  static nlohmann::json save(const sdp::CryptoLine& line, const RecordContext&);
  static sdp::CryptoLine load(const nlohmann::json& from, const RecordContext&);
};

template <>
struct Fields<sdp::SdesPolicy> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("off", v.off);
    a("without", v.without);
    a("only", v.only);
    a("no_new", v.no_new);
    a("order", v.order);
  }
};

template <>
struct Fields<sdp::CryptoStyle> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("pad", v.pad);
    a("lifetime", v.lifetime);
  }
};

template <>
struct Fields<Sdes> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("policy", v.policy);
    a("style", v.style);
    a("for_offerer", v.for_offerer);
    a("keeps_suite", v.keeps_suite);
    a("is_preferred", v.is_preferred);
  }
};

template <>
struct Fields<MediaKeys> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("theirs", v.theirs);
    a("shown", v.shown);
    a("in", v.in);
    a("out", v.out);
    a("relayed", v.out_is_relayed);
    a("answerer", v.answerer);
    a("offered_by_peer", v.offered_by_peer);
    a("offered_to_peer", v.offered_to_peer);
    a("accept", v.accept);
    a("asked", v.asked);
    a("merged", v.merged);
    a("doubled", v.doubled);
    a("paired", v.paired);
    a.skip(v.plan);      // follows from the rest
    a.skip(v.contexts);  // a section of its own
  }
};

struct SdesSection {
  static constexpr std::string_view kName = "sdes";
  static constexpr int kVersion = 1;
  static void save(const Call& call, ComponentsWriter& out) {
    each_transport(call, [&](const TransportPlace& place, const MediaTransport& transport) {
      if (transport.keys) out.add(place, *transport.keys);
    });
  }
  static void load(Call& call, const SavedComponent& saved) {
    saved.read(transport_at(call, saved.at<TransportPlace>()).ensure_keys());
  }
};

}  // namespace ferry
