// SPDX-License-Identifier: Apache-2.0
// Records of calls: every member of the model has its place in a section or a reason why not, what is loaded
// is what was saved, and a record that this relay does not understand is refused with a sentence.

#include "control/record/record.hpp"

#include "control/record/call_section.hpp"
#include "control/record/flow_section.hpp"
#include "tests/support/member_count.hpp"
#include "tests/unit/control/record/random_fields.hpp"

#include <map>
#include <set>
#include <typeindex>
#include <typeinfo>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr Instant kNow{1h};

InterfaceSet interfaces() {
  return InterfaceSet::build({parse_interface_spec("one/192.0.2.1")}, UdpPort{30'000}, UdpPort{30'999}, false)
      .value();
}

// --- Every member has its place.

/// Counts the members that lists of fields name, and looks at the types of the members too.
class MemberCounter {
 public:
  template <class T>
  void operator()(const char* name, const T&) {
    note(name);
    look_into<T>();
  }
  template <class T>
  void bounded(const char* name, const T&, T) {
    note(name);
  }
  template <class T, std::size_t kSize>
  void prefix(const char* name, const std::array<T, kSize>&, const std::uint8_t&) {
    note(name);
    ++count_;
    look_into<T>();
  }
  template <class... T>
  void skip(const T&...) {
    count_ += sizeof...(T);
  }
  template <class Base>
  void base(const Base&) {
    ++count_;
    look_into<Base>();
  }

  template <class T>
  static void look_into() {
    if constexpr (HasFields<T>) {
      if (!looked_into().insert(typeid(T)).second) return;
      MemberCounter counter;
      T value;
      Fields<T>::list(counter, value);
      if constexpr (std::is_aggregate_v<T>) {
        EXPECT_EQ(counter.count_, member_count<T>())
            << typeid(T).name() << ": a member is new or gone. Give it a line in its list of fields (and its "
            << "section a new version), or skip it there with the reason.";
      }
    } else if constexpr (kIsPointed<T> || requires { typename T::value_type; }) {
      look_into_element<T>();
    }
  }
  static std::set<std::type_index>& looked_into() {
    static std::set<std::type_index> types;
    return types;
  }

 private:
  template <class T>
  static void look_into_element() {
    if constexpr (requires { typename T::element_type; })
      look_into<typename T::element_type>();
    else
      look_into<typename T::value_type>();
  }
  void note(const char* name) {
    ++count_;
    EXPECT_TRUE(names_.insert(name).second) << name << " stands twice";
  }

  std::size_t count_ = 0;
  std::set<std::string> names_;
};

TEST(RecordMembers, EachIsKeptOrSkippedOnPurpose) {
  MemberCounter::look_into<Call>();
  MemberCounter::look_into<Leg>();
  MemberCounter::look_into<OriginMemory>();
  MemberCounter::look_into<MediaTransport>();
  MemberCounter::look_into<LocalPorts>();
  MemberCounter::look_into<TransportSnapshot>();
  MemberCounter::look_into<Media>();
  MemberCounter::look_into<MediaExtensions>();
  MemberCounter::look_into<Subscription>();
  MemberCounter::look_into<Proposal>();
  MemberCounter::look_into<MediaKeys>();
  MemberCounter::look_into<MediaDtls>();
  MemberCounter::look_into<MediaIce>();
  MemberCounter::look_into<SrtpContexts::State>();
  MemberCounter::look_into<RtpproxySession>();
  MemberCounter::look_into<WaitingPrompt>();
  MemberCounter::look_into<RunningRecording>();
  EXPECT_GT(MemberCounter::looked_into().size(), 55u) << "members of members count too";
}

TEST(RecordMembers, TextsOfOthersHoldAllOfThem) {
  EXPECT_EQ(member_count<sdp::CryptoLine>(), 6u) << "an a=crypto line and whose key it is";
  EXPECT_EQ(member_count<SrtpMasterKey>(), 4u) << "an a=crypto line";
  EXPECT_EQ(member_count<TransportSnapshot::Handshake>(), 4u) << "state_section.cpp writes it";
  EXPECT_EQ(member_count<DtlsKeys>(), 2u) << "state_section.cpp writes it";
#if defined(__GLIBCXX__) && defined(__x86_64__)
  // It has virtual functions, so that nobody can count its members.
  EXPECT_EQ(sizeof(RtpproxySession), 272u) << "a member is new or gone: see Fields<RtpproxySession>";
#endif
}

