// SPDX-License-Identifier: Apache-2.0
// The work after a call: how it is kept, done, tried again and given up.
//
// The way of one piece:
// 1. `promise` writes an entry for each wanted kind into the store, before the manifest takes its place. A
//    crash in between loses nothing.
// 2. `post` puts the pieces into the queue. `withdraw` takes the entries back if the manifest could not be
//    placed.
// 3. A thread of its kind takes it (`next`) and does it without any lock (`attempt`).
// 4. `conclude` decides. Done: the entry goes from disk before it goes from the queue. Failed: it waits for
//    its next try. Failed for good: its entry moves into the store's `failed` folder.
//
// If the store cannot be written, work stays in memory and is done all the same; a line in the log says that
// a restart would forget it.
//
// At the end of the relay new work is still begun for a few seconds. Then programs and transfers are ended.
// Their entries stay in the store, and the next start goes on with them.
//
// Trap: a piece that is done twice does little harm, a piece that is lost is lost. So after a crash every
// order of steps here prefers "perhaps twice".

#include "recorder/after/after_call.hpp"

#include "recorder/finished.hpp"
#include "relay/base/printable.hpp"
#include "relay/base/thread_name.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

namespace ferry {

namespace {

using namespace std::chrono_literals;

/// Pieces that may wait in memory; further ones are given up into the folder of failures.
constexpr std::size_t kMaxWork = 100'000;
/// How long the end of the relay waits for work that is new.
constexpr auto kStopTime = 5s;
constexpr unsigned kTransferThreads = 2;
// The user that hooks run as, if the daemon is root and the recordings have no owner set.
constexpr uid_t kNobody = 65534;
constexpr std::array kKinds = {WorkKind::kHook, WorkKind::kUpload, WorkKind::kNotify};

Instant now() { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string title_of(const WorkEntry& entry) { return recording_title(entry.call_id, entry.recording); }

}  // namespace

AfterCall::AfterCall(const RecorderSettings& settings, std::shared_ptr<const Folder> folder, RecorderLog log,
                     RunProgram run)
    : settings_(settings),
      folder_(std::move(folder)),
      log_(std::move(log)),
      run_(std::move(run)),
      transfers_(settings),
      queue_(settings.notify_tries) {
  open_store();
}

AfterCall::~AfterCall() {
  {
    // New pieces are still taken for a moment; what has failed before is left for the next start
    // (`only_new`).
    std::unique_lock guard(lock_);
    stops_ = true;
    wake_.notify_all();
    settled_.wait_for(guard, kStopTime, [this] { return live_threads_ == 0; });
  }
  ends_now_.request_stop();
  wake_.notify_all();
  threads_.clear();
  leave_rest();
}

bool AfterCall::is_wanted(WorkKind kind) const {
  switch (kind) {
    case WorkKind::kHook:
      return !settings_.hook.empty();
    case WorkKind::kNotify:
      return !settings_.notify_url.empty();
    case WorkKind::kUpload:
      return !settings_.upload.endpoint.empty();
  }
  return false;
}

unsigned AfterCall::threads_of(WorkKind kind) const {
  if (!is_wanted(kind)) return 0;
  return kind == WorkKind::kHook ? settings_.hook_limit : kTransferThreads;
}

void AfterCall::open_store() {
  const std::string& state = settings_.state_directory;
  // Without work to do and without a folder from an earlier start, nothing is made.
  if (state.empty() || (!settings_.has_work() && !WorkStore::exists(state, folder_->path()))) return;
  auto opened = WorkStore::open(state, folder_->path());
  if (opened) {
    store_ = std::move(*opened);
    return;
  }
  no_store_because_ = opened.error();
  log_(RecorderLogLevel::kWarning,
       fmt::format("work after calls is done, but a restart forgets what is undone: {} (state-dir)",
                   no_store_because_));
}

void AfterCall::begin() {
  std::size_t found = 0;
  if (store_) {
    const auto tell = [this](const std::string& line) { log_(RecorderLogLevel::kWarning, line); };
    for (WorkEntry& entry : store_->load(tell)) {
      // The operator has switched the kind off since.
      if (!is_wanted(entry.kind)) {
        store_->set_aside(entry.file_name());
        tell(fmt::format("{}: the {} is not done, none is configured any more: its entry is in {}/set-aside",
                         title_of(entry), to_string(entry.kind), store_->path()));
        continue;
      }
      const std::lock_guard guard(lock_);
      queue_.add({std::move(entry), true}, now());
      ++found;
    }
  }
  if (found != 0)
    log_(RecorderLogLevel::kInfo,
         fmt::format("{} hooks, notifications and uploads of an earlier start go on", found));
  const std::lock_guard guard(lock_);
  for (const WorkKind kind : kKinds) start_threads(kind);
}

void AfterCall::start_threads(WorkKind kind) {
  try {
    for (unsigned i = 0; i < threads_of(kind); ++i) {
      threads_.emplace_back([this, kind] {
        name_thread("rec-after");
        work(kind);
      });
      ++live_threads_;
    }
  } catch (const std::system_error& e) {
    // The host is at its limit: the threads that there are do the work.
    log_(RecorderLogLevel::kWarning,
         fmt::format("cannot start a thread for each {}: {}", to_string(kind), e.what()));
  }
}

std::vector<Work> AfterCall::promise(const StoredRecording& recording) {
  std::vector<Work> promised;
  for (const WorkKind kind : kKinds) {
    if (!is_wanted(kind)) continue;
    Work work{{.kind = kind,
               .call_id = recording.call_id,
               .recording = recording.id,
               .directory = folder_->path(),
               .files = recording.files,
               .posted_ms = unix_ms()}};
    // Kept before it is counted on: a crash from here on loses nothing.
    keep(work);
    promised.push_back(std::move(work));
  }
  return promised;
}

void AfterCall::post(std::vector<Work> promised) {
  for (Work& work : promised) {
    std::unique_lock guard(lock_);
    if (queue_.size() < kMaxWork) {
      queue_.add(std::move(work), now());
      continue;
    }
    guard.unlock();
    give_up(work.entry, "too much work waits");
  }
  wake_.notify_all();
}

void AfterCall::withdraw(const std::vector<Work>& promised) {
  for (const Work& work : promised) forget(work);
}

void AfterCall::settle() {
  std::unique_lock guard(lock_);
  settled_.wait(guard, [this] { return queue_.is_empty(); });
}

void AfterCall::add_totals(RecorderTotals& totals) const {
  const std::lock_guard guard(lock_);
  totals.hooks_run += totals_.hooks_run;
  totals.hooks_failed += totals_.hooks_failed;
  totals.notifications_failed += totals_.notifications_failed;
  totals.uploads_failed += totals_.uploads_failed;
  totals.work_waiting = queue_.size();
  totals.work_folder = store_ ? store_->path() : std::string();
  totals.work_failed = store_ ? store_->failed() : 0;
  totals.work_trouble = no_store_because_;
  if (const int trouble = store_trouble_) totals.work_trouble = std::strerror(trouble);
}

std::optional<Work> AfterCall::next(WorkKind kind) {
  std::unique_lock guard(lock_);
  while (!ends_now_.stop_requested()) {
    // `wake_` is told of every change; a piece that waits for its next try wakes the thread by the time.
    if (auto taken = queue_.take(kind, now(), stops_)) return taken;
    if (stops_) break;
    if (const auto due = queue_.next_due(kind))
      wake_.wait_until(guard, *due);
    else
      wake_.wait(guard);
  }
  return std::nullopt;
}

void AfterCall::work(WorkKind kind) {
  while (auto taken = next(kind)) {
    const Attempt made = attempt(taken->entry);
    conclude(std::move(*taken), made);
  }
  const std::lock_guard guard(lock_);
  --live_threads_;
  settled_.notify_all();
}

AfterCall::Attempt AfterCall::attempt(WorkEntry& entry) {
  switch (entry.kind) {
    case WorkKind::kHook:
      return run_hook(entry);
    case WorkKind::kNotify:
      return notify(entry);
    case WorkKind::kUpload:
      return upload(entry);
  }
  return {};
}

AfterCall::Attempt AfterCall::of_transfer(std::string wrong) const {
  if (wrong.empty()) return {};
  return {ends_now_.stop_requested() ? Outcome::kStopped : Outcome::kAgain, std::move(wrong)};
}

AfterCall::Attempt AfterCall::run_hook(const WorkEntry& entry) {
  if (!folder_->exists(entry.manifest()))
    return {Outcome::kAgain, fmt::format("there is no {}", printable(folder_->path_of(entry.manifest())))};
  // Rights of the relay beyond those of an ordinary user are not handed on to a program of the operator.
  ProgramOrder order{.words = {"setpriv", "--no-new-privs", "--ambient-caps=-all", "--inh-caps=-all"},
                     .environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                     .time_out = settings_.hook_timeout};
  // A daemon that is root runs the hook as the owner of the recordings.
  if (geteuid() == 0) {
    const uid_t user = settings_.owner.value_or(kNobody);
    order.words.push_back(fmt::format("--reuid={}", user));
    order.words.push_back(fmt::format("--regid={}", settings_.group.value_or(user)));
    order.words.emplace_back("--clear-groups");
  }
  order.words.insert(order.words.end(), {"--", settings_.hook, folder_->path_of(entry.manifest())});
  const ProgramResult result = run_(order, ends_now_.get_token());
  const bool was_started = result.end != ProgramResult::End::kNotStarted;
  if (was_started) {
    const std::lock_guard guard(lock_);
    ++totals_.hooks_run;
  }
  if (result.is_good()) return {};
  if (result.end == ProgramResult::End::kStopped) return {Outcome::kStopped, describe(result)};
  // A program that ran and failed has had its effects, so it is not run again unasked.
  return {was_started ? Outcome::kGiveUp : Outcome::kAgain, fmt::format("the hook {}", describe(result))};
}

AfterCall::Attempt AfterCall::notify(const WorkEntry& entry) const {
  const auto manifest = folder_->read(entry.manifest());
  if (!manifest)
    return {Outcome::kAgain, fmt::format("cannot read {}: {}", printable(folder_->path_of(entry.manifest())),
                                         std::strerror(manifest.error()))};
  return of_transfer(transfers_.notify(*manifest, ends_now_.get_token()));
}

AfterCall::Attempt AfterCall::upload(WorkEntry& entry) const {
  const auto& files = entry.files;
  // Files that were stored before a restart or a failure are not stored again.
  const bool was_stored = entry.stored >= files.size();
  for (; entry.stored < files.size(); ++entry.stored) {
    if (std::string wrong = transfers_.store(*folder_, files[entry.stored], ends_now_.get_token());
        !wrong.empty())
      return of_transfer(std::move(wrong));
  }
  if (settings_.upload.keeps_files) return {};
  // The hook and the notification of this recording still need its files. kLater: the queue hands the piece
  // out again after them.
  if (!was_stored) return {Outcome::kLater, {}};
  for (const std::string& each : files) folder_->remove(each);
  return {};
}

void AfterCall::conclude(Work work, const Attempt& made) {
  Outcome outcome = made.outcome;
  const WorkKind kind = work.entry.kind;
  if (outcome == Outcome::kAgain) {
    // One try more; the last one makes it a failure for good.
    tell_of_trouble(kind, made.why);
    work.entry.error = made.why;
    if (!queue_.count_failure(work.entry)) outcome = Outcome::kGiveUp;
  } else if (outcome == Outcome::kDone) {
    tell_of_trouble(kind, {});
  }
  if (outcome == Outcome::kAgain || outcome == Outcome::kLater) keep(work);
  if (outcome == Outcome::kDone) forget(work);
  if (outcome == Outcome::kGiveUp) give_up(work.entry, made.why);
  const std::lock_guard guard(lock_);
  if (outcome == Outcome::kDone || outcome == Outcome::kGiveUp)
    queue_.remove(work.entry);
  else
    queue_.put_back(std::move(work), now());
  wake_.notify_all();
  if (queue_.is_empty()) settled_.notify_all();
}

/// Logs one line when a kind begins to fail and one when it works again, however much waits.
void AfterCall::tell_of_trouble(WorkKind kind, const std::string& why) {
  if (failing_[static_cast<std::size_t>(kind)].exchange(!why.empty()) == !why.empty()) return;
  if (why.empty())
    log_(RecorderLogLevel::kInfo, fmt::format("{}s work again", to_string(kind)));
  else
    log_(RecorderLogLevel::kWarning, fmt::format("{}s fail and are tried again: {}", to_string(kind), why));
}

void AfterCall::give_up(const WorkEntry& entry, const std::string& why) {
  WorkEntry last = entry;
  last.error = why;
  // Without a store there is only the log.
  const int wrong = store_ ? store_->give_up(last) : ENOENT;
  log_(RecorderLogLevel::kWarning,
       fmt::format("{}: {} given up: {}{}", title_of(entry), to_string(entry.kind), why,
                   wrong == 0 ? fmt::format("; its entry is in {}/failed", store_->path()) : std::string()));
  const std::lock_guard guard(lock_);
  if (entry.kind == WorkKind::kHook) ++totals_.hooks_failed;
  if (entry.kind == WorkKind::kNotify) ++totals_.notifications_failed;
  if (entry.kind == WorkKind::kUpload) ++totals_.uploads_failed;
}

void AfterCall::keep(Work& work) {
  if (!store_) return;
  const int wrong = store_->keep(work.entry);
  work.is_kept = work.is_kept || wrong == 0;
  // Told when it changes, not with each entry.
  if (store_trouble_.exchange(wrong) == wrong) return;
  if (wrong == 0)
    log_(RecorderLogLevel::kInfo, fmt::format("work after calls can be kept in {} again", store_->path()));
  else
    log_(RecorderLogLevel::kWarning,
         fmt::format("work after calls is done, but a restart forgets what is undone: cannot write to {}: {}",
                     store_->path(), std::strerror(wrong)));
}

void AfterCall::forget(const Work& work) {
  if (store_ && work.is_kept) store_->forget(work.entry);
}

/// Leaves the work that is undone at the end. In the store it waits for the next start; in memory it is lost.
void AfterCall::leave_rest() {
  std::size_t kept = 0;
  for (Work& work : queue_.rest()) {
    if (!work.is_kept) keep(work);
    if (work.is_kept)
      ++kept;
    else
      log_(RecorderLogLevel::kWarning,
           fmt::format("{}: the {} was left undone", title_of(work.entry), to_string(work.entry.kind)));
  }
  if (kept != 0)
    log_(RecorderLogLevel::kInfo,
         fmt::format("{} hooks, notifications and uploads wait for the next start", kept));
}

}  // namespace ferry
