// SPDX-License-Identifier: Apache-2.0
// Serves the pages of the HTTP listeners: health, metrics, and the operator's commands that only read.
#pragma once

#include "control/protocol/cli/cli_service.hpp"
#include "control/protocol/http/command_handler.hpp"
#include "control/protocol/pages/metrics.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace ferry::pages {

/// Returns pages and changes nothing. The references must outlive it. Control thread only.
class Pages {
 public:
  Pages(cli::CliService& cli, const metrics::Metrics& metrics, SessionManager& manager)
      : cli_(cli), metrics_(metrics), manager_(manager) {}
  /// `target` is the request's path with its query, percent-encoded. Nothing if there is no such page.
  [[nodiscard]] std::optional<http::Reply> get(std::string_view target) const;

 private:
  cli::CliService& cli_;
  const metrics::Metrics& metrics_;
  SessionManager& manager_;
};

}  // namespace ferry::pages
