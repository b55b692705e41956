// SPDX-License-Identifier: Apache-2.0
// Brings closed recordings to their place, one after the other, on a thread of its own.
//
// Order of `finish`, made so that a crash at any moment loses nothing and leaves nothing half done:
// 1. Choose a name that can be had and that nobody has (`usable_base`, `free_base`).
// 2. `note_placing`: the manifest in the spool now says "placing", with all final names. From here on the
//    next start goes on with these names.
// 3. Each file: hash, sync, move (`place_file`). A file that is in its place already is hashed there.
// 4. The signature of the manifest, if it is signed.
// 5. `promise`: entries for the work after the call.
// 6. The manifest takes its place. It comes last, because whoever sees a manifest may count on everything
//    that it names.
// 7. `post` the work, remove the manifest from the spool.
//
// `stored_` lists the recordings that are in their place, oldest first, for retention and quota. It is only
// filled if one of these is set. A recording is removed with its manifest last, so that what is half removed
// is found and removed next time.
#include "recorder/after/finisher.hpp"

#include "recorder/after/digest.hpp"
#include "recorder/after/leftovers.hpp"
#include "recorder/files/folder.hpp"
#include "recorder/files/names.hpp"
#include "recorder/recording_job.hpp"
#include "relay/base/printable.hpp"
#include "relay/base/thread_name.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

