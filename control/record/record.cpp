// SPDX-License-Identifier: Apache-2.0
#include "control/record/record.hpp"

#include "control/record/call_section.hpp"
#include "control/record/dtls_section.hpp"
#include "control/record/flow_section.hpp"
#include "control/record/ice_section.hpp"
#include "control/record/leg_section.hpp"
#include "control/record/media_section.hpp"
#include "control/record/rtpproxy_section.hpp"
#include "control/record/sdes_section.hpp"
#include "control/record/srtp_section.hpp"
#include "control/record/state_section.hpp"
#include "control/record/transport_section.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace ferry {

using nlohmann::json;

namespace {

/// Of the head. Sections have versions of their own.
constexpr int kRecordVersion = 2;

// Each section stands behind those that its places and references name.
constexpr std::array kSections = {
    kSectionRow<CallSection>,         kSectionRow<RtpproxySection>, kSectionRow<PromptSection>,
    kSectionRow<RecordingSection>,    kSectionRow<LegSection>,      kSectionRow<OriginSection>,
    kSectionRow<TransportSection>,    kSectionRow<MediaSection>,    kSectionRow<ExtensionSection>,
    kSectionRow<SdesSection>,         kSectionRow<DtlsSection>,     kSectionRow<IceSection>,
    kSectionRow<SrtpSection>,         kSectionRow<PortsSection>,    kSectionRow<StateSection>,
    kSectionRow<SubscriptionSection>, kSectionRow<ProposalSection>,
};

const SectionRow* find_section(std::string_view name) {
  const auto found = std::ranges::find(kSections, name, &SectionRow::name);
  return found == kSections.end() ? nullptr : &*found;
}

/// The version of a section. Throws what the JSON library throws if it is missing or no whole number; the
/// library itself would convert 1e130, which C++ leaves undefined.
std::int64_t version_of(const json& section) {
  return section.at("version").get_ref<const json::number_integer_t&>();
}

/// A sentence about the first section that this relay does not know, or only in an older version.
Result<void, std::string> check_sections(const json& sections) {
  for (const auto& [name, section] : sections.items()) {
    const SectionRow* row = find_section(name);
    if (row == nullptr)
      return fail(fmt::format("the record has a section \"{}\" that this relay lacks", name));
    const std::int64_t version = version_of(section);
    if (version < 1 || version > row->version) {
      return fail(fmt::format("section \"{}\" has version {}; this relay reads up to {}", name, version,
                              row->version));
    }
  }
  return {};
}

/// Older relays did not write these.
constexpr std::array kMayLack = {PromptSection::kName, RecordingSection::kName};

/// A section that an older relay did not write has no components. If another one is missing it was lost, and
/// a call without it would send what it must not.
void load_section(Call& call, const SectionRow& row, const json& sections, RecordContext& context) {
  const auto section = sections.find(row.name);
  if (section == sections.end()) {
    if (std::ranges::find(kMayLack, row.name) == kMayLack.end())
      throw std::invalid_argument(std::string(row.name) + ": the section is missing");
    return;
  }
  const auto present = version_of(*section) < row.version ? FieldsPresent::kSome : FieldsPresent::kAll;
  for (const json& component : section->at("components")) {
    try {
      row.load(call, SavedComponent(component, context, present));
    } catch (const std::exception& e) {
      throw std::invalid_argument(fmt::format("{}: {}", row.name, e.what()));
    }
  }
}

/// What sections cannot see each for itself.
void check_call(const Call& call) {
  if (call.legs.empty()) throw std::invalid_argument("the call has no party");
  each_transport(call, [](const TransportPlace&, const MediaTransport& transport) {
    if (transport.interface == nullptr || transport.in_force().interface == nullptr)
      throw std::invalid_argument("a transport has no interface");
    const std::size_t ports = transport.ports.size();
    if (ports != 0 && (transport.active >= ports || transport.sending >= ports))
      throw std::invalid_argument("a transport uses ports that it does not have");
    if (transport.medias().empty()) throw std::invalid_argument("a transport carries nothing");
  });
  each_media(call, [](const Media& media) {
    // They may differ for a media that the waiting offer added, or that was rejected: it may have joined the
    // transport of other medias.
    const bool may_differ = media.agreed ? media.agreed->rejected : media.via->is_shared();
    if (!may_differ && (media.agreed != nullptr) != (media.via->agreed != nullptr))
      throw std::invalid_argument("a media and its transport disagree on an offer");
  });
  const auto has_media = [&](std::size_t leg) {
    return call.legs.size() > leg && !call.legs[leg]->medias.empty();
  };
  if (call.rtpproxy() != nullptr && (!has_media(0) || !has_media(1)))
    throw std::invalid_argument("a session has two parties");
}

}  // namespace

std::span<const SectionRow> record_sections() { return kSections; }

json save_call(const Call& call, const RecordContext& context, Instant now) {
  json sections = json::object();
  for (const SectionRow& row : kSections) {
    ComponentsWriter out(context);
    row.save(call, out);
    sections[std::string(row.name)] = {{"version", row.version}, {"components", out.take()}};
  }
  return {{"version", kRecordVersion},
          {"call_id", call.id},
          {"age", (now - call.created_at).count()},
          {"sections", std::move(sections)}};
}

Result<std::string, std::string> call_id_of(const json& record) {
  try {
    if (record.at("version") != kRecordVersion) return fail(std::string("the record has an unknown version"));
    return record.at("call_id").get<std::string>();
  } catch (const std::exception& e) {
    return fail(fmt::format("damaged record: {}", e.what()));
  }
}

Result<void, std::string> load_call(Call& call, const json& record, RecordContext& context, Instant now) {
  try {
    const json& sections = record.at("sections");
    if (auto known = check_sections(sections); !known) return known;
    context.origin = now - Duration{JsonValue<Duration::rep>::load(record.at("age"), context)};
    context.call = &call;
    for (const SectionRow& row : kSections) load_section(call, row, sections, context);
    check_call(call);
    return {};
  } catch (const std::exception& e) {  // of the JSON library, or of a value
    return fail(fmt::format("damaged record: {}", e.what()));
  }
}

std::map<std::string, Revision> revisions_of(const json& record) {
  std::map<std::string, Revision> revisions;
  for (const auto& [name, section] : record.at("sections").items()) {
    for (const json& component : section.at("components")) {
      // FNV-1a, so that two processes mean the same by it.
      Revision revision = 14'695'981'039'346'656'037u;
      for (const std::uint8_t octet : json::to_cbor(component))
        revision = (revision ^ octet) * 1'099'511'628'211u;
      revisions[name + component.at("at").dump()] = revision;
    }
  }
  return revisions;
}

}  // namespace ferry
