// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/events/journal_folder.hpp"

#include "control/log/log.hpp"
#include "relay/base/file_descriptor.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/sha.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry::events {

namespace {

constexpr auto kOldest = std::chrono::days(7);
/// Numbers of events are below (a double has them exactly).
constexpr std::uint64_t kNumberLimit = std::uint64_t{1} << 53;

/// The name of a receiver's journals without the number.
std::string name_of_receiver(const std::string& receiver) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(receiver.data()), receiver.size(), digest.data());
  std::string name = "webhook-";
  for (std::size_t i = 0; i < 8; ++i) name += fmt::format("{:02x}", digest[i]);
  return name;
}

std::vector<std::filesystem::path> journals(const std::string& state_directory) {
  std::vector<std::filesystem::path> all;
  std::error_code error;
  for (std::filesystem::directory_iterator at(journal_folder(state_directory), error), end;
       !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with("webhook-") && name.ends_with(".journal")) all.push_back(at->path());
  }
  return all;
}

/// The highest number behind `"id":` in a part of a journal. A text within JSON cannot have these octets,
/// because its quotation marks are escaped.
std::uint64_t highest_in(std::string_view text) {
  static constexpr std::string_view kName = "\"id\":";
  std::uint64_t highest = 0;
  for (auto at = text.find(kName); at != std::string_view::npos; at = text.find(kName, at + 1)) {
    std::uint64_t number = 0;
    const char* begin = text.data() + at + kName.size();
    if (std::from_chars(begin, text.data() + text.size(), number).ec == std::errc{} && number < kNumberLimit)
      highest = std::max(highest, number);
  }
  return highest;
}

}  // namespace

std::string receiver_of(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const auto scheme = url.find("://");
  const auto begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const auto host_end = std::min(url.find('/', begin), url.size());
  const auto user = url.substr(begin, host_end - begin).rfind('@');
  std::string bare(url.substr(0, begin));
  return bare.append(url.substr(user == std::string_view::npos ? begin : begin + user + 1));
}

std::string journal_folder(const std::string& state_directory) { return state_directory + "/events"; }

std::string journal_path(const std::string& state_directory, const std::string& receiver, int n) {
  const std::string name = journal_folder(state_directory) + "/" + name_of_receiver(receiver);
  return n == 1 ? name + ".journal" : fmt::format("{}-{}.journal", name, n);
}

std::uint64_t highest_number(const std::string& state_directory) {
  // Longer than the name and a number, which may lie on both sides of a block.
  constexpr std::size_t kOverlap = 64;
  std::uint64_t highest = 0;
  for (const auto& path : journals(state_directory)) {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    std::string text;
    std::array<char, 65536> block{};
    for (ssize_t got = 0; file && (got = ::read(file.get(), block.data(), block.size())) > 0;) {
      text.append(block.data(), static_cast<std::size_t>(got));
      highest = std::max(highest, highest_in(text));
      text.erase(0, text.size() - std::min(text.size(), kOverlap));
    }
  }
  return highest;
}

std::vector<std::string> tidy_journals(const std::string& state_directory,
                                       const std::vector<std::string>& receivers, WallTime now) {
  std::vector<std::string> deleted;
  for (const auto& path : journals(state_directory)) {
    const std::string name = path.filename().string();
    const auto is_its = [&](const std::string& receiver) {
      return name.starts_with(name_of_receiver(receiver));
    };
    if (std::ranges::any_of(receivers, is_its)) continue;
    const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    struct stat info {};
    if (!file || flock(file.get(), LOCK_EX | LOCK_NB) != 0 || fstat(file.get(), &info) != 0) continue;
    const WallTime written{std::chrono::seconds(info.st_mtim.tv_sec)};
    if (now - written > kOldest && ::unlink(path.c_str()) == 0) {
      log::warn("{} is deleted: no event-webhook has its receiver, and it is older than 7 days",
                path.string());
      deleted.push_back(path.string());
    } else if (info.st_size != 0) {
      log::warn(
          "{} has events of a receiver that no event-webhook names; it is deleted when it is 7 days old",
          path.string());
    }
  }
  return deleted;
}

}  // namespace ferry::events