namespace ferry {

using nlohmann::json;

namespace {

using namespace std::chrono_literals;

// How often recordings are checked for age and quota, also without new ones.
constexpr auto kSurplusCheck = 60s;
// Numbers that are tried behind a name that is taken.
constexpr unsigned kMaxNames = 1000;
/// The longest name made of a base: the file that `replace` makes on the way to a signature.
constexpr std::string_view kLongestEnding = ".json.sig.part";

std::string dump(const json& document) {
  return document.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

/// Seconds since 1970 of an RFC 3339 time in UTC; 0 if the text is none.
std::int64_t unix_seconds(const std::string& text) {
  std::tm time{};
  if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) return 0;
  return timegm(&time);
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

}  // namespace

Finisher::Finisher(const RecorderSettings& settings, std::shared_ptr<const Folder> folder, RecorderLog log,
                   RunProgram run)
    : settings_(settings),
      folder_(std::move(folder)),
      log_(std::move(log)),
      after_(settings, folder_, log_, std::move(run)) {
  thread_ = std::thread([this] {
    name_thread("rec-finisher");
    work();
  });
}

Finisher::~Finisher() {
  {
    const std::lock_guard guard(lock_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Finisher::post(FinishedRecording finished) {
  {
    const std::lock_guard guard(lock_);
    queue_.push_back(std::move(finished));
    ++posted_;
  }
  wake_.notify_one();
}

void Finisher::begin_work() {
  {
    const std::lock_guard guard(lock_);
    begins_after_ = posted_;
  }
  wake_.notify_one();
}

void Finisher::settle_files() {
  // `is_busy_` too: the last one may be taken but not placed.
  std::unique_lock guard(lock_);
  settled_.wait(guard, [this] { return queue_.empty() && !is_busy_ && !begins_after_; });
}

void Finisher::settle() {
  settle_files();
  after_.settle();
}

RecorderTotals Finisher::totals() const {
  RecorderTotals totals;
  {
    const std::lock_guard guard(lock_);
    totals = totals_;
  }
  after_.add_totals(totals);
  return totals;
}

// Work must wait for the leftovers: their entries are the older ones.
void Finisher::begin_work_if_due() {
  {
    const std::lock_guard guard(lock_);
    if (!begins_after_ || taken_ < *begins_after_) return;
  }
  after_.begin();
  const std::lock_guard guard(lock_);
  begins_after_.reset();
}

void Finisher::work() {
  const bool has_bounds = settings_.retention.count() != 0 || settings_.quota_bytes != 0;
  // Asked of the disk once; from then on the list is kept in memory.
  if (has_bounds) load_stored();
  auto next_check = std::chrono::steady_clock::now();
  while (true) {
    begin_work_if_due();
    FinishedRecording finished;
    bool has_one = false;
    {
      std::unique_lock guard(lock_);
      is_busy_ = false;
      settled_.notify_all();
      const auto wanted = [this] { return stop_ || begins_after_ || !queue_.empty(); };
      if (has_bounds)
        wake_.wait_until(guard, next_check, wanted);
      else
        wake_.wait(guard, wanted);
      if (!queue_.empty()) {
        finished = std::move(queue_.front());
        queue_.pop_front();
        ++taken_;
        has_one = is_busy_ = true;
      } else if (stop_) {
        // Only now: everything that was posted is done before the thread ends.
        return;
      }
    }
    try {
      if (has_one) finish(finished);
      if (has_bounds && (has_one || std::chrono::steady_clock::now() >= next_check)) {
        remove_surplus();
        next_check = std::chrono::steady_clock::now() + kSurplusCheck;
      }
    } catch (const std::exception& e) {
      // One recording's trouble; the next ones go on.
      log_(RecorderLogLevel::kWarning, fmt::format("{}: {}", finished.title(), e.what()));
    }
  }
}

std::string Finisher::free_base(const FinishedRecording& finished) const {
  for (unsigned n = 1; n <= kMaxNames; ++n) {
    const std::string base = n == 1 ? finished.base : fmt::format("{}-{}", finished.base, n);
    const bool taken =
        folder_->exists(base + ".json") || std::ranges::any_of(finished.files, [&](const FinishedFile& file) {
          return folder_->exists(base + file.ending);
        });
    if (!taken) return base;
  }
  // The id makes it unique.
  return finished.base + "-" + finished.id;
}

/// The name wished for, or the usual one if no file can ever have it: a link on the way, a part that is too
/// long, no rights. Errors that may pass (a full disk) do not count.
std::string Finisher::usable_base(const FinishedRecording& finished) const {
  static constexpr std::array kLasting = {ELOOP, ENOTDIR, ENAMETOOLONG, EXDEV, EACCES, EPERM, EINVAL};
  // Asked of the longest name that will be made of it.
  const int wrong =
      folder_->fault_of_name(fmt::format("{}-{}{}", finished.base, finished.id, kLongestEnding));
  if (std::ranges::find(kLasting, wrong) == kLasting.end()) return finished.base;
  const std::string call_id = finished.manifest.value("call_id", "");
  log_(RecorderLogLevel::kWarning,
       fmt::format("{}: no file can be {} ({}): the usual name is used", finished.title(),
                   in_quotes(folder_->path_of(finished.base)), strerror(wrong)));
  return fill_pattern("%c-%r", {call_id, {}, finished.id, WallTime{}});
}

void Finisher::discard(const FinishedRecording& finished) {
  for (const FinishedFile& file : finished.files) finished.spool->remove(file.spool_name);
  finished.spool->remove(finished.manifest_spool_name);
  log_(RecorderLogLevel::kInfo, fmt::format("{} was discarded", finished.title()));
  const std::lock_guard guard(lock_);
  ++totals_.finished;
}

void Finisher::note_trouble(FinishedRecording& finished, const std::string& what) const {
  log_(RecorderLogLevel::kWarning, fmt::format("{}: {}", finished.title(), what));
  json& losses = finished.manifest["losses"];
  if (!losses.contains("first_error")) losses["first_error"] = what;
}

/// Writes down where the files are going. From here on a crash leaves files in two places, and the next start
/// goes on with these names.
void Finisher::note_placing(FinishedRecording& finished) {
  const std::string text = dump(describe_placing(finished));
  if (const int wrong = finished.spool->replace(finished.manifest_spool_name, text))
    note_trouble(finished,
                 fmt::format("cannot write {}: {}", finished.spool->path_of(finished.manifest_spool_name),
                             strerror(wrong)));
}

void Finisher::place_file(FinishedRecording& finished, FinishedFile& file, StoredRecording& stored) {
  const std::string name = finished.base + file.ending;
  const std::string in_spool = finished.spool->path_of(file.spool_name);
  json& about = file.about;
  about["name"] = name.substr(folder_of(name).size());
  if (!settings_.encryption_key.empty()) about["encrypted"] = true;
  // After a crash the file may be in its place already.
  auto opened = finished.spool->open_file(file.spool_name);
  const bool is_placed = !opened && finished.is_placing && folder_->exists(name);
  if (is_placed) opened = folder_->open_file(name);
  const auto digest = opened ? digest_file(opened->get(), finished.id) : fail(opened.error());
  if (digest) {
    about["size"] = digest->size;
    about["sha256"] = digest->sha256;
    if (!settings_.signing_key.empty())
      // A chain only proves something if the manifest is signed.
      about["chain"] = {{"segment", kChainSegment}, {"sha256", digest->chain}};
    stored.bytes += digest->size;
  } else {
    note_trouble(finished, fmt::format("cannot read {}: {}", in_spool, strerror(digest.error())));
  }
  // The move is only a change of names, so the contents must be on disk before it.
  if (opened && fdatasync(opened->get()) != 0)
    note_trouble(finished, fmt::format("cannot write {}: {}", in_spool, strerror(errno)));
  const int wrong = is_placed ? 0 : finished.spool->move_to(file.spool_name, *folder_, name);
  if (wrong == 0) {
    stored.files.push_back(name);
    return;
  }
  note_trouble(finished, fmt::format("cannot move {} to {}: {}", in_spool, printable(folder_->path_of(name)),
                                     strerror(wrong)));
  // The manifest says where the file still is, so that it can be fetched by hand.
  about["spool"] = in_spool;
}

void Finisher::sign(FinishedRecording& finished, const std::string& text, StoredRecording& stored) {
  if (settings_.signing_key.empty()) return;
  const std::string name = finished.base + ".json.sig";
  const auto signature = sign_text(text, settings_.signing_key);
  if (!signature) {
    note_trouble(finished, signature.error());
  } else if (const int wrong = folder_->replace(name, *signature)) {
    note_trouble(finished, fmt::format("cannot write the signature: {}", strerror(wrong)));
  } else {
    stored.files.push_back(name);
  }
}

/// Puts the manifest into its place. Whoever sees it finds everything else, so it comes last. True if it is
/// there.
bool Finisher::place_manifest(FinishedRecording& finished, const std::string& text) {
  const std::string name = finished.base + ".json";
  const std::string whole = finished.id + ".manifest";
  int wrong = finished.spool->replace(whole, text);
  if (wrong != 0 && !folder_->exists(name)) {
    // The spool may be full where the recordings are not.
    wrong = folder_->replace(name, text);
  } else if (wrong == 0) {
    wrong = finished.spool->move_to(whole, *folder_, name);
    // An earlier process ended right after this move.
    if (wrong == EEXIST && finished.is_placing) wrong = folder_->replace(name, text);
    finished.spool->remove(whole);
  }
  if (wrong != 0) {
    note_trouble(finished,
                 fmt::format("cannot write {}: {}", printable(folder_->path_of(name)), strerror(wrong)));
    return false;
  }
  folder_->sync();
  return true;
}

void Finisher::finish(FinishedRecording& finished) {
  if (finished.discard) {
    discard(finished);
    return;
  }
  if (!finished.is_placing) {
    finished.base = usable_base(finished);
    finished.base = free_base(finished);
    note_placing(finished);
  }
  StoredRecording stored;
  json files = json::array();
  for (FinishedFile& file : finished.files) {
    place_file(finished, file, stored);
    files.push_back(std::move(file.about));
  }
  json& manifest = finished.manifest;
  // Only the spool needs it.
  manifest.erase("base");
  manifest["files"] = std::move(files);
  const std::string text = dump(manifest);
  sign(finished, text, stored);
  stored.files.push_back(finished.base + ".json");
  stored.bytes += text.size();
  auto promised = after_.promise({manifest.value("call_id", ""), finished.id, stored.files});
  const bool is_placed = place_manifest(finished, text);
  const bool is_good = !(manifest.contains("losses") && manifest["losses"].contains("first_error"));
  {
    const std::lock_guard guard(lock_);
    ++(is_good ? totals_.finished : totals_.failed);
  }
  if (is_placed) {
    after_.post(std::move(promised));
    finished.spool->remove(finished.manifest_spool_name);
  } else {
    after_.withdraw(promised);
  }
  stored_bytes_ += stored.bytes;
  stored_.emplace(unix_seconds(manifest.value("end", manifest.value("start", ""))), std::move(stored));
  // Nobody asks for it without bounds.
  if (settings_.retention.count() == 0 && settings_.quota_bytes == 0) stored_.clear();
}

void Finisher::load_stored() {
  for (const std::string& name : folder_->files()) {
    if (!name.ends_with(".json")) continue;
    try {
      load_one(name);
    } catch (const json::exception&) {
      // No manifest of ours: it is left alone.
    }
  }
}

void Finisher::load_one(const std::string& name) {
  std::ifstream file(folder_->path_of(name));
  const json manifest = json::parse(file, nullptr, false);
  if (!manifest.is_object() || !manifest.contains("files") || !manifest.contains("call_id")) return;
  StoredRecording stored;
  for (const json& each : manifest["files"]) {
    stored.files.push_back(folder_of(name) + each.at("name").get<std::string>());
    stored.bytes += each.value("size", std::uint64_t{0});
  }
  if (folder_->exists(name + ".sig")) stored.files.push_back(name + ".sig");
  stored.files.push_back(name);
  stored_bytes_ += stored.bytes;
  stored_.emplace(unix_seconds(manifest.value("end", manifest.value("start", ""))), std::move(stored));
}

void Finisher::remove(std::multimap<std::int64_t, StoredRecording>::iterator which, std::string_view why) {
  // The manifest goes last: what is half removed is removed next time.
  for (const std::string& name : which->second.files) folder_->remove(name);
  log_(RecorderLogLevel::kInfo, fmt::format("removed recording {} ({} octets): {}",
                                            printable(which->second.files.back()), which->second.bytes, why));
  stored_bytes_ -= std::min(stored_bytes_, which->second.bytes);
  {
    const std::lock_guard guard(lock_);
    totals_.files_removed += which->second.files.size();
  }
  stored_.erase(which);
}

void Finisher::remove_surplus() {
  const std::int64_t now = std::time(nullptr);
  while (!stored_.empty() && settings_.retention.count() != 0 &&
         stored_.begin()->first < now - settings_.retention.count())
    remove(stored_.begin(), "older than recording-retention");
  while (!stored_.empty() && settings_.quota_bytes != 0 && stored_bytes_ > settings_.quota_bytes)
    remove(stored_.begin(), "recordings are larger than recording-quota");
}

}  // namespace ferry
