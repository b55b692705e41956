// SPDX-License-Identifier: Apache-2.0
// Serves the pages of the HTTP listeners: health, metrics, and the operator's commands that only read.
#pragma once

#include "control/protocol/cli/cli_service.hpp"
#include "control/protocol/http/command_handler.hpp"
#include "control/protocol/pages/metrics.hpp"
#include "control/view/call_board.hpp"

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace ferry::pages {

/// Returns pages and changes no call. The references must outlive it. Control thread only.
class Pages {
 public:
  Pages(cli::CliService& cli, const metrics::Metrics& metrics, SessionManager& manager);
  /// `target` is the request's path with its query, percent-encoded. Nothing if there is no such page.
  [[nodiscard]] std::optional<http::Reply> get(std::string_view target);
  /// Looks at some calls for their timelines. To be called once a second.
  void tick(const Clock& clock);

 private:
  /// The list of calls of the web page, and what was seen of one call.
  [[nodiscard]] http::Reply board(std::string_view query);
  /// Totals of the whole relay; the page makes rates of two of them.
  [[nodiscard]] nlohmann::json fleet() const;
  [[nodiscard]] http::Reply timeline(std::string_view number) const;

  cli::CliService& cli_;
  const metrics::Metrics& metrics_;
  SessionManager& manager_;
  CallBoard board_;
};

}  // namespace ferry::pages
