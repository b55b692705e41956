// SPDX-License-Identifier: Apache-2.0
// The spool holds a folder `run-…` for each process, with a file that the process has locked. The kernel
// takes the lock back when the process ends, however it ends. So a folder whose lock can be had belongs to
// nobody, and its recordings are finished by whoever finds them.
//
// Two states of a manifest matter. "recording": the process ended in the middle of the call; there is what
// was written so far. "placing": only the files were on the way to their place; the recording itself is
// complete. Everything in these files is read with distrust: paths must lie below the recording directory,
// and what is no manifest of ours stays where it is.
#include "recorder/after/leftovers.hpp"

#include "recorder/files/names.hpp"
#include "relay/base/random.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace ferry {

using nlohmann::json;

namespace {

constexpr std::string_view kPrefix = "run-";
constexpr const char* kFolderLock = "lock";
constexpr std::string_view kPlacing = "placing";

// Reads a manifest that says "placing". Throws what the JSON library throws.
std::optional<FinishedRecording> read_placing(const std::shared_ptr<const Folder>& folder,
                                              const std::string& name, json document) {
  FinishedRecording finished;
  finished.id = document.at("id").get<std::string>();
  finished.spool = folder;
  finished.manifest_spool_name = name;
  finished.base = document.at("base").get<std::string>();
  finished.is_placing = true;
  finished.manifest = std::move(document.at("manifest"));
  for (json& each : document.at("files"))
    finished.files.push_back({each.at("spool").get<std::string>(), each.at("ending").get<std::string>(),
                              std::move(each.at("about"))});
  if (finished.id.empty() || !is_path_below(finished.base) || !finished.manifest.is_object())
    return std::nullopt;
  return finished;
}

/// Reads the manifest of an interrupted recording. Nothing if it is not one of ours, or not whole.
std::optional<FinishedRecording> read_leftover(const std::shared_ptr<const Folder>& folder,
                                               const std::string& name) {
  std::ifstream file(folder->path_of(name));
  json manifest = json::parse(file, nullptr, false);
  if (!manifest.is_object()) return std::nullopt;
  const std::string state = manifest.value("state", "");
  if (state == kPlacing) return read_placing(folder, name, std::move(manifest));
  if (state != "recording") return std::nullopt;
  FinishedRecording finished;
  finished.id = manifest.value("id", "");
  finished.spool = folder;
  finished.manifest_spool_name = name;
  finished.base = manifest.value("base", "");
  if (finished.id.empty() || finished.base.empty()) return std::nullopt;
  for (const json& each : manifest.value("files", json::array())) {
    const std::string spool_name = each.value("spool", "");
    // Files that were discarded or never begun.
    if (!folder->exists(spool_name)) continue;
    json about = {{"kind", each.value("kind", "")}};
    if (each.value("party", 0u) != 0) about["party"] = each["party"];
    finished.files.push_back({spool_name, each.value("ending", ""), std::move(about)});
  }
  manifest.erase("files");
  manifest["state"] = "interrupted";
  manifest["reason"] = "the relay ended in the middle of the call";
  finished.manifest = std::move(manifest);
  return finished;
}

}  // namespace

json describe_placing(const FinishedRecording& finished) {
  json files = json::array();
  for (const FinishedFile& file : finished.files)
    files.push_back({{"spool", file.spool_name}, {"ending", file.ending}, {"about", file.about}});
  return {{"state", kPlacing},
          {"id", finished.id},
          {"base", finished.base},
          {"files", std::move(files)},
          {"manifest", finished.manifest}};
}

ClaimedSpool claim_spool(std::shared_ptr<const Folder> spool, const FileRights& rights) {
  ClaimedSpool claimed;
  claimed.name = std::string(kPrefix) + random_hex(8);
  auto folder = Folder::open(spool->path_of(claimed.name), rights);
  if (!folder) throw std::runtime_error(folder.error());
  claimed.folder = *folder;
  claimed.parent = std::move(spool);
  // The lock shows that this process is alive.
  auto lock = claimed.folder->create(kFolderLock);
  if (!lock || flock(lock->get(), LOCK_EX | LOCK_NB) != 0)
    throw std::runtime_error(fmt::format("cannot lock '{}': {}", claimed.folder->path(), strerror(errno)));
  claimed.lock = std::move(*lock);
  return claimed;
}

void release_spool(ClaimedSpool& claimed) {
  claimed.folder->remove(kFolderLock);
  claimed.parent->remove_folder(claimed.name);
}

void finish_leftovers(const std::shared_ptr<const Folder>& spool, const std::string& own,
                      const FileRights& rights, const std::function<void(FinishedRecording)>& finish) {
  // Collected first: finishing changes what is listed.
  std::set<std::string> folders;
  for (const std::string& path : spool->files()) {
    const std::string first = path.substr(0, path.find('/'));
    if (first.starts_with(kPrefix) && first.size() < path.size() && first != own) folders.insert(first);
  }
  for (const std::string& name : folders) {
    const auto folder = Folder::open(spool->path_of(name), rights);
    if (!folder) continue;
    auto opened = (*folder)->open_file(kFolderLock);
    if (!opened || flock(opened->get(), LOCK_EX | LOCK_NB) != 0) continue;  // its process is alive
    const auto lock = std::make_shared<const FileDescriptor>(std::move(*opened));
    bool is_empty = true;
    for (const std::string& file : (*folder)->files()) {
      // Half of a file that was being replaced.
      if (file.ends_with(".part")) (*folder)->remove(file);
      if (!file.ends_with(".json")) continue;
      is_empty = false;
      // Whatever else lies there is none of ours and stays.
      try {
        if (auto leftover = read_leftover(*folder, file)) {
          leftover->lock = lock;
          finish(std::move(*leftover));
        }
      } catch (const json::exception&) {
      }
    }
    // Its recordings were taken out at an earlier start, so the folder can go.
    if (!is_empty) continue;
    (*folder)->remove(kFolderLock);
    spool->remove_folder(name);
  }
}

}  // namespace ferry
