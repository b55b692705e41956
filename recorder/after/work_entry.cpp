// SPDX-License-Identifier: Apache-2.0
// Entries are read with distrust: somebody may have edited them, or the disk may have torn them. Whatever
// names a file outside the recording directory is refused, for a hook would run with it.
#include "recorder/after/work_entry.hpp"

#include "recorder/files/names.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

using nlohmann::json;

namespace {

// Version of the file's layout; an entry of another version is set aside.
constexpr int kVersion = 1;
constexpr std::size_t kMaxId = 64;

// An id is part of a file name, so nothing else than hexadecimal digits may be in it.
bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxId &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// A fault in the values of an entry, as a sentence; empty: there is none.
std::string fault_of(const WorkEntry& entry) {
  if (!is_id(entry.recording)) return "it names no recording";
  if (entry.files.empty()) return "it names no files";
  for (const std::string& file : entry.files) {
    if (!is_path_below(file)) return fmt::format("it names a file outside the recording directory: {}", file);
  }
  if (entry.stored > entry.files.size()) return "more files are stored than there are";
  return {};
}

/// The whole number under `key`. Throws what the JSON library throws if it is missing or no whole number; the
/// library itself would convert 1e130, which C++ leaves undefined.
std::int64_t whole(const json& document, const char* key) {
  return document.at(key).get_ref<const json::number_integer_t&>();
}

/// Reads an entry out of a JSON document. Throws what the JSON library throws if a value is missing or of
/// another type.
Result<WorkEntry, std::string> read(const json& document) {
  if (const std::int64_t version = whole(document, "version"); version != kVersion)
    return fail(fmt::format("it is of version {}", version));
  const auto kind = document.at("kind").get<std::string>();
  const auto known = std::ranges::find(kWorkKindNames, kind);
  if (known == kWorkKindNames.end()) return fail(std::string("it is of an unknown kind"));
  WorkEntry entry{.kind = static_cast<WorkKind>(known - kWorkKindNames.begin()),
                  .call_id = document.at("call_id").get<std::string>(),
                  .recording = document.at("recording").get<std::string>(),
                  .directory = document.at("directory").get<std::string>(),
                  .files = document.at("files").get<std::vector<std::string>>(),
                  .posted_ms = whole(document, "posted_ms"),
                  .stored = static_cast<std::size_t>(whole(document, "stored")),
                  .tries = static_cast<unsigned>(whole(document, "tries"))};
  entry.error = document.value("error", "");
  if (std::string fault = fault_of(entry); !fault.empty()) return fail(std::move(fault));
  return entry;
}

}  // namespace

std::string WorkEntry::file_name() const { return fmt::format("{}-{}.json", to_string(kind), recording); }

std::string to_text(const WorkEntry& entry) {
  json document = {
      {"version", kVersion},          {"kind", to_string(entry.kind)}, {"call_id", entry.call_id},
      {"recording", entry.recording}, {"directory", entry.directory},  {"files", entry.files},
      {"posted_ms", entry.posted_ms}, {"stored", entry.stored},        {"tries", entry.tries}};
  if (!entry.error.empty()) document["error"] = entry.error;
  // Only ASCII, so that a Call-ID of any octets makes valid JSON.
  return document.dump(1, ' ', true, json::error_handler_t::replace) + "\n";
}

Result<WorkEntry, std::string> parse_work_entry(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(std::string("it is no whole JSON object"));
  try {
    return read(document);
  } catch (const json::exception& e) {
    return fail(fmt::format("a value is missing or of another type ({})", e.what()));
  }
}

}  // namespace ferry