TEST(RecordMembers, ACountSeesBaseClassesAndMoveOnlyMembers) {
  struct Base {
    int a = 0;
    std::string b;
  };
  struct Derived : Base {
    std::unique_ptr<int> c;
    std::optional<std::string> d;
    std::array<std::vector<std::unique_ptr<int>>, 2> e;
  };
  EXPECT_EQ(member_count<Base>(), 2u);
  EXPECT_EQ(member_count<Derived>(), 4u);
}

// --- What is loaded is what was saved.

/// A random call, and what its workers would say of it.
class RandomCall {
 public:
  RandomCall(std::uint64_t seed, const InterfaceSet& interfaces) : fields_(seed, interfaces) {
    const bool is_session = fields_.coin();
    call.id = is_session ? "id tag" : "id";
    fields_.fill(call);
    call.created_at = Instant{Duration{1 + fields_.below(1'000'000'000)}};
    context.origin = call.created_at;
    if (is_session) make_session();
    const std::size_t legs = 2 + fields_.below(2);
    for (std::size_t i = 0; i < legs; ++i) make_leg(static_cast<unsigned>(i + 1));
    connect();
  }

  Call call;
  RecordContext context;

 private:
  void make_session() {
    call.ensure_extras().policy = std::make_unique<RtpproxySession>();
    RtpproxySession& session = *call.rtpproxy();
    session.call_id = std::string_view(call.id).substr(0, 2);
    session.tag = std::string_view(call.id).substr(3);
    fields_.fill(session);
    if (fields_.coin()) return;
    PromptOrder& waiting = session.parties[1].ensure_extras().waiting;
    waiting.prompt = whole_prompt({}, std::vector<std::byte>(4, std::byte{0xd5}), 2);
    waiting.rounds = Prompt::kForEver;
  }
  void make_leg(unsigned number) {
    Leg& leg = *call.legs.emplace_back(std::make_unique<Leg>());
    leg.call = &call;
    fields_.fill(leg);
    leg.number = number;
    if (fields_.coin()) fields_.fill(leg.origin);
    for (std::size_t i = 1 + fields_.below(2); i > 0; --i) make_transport(leg);
  }
  void make_transport(Leg& leg) {
    MediaTransport& transport = leg.add_transport();
    fields_.fill(transport);
    fields_.fill(transport.keys);
    fields_.fill(transport.dtls);
    fields_.fill(transport.ice);
    transport.ports = std::vector<LocalPorts>(fields_.below(3));
    for (LocalPorts& ports : transport.ports) {
      fields_.fill(ports);
      fields_.fill(context.states[&ports]);
    }
    if (!transport.ports.empty()) {
      transport.show_ports(fields_.below(transport.ports.size()));
      transport.sending = static_cast<std::uint32_t>(fields_.below(transport.ports.size()));
    }
    if (transport.keys && fields_.coin()) {
      transport.keys->contexts = std::make_shared<SrtpContexts>();
      SrtpContexts::State state;
      fields_.fill(state);
      // Its bits are kept whole or not at all.
      for (auto& each : state.received) each.state.past.forgotten.clear();
      for (auto& each : state.sent) each.state.past.forgotten.clear();
      context.contexts.push_back({transport.keys->contexts, std::move(state)});
    }
    for (std::size_t i = 1 + fields_.below(2); i > 0; --i) make_media(transport);
  }
  void make_media(MediaTransport& transport) {
    Leg& leg = *transport.leg;
    Media& media = *leg.medias.emplace_back(std::make_unique<Media>());
    media.call = &call;
    media.leg = &leg;
    media.via = &transport;
    fields_.fill(media);
    media.id = MediaId{++last_media_};
    media.agreed.reset();
    if (transport.agreed) {
      media.agreed = std::make_unique<MediaTerms>();
      fields_.fill(*media.agreed);
    }
    fields_.fill(media.extensions);
    all_.push_back(&media);
  }
  void connect() {
    for (Media* media : all_) {
      for (std::size_t i = fields_.below(3); i > 0; --i) {
        Subscription& subscription = media->subscriptions.emplace_back();
        fields_.fill(subscription);
        subscription.source = all_[fields_.below(all_.size())];
      }
    }
    for (std::size_t i = fields_.below(2); i > 0; --i) {
      Proposal& proposal = call.proposals.emplace_back();
      fields_.fill(proposal);
      proposal.offerer = call.legs[0].get();
      proposal.answerer = call.legs[1].get();
    }
  }

  RandomFields fields_;
  std::uint32_t last_media_ = 0;
  std::vector<Media*> all_;
};

/// What the workers of a loaded call would say of it if they had gone on where the others ended.
void go_on(const Call& call, const RecordContext& before, RecordContext& context) {
  std::size_t next = 0;
  each_transport(call, [&](const TransportPlace&, const MediaTransport& transport) {
    for (const LocalPorts& ports : transport.ports) context.states[&ports] = *ports.restored;
    if (transport.keys && transport.keys->contexts)
      context.contexts.push_back({transport.keys->contexts, before.contexts.at(next++).state});
  });
}

TEST(Record, Seam3_WhatIsLoadedIsWhatWasSaved) {
  const InterfaceSet known = interfaces();
  const bool holds = rc::check("save, load and save again give equal bytes", [&](std::uint64_t seed) {
    const RandomCall random(seed, known);
    const json record = json::parse(save_call(random.call, random.context, kNow).dump());
    Call loaded;
    loaded.id = random.call.id;
    RecordContext context;
    context.interfaces = &known;
    // Another process has another clock.
    const Instant later = kNow + 1000h;
    const auto result = load_call(loaded, record, context, later);
    RC_ASSERT((result ? std::string() : result.error()) == "");
    go_on(loaded, random.context, context);
    RC_ASSERT(save_call(loaded, context, later).dump() == record.dump());
  });
  EXPECT_TRUE(holds);
}

TEST(Record, ARunningRecordingIsKept) {
  const RecordContext context;
  const RunningRecording saved{true, {"/a.pcap", "/b.pcap"}};
  const json fields = RecordWriter(context).to_json(saved);
  RunningRecording loaded;
  RecordReader(fields, context, FieldsPresent::kAll).from_json(fields, loaded);
  EXPECT_TRUE(loaded.is_paused);
  EXPECT_EQ(loaded.files, saved.files);
}

// --- Versions.

class RecordVersions : public ::testing::Test {
 protected:
  json record(std::uint64_t seed = 7) {
    const RandomCall random(seed, known_);
    return save_call(random.call, random.context, kNow);
  }
  /// Why the record is refused; empty if it is not.
  std::string refusal(const json& record) {
    Call call;
    const auto id = call_id_of(record);
    if (!id) return id.error();
    call.id = *id;
    RecordContext context;
    context.interfaces = &known_;
    const auto loaded = load_call(call, record, context, kNow);
    return loaded ? "" : loaded.error();
  }

  const InterfaceSet known_ = interfaces();
};

TEST_F(RecordVersions, EachSectionHasOne) {
  const json saved = record();
  EXPECT_EQ(refusal(saved), "");
  EXPECT_EQ(saved["sections"].size(), record_sections().size());
  for (const SectionRow& row : record_sections())
    EXPECT_EQ(saved["sections"][std::string(row.name)]["version"], row.version) << row.name;
}

/// Adds the names of all fields below `value`, each with the names above it.
void note_names(const json& value, const std::string& above, std::set<std::string>& names) {
  if (value.is_array()) {
    for (const json& each : value) note_names(each, above, names);
  } else if (value.is_object()) {
    for (const auto& [name, below] : value.items()) {
      names.insert(above + "/" + name);
      note_names(below, above + "/" + name, names);
    }
  }
}

/// FNV-1a of 32 bits.
std::uint32_t hash_of(const std::set<std::string>& names) {
  std::uint32_t hash = 0x811c9dc5;
  for (const std::string& name : names) {
    for (const char letter : name + "\n") hash = (hash ^ static_cast<std::uint8_t>(letter)) * 0x01000193;
  }
  return hash;
}

TEST_F(RecordVersions, OtherFieldsNeedAnotherVersion) {
  // Name and version of each section, and the hash of the names of its fields. If a hash has changed, a relay
  // of before takes a record of this one for damage, and this one a record of before: raise `kVersion` of the
  // section, and write the new row here.
  const std::vector<std::string> known = {
      "call 2 ecd6312b",       "rtpproxy 1 f2f2a4f9", "prompts 1 3e39c426",    "recordings 1 f7f7c30f",
      "legs 4 e20fa311",       "origins 1 cede82c2",  "transports 4 8599f971", "medias 6 803773fb",
      "extensions 1 cb866866", "sdes 1 3d09c16c",     "dtls 1 29d569d5",       "ice 2 a610e8b8",
      "contexts 1 44430967",   "ports 2 68ae4806",    "states 4 2fcddac9",     "subscriptions 1 ec21e850",
      "proposals 1 42299c00"};
  std::map<std::string, std::set<std::string>> names;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const json saved = record(seed);
    for (const auto& [section, value] : saved["sections"].items()) note_names(value, "", names[section]);
  }
  std::vector<std::string> rows;
  for (const SectionRow& row : record_sections())
    rows.push_back(fmt::format("{} {} {:08x}", row.name, row.version, hash_of(names[std::string(row.name)])));
  EXPECT_EQ(rows, known);
}

TEST_F(RecordVersions, ANewerSectionIsRefused) {
  for (const SectionRow& row : record_sections()) {
    json newer = record();
    newer["sections"][std::string(row.name)]["version"] = row.version + 1;
    const std::string name(row.name);
    EXPECT_EQ(refusal(newer), "section \"" + name + "\" has version " + std::to_string(row.version + 1) +
                                  "; this relay reads up to " + std::to_string(row.version));
  }
}

TEST_F(RecordVersions, AnUnknownSectionIsRefused) {
  json unknown = record();
  unknown["sections"]["holograms"] = {{"version", 1}, {"components", json::array()}};
  EXPECT_EQ(refusal(unknown), "the record has a section \"holograms\" that this relay lacks");
  json other_head = record();
  other_head["version"] = 1;
  EXPECT_EQ(refusal(other_head), "the record has an unknown version");
}

TEST_F(RecordVersions, ASectionThatAnOlderRelayDidNotWriteHasNothing) {
  json older = record();
  older["sections"].erase("prompts");
  EXPECT_EQ(refusal(older), "");
}

TEST_F(RecordVersions, AMissingFieldIsTheDefaultOfAnOlderVersionAndDamageOfThisOne) {
  const RecordContext context;
  json fields = RecordWriter(context).to_json(SourceRules{.policy = LatchPolicy::kAny, .handover = true});
  fields.erase("handover");
  SourceRules older;
  older.handover = false;
  RecordReader(fields, context, FieldsPresent::kSome).from_json(fields, older);
  EXPECT_EQ(older.policy, LatchPolicy::kAny);
  EXPECT_FALSE(older.handover);
  json damaged = record();
  damaged["sections"]["legs"]["components"][1].erase("tag");
  EXPECT_EQ(refusal(damaged), "damaged record: legs: the field tag is missing");
}

TEST_F(RecordVersions, DamageIsNamed) {
  json damaged = record();
  damaged["sections"]["transports"]["components"][0]["rules"]["policy"] = 4;
  EXPECT_EQ(refusal(damaged), "damaged record: transports: rules: policy: the number stands for nothing");
  damaged = record();
  damaged["sections"]["call"]["components"][0]["tos"] = 256;
  EXPECT_EQ(refusal(damaged), "damaged record: call: tos: the number is out of its range");
  for (const json& version : {json(1e130), json(0.5), json("1")}) {
    damaged = record();
    damaged["sections"]["transports"]["version"] = version;
    EXPECT_NE(refusal(damaged), "") << version;
  }
}

// --- Revisions.

TEST_F(RecordVersions, OnlyWhatChangedHasAnotherRevision) {
  RandomCall random(3, known_);
  const auto before = revisions_of(save_call(random.call, random.context, kNow));
  EXPECT_EQ(revisions_of(save_call(random.call, random.context, kNow + 1min)), before)
      << "time alone is none";
  random.call.legs[1]->tag += "x";
  random.call.legs[0]->transports.front().mux_used ^= true;
  const auto after = revisions_of(save_call(random.call, random.context, kNow));
  std::set<std::string> changed;
  for (const auto& [name, revision] : after) {
    if (before.at(name) != revision) changed.insert(name);
  }
  EXPECT_EQ(changed, (std::set<std::string>{R"(legs{"leg":2})", R"(transports{"leg":1,"transport":0})"}));
}

}  // namespace
}  // namespace ferry::test
