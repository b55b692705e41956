// SPDX-License-Identifier: Apache-2.0
// Sends finished recordings to servers over HTTP: the manifest by POST, files to S3-compatible storage.
// Certificates are checked, redirects are not followed, and nothing waits for ever (CTL-9).
#pragma once

#include "recorder/files/folder.hpp"
#include "recorder/settings.hpp"

#include <stop_token>
#include <string>

namespace ferry {

/// HTTP requests by libcurl, which is set up as long as one of these lives. A call blocks its thread; several
/// threads may call at a time. A requested `stop` ends a transfer within a second or two.
class Transfers {
 public:
  /// `settings` outlives it.
  explicit Transfers(const RecorderSettings& settings);
  ~Transfers();
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  /// Posts a manifest to `notify_url`. Returns why that failed; empty if the server took it.
  [[nodiscard]] std::string notify(const std::string& manifest, const std::stop_token& stop) const;
  /// Stores one file of `folder`. Returns why that failed; empty if the server took it.
  [[nodiscard]] std::string store(const Folder& folder, const std::string& name,
                                  const std::stop_token& stop) const;

 private:
  const RecorderSettings& settings_;
};

}  // namespace ferry
