// SPDX-License-Identifier: Apache-2.0
// A call as versioned plain values, and back (docs/architecture.md, seam 3).
//
// A record has a head and sections. A section has a version and its components: one for the call, one for
// each party, transport, media and so on, each with the place where it belongs. A component changes only if
// something happens to it, so that a journal can write those alone whose revision is another than before.
#pragma once

#include "control/record/context.hpp"
#include "relay/base/result.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

namespace ferry {

struct SectionRow;

/// All sections, in the order in which they are loaded.
[[nodiscard]] std::span<const SectionRow> record_sections();

/// `context` knows the states of its workers. `now` is the time that they were read. The record holds keys:
/// whoever stores or sends it must encrypt it (SRT-15).
[[nodiscard]] nlohmann::json save_call(const Call& call, const RecordContext& context, Instant now);

/// Id of the call of a record. The error is a sentence.
[[nodiscard]] Result<std::string, std::string> call_id_of(const nlohmann::json& record);

/// Fills `call`, which is new and has its id. It opens no port, and tells nobody. The error is a sentence;
/// the call is of no use then. `now` is the time on the clock of this process.
[[nodiscard]] Result<void, std::string> load_call(Call& call, const nlohmann::json& record,
                                                  RecordContext& context, Instant now);

/// Which content a component has: another number if anything in it is another.
using Revision = std::uint64_t;

/// The revisions of all components of a record, by section and place.
[[nodiscard]] std::map<std::string, Revision> revisions_of(const nlohmann::json& record);

}  // namespace ferry
