#include "recorder/after/finisher.hpp"

#include "recorder/after/digest.hpp"
#include "recorder/files/folder.hpp"
#include "recorder/recording_job.hpp"

#include <algorithm>
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

constexpr auto kSurplusCheck = 60s;
constexpr unsigned kMaxNames = 1000;

std::string dump(const json& document) {
  return document.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

/// Seconds of an RFC 3339 time in UTC; 0 if it is none.
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

Finisher::Finisher(const RecorderSettings& settings, std::shared_ptr<const Folder> folder, Recorder::Log log)
    : settings_(settings), folder_(std::move(folder)), log_(std::move(log)), after_(settings, folder_, log_) {
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "rec-finisher");
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
  }
  wake_.notify_one();
}

void Finisher::settle_files() {
  std::unique_lock guard(lock_);
  settled_.wait(guard, [this] { return queue_.empty() && !is_busy_; });
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

void Finisher::run() {
  const bool has_bounds = settings_.retention.count() != 0 || settings_.quota_bytes != 0;
  if (has_bounds) load_kept();
  auto next_check = std::chrono::steady_clock::now();
  while (true) {
    FinishedRecording finished;
    bool has_one = false;
    {
      std::unique_lock guard(lock_);
      is_busy_ = false;
      settled_.notify_all();
      const auto wanted = [this] { return stop_ || !queue_.empty(); };
      if (has_bounds)
        wake_.wait_until(guard, next_check, wanted);
      else
        wake_.wait(guard, wanted);
      if (!queue_.empty()) {
        finished = std::move(queue_.front());
        queue_.pop_front();
        has_one = is_busy_ = true;
      } else if (stop_) {
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
  return finished.base + "-" + finished.id;
}

void Finisher::finish(FinishedRecording& finished) {
  if (finished.discard) {
    for (const FinishedFile& file : finished.files) finished.spool->remove(file.spool_name);
    finished.spool->remove(finished.manifest_spool_name);
    log_(RecorderLogLevel::kInfo, fmt::format("{} was discarded", finished.title()));
    const std::lock_guard guard(lock_);
    ++totals_.finished;
    return;
  }
  json& manifest = finished.manifest;
  const std::string base = free_base(finished);
  const std::string relative = folder_of(base);
  const bool has_chain = !settings_.signing_key.empty();
  Kept kept;
  bool good = true;
  const auto trouble = [&](const std::string& what) {
    good = false;
    log_(RecorderLogLevel::kWarning, fmt::format("{}: {}", finished.title(), what));
    json& losses = manifest["losses"];
    if (!losses.contains("first_error")) losses["first_error"] = what;
  };
  json files = json::array();
  for (FinishedFile& file : finished.files) {
    const std::string name = base + file.ending;
    json about = std::move(file.about);
    about["name"] = name.substr(relative.size());
    if (!settings_.encryption_key.empty()) about["encrypted"] = true;
    const auto opened = finished.spool->open_file(file.spool_name);
    const auto digest = opened ? digest_file(opened->get(), finished.id) : fail(opened.error());
    if (digest) {
      about["size"] = digest->size;
      about["sha256"] = digest->sha256;
      if (has_chain) about["chain"] = {{"segment", kChainSegment}, {"sha256", digest->chain}};
      kept.bytes += digest->size;
    } else {
      trouble(fmt::format("cannot read {}: {}", finished.spool->path_of(file.spool_name),
                          strerror(digest.error())));
    }
    if (opened && fdatasync(opened->get()) != 0)
      trouble(fmt::format("cannot write {}: {}", finished.spool->path_of(file.spool_name), strerror(errno)));
    if (const int wrong = finished.spool->move_to(file.spool_name, *folder_, name)) {
      trouble(fmt::format("cannot move {} to {}: {}", finished.spool->path_of(file.spool_name),
                          folder_->path_of(name), strerror(wrong)));
      about["spool"] = finished.spool->path_of(file.spool_name);
    } else {
      kept.files.push_back(name);
    }
    files.push_back(std::move(about));
  }
  manifest.erase("base");
  manifest["files"] = std::move(files);
  const std::string text = dump(manifest);
  if (has_chain) {
    const auto signature = sign_text(text, settings_.signing_key);
    if (!signature) {
      trouble(signature.error());
    } else if (const int wrong = folder_->replace(base + ".json.sig", *signature)) {
      trouble(fmt::format("cannot write the signature: {}", strerror(wrong)));
    } else {
      kept.files.push_back(base + ".json.sig");
    }
  }
  // The manifest comes last: who sees it finds the rest.
  int wrong = finished.spool->replace(finished.manifest_spool_name, text);
  if (wrong != 0 && !folder_->exists(base + ".json")) {
    // The spool may be full where the recordings are not.
    wrong = folder_->replace(base + ".json", text);
    finished.spool->remove(finished.manifest_spool_name);
  } else if (wrong == 0) {
    wrong = finished.spool->move_to(finished.manifest_spool_name, *folder_, base + ".json");
  }
  if (wrong != 0)
    trouble(fmt::format("cannot write {}: {}", folder_->path_of(base + ".json"), strerror(wrong)));
  folder_->sync();
  good = good && !(manifest.contains("losses") && manifest["losses"].contains("first_error"));
  kept.files.push_back(base + ".json");
  kept.bytes += text.size();
  {
    const std::lock_guard guard(lock_);
    ++(good ? totals_.finished : totals_.failed);
  }
  if (wrong == 0) after_.post({finished.title(), base + ".json", kept.files, text});
  kept_bytes_ += kept.bytes;
  kept_.emplace(unix_seconds(manifest.value("end", manifest.value("start", ""))), std::move(kept));
  if (settings_.retention.count() == 0 && settings_.quota_bytes == 0) kept_.clear();
}

void Finisher::load_kept() {
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
  Kept kept;
  for (const json& each : manifest["files"]) {
    kept.files.push_back(folder_of(name) + each.at("name").get<std::string>());
    kept.bytes += each.value("size", std::uint64_t{0});
  }
  if (folder_->exists(name + ".sig")) kept.files.push_back(name + ".sig");
  kept.files.push_back(name);
  kept_bytes_ += kept.bytes;
  kept_.emplace(unix_seconds(manifest.value("end", manifest.value("start", ""))), std::move(kept));
}

void Finisher::remove(std::multimap<std::int64_t, Kept>::iterator which, std::string_view why) {
  // The manifest goes last: what is half removed is removed next time.
  for (const std::string& name : which->second.files) folder_->remove(name);
  log_(RecorderLogLevel::kInfo, fmt::format("removed recording {} ({} octets): {}",
                                            which->second.files.back(), which->second.bytes, why));
  kept_bytes_ -= std::min(kept_bytes_, which->second.bytes);
  {
    const std::lock_guard guard(lock_);
    totals_.files_removed += which->second.files.size();
  }
  kept_.erase(which);
}

void Finisher::remove_surplus() {
  const std::int64_t now = std::time(nullptr);
  while (!kept_.empty() && settings_.retention.count() != 0 &&
         kept_.begin()->first < now - settings_.retention.count())
    remove(kept_.begin(), "older than recording-retention");
  while (!kept_.empty() && settings_.quota_bytes != 0 && kept_bytes_ > settings_.quota_bytes)
    remove(kept_.begin(), "recordings are larger than recording-quota");
}

}  // namespace ferry
