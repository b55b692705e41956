// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryctl/manual.hpp"

#include "control/protocol/cli/command_table.hpp"
#include "tools/rtpferryctl/files.hpp"
#include "tools/rtpferryctl/prompts.hpp"

#include <string_view>

#include <fmt/format.h>

namespace ferry::ctl {

namespace {

constexpr std::string_view kExit =
    "0 done; 1 refused: no such call, a failed check of doctor; 2 wrong usage; 3 no daemon.";

/// Escapes hyphens and backslashes for roff.
std::string roff(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '-' || c == '\\') safe += '\\';
    safe += c;
  }
  return safe;
}

}  // namespace

std::string help_text() {
  std::string text = "Usage: rtpferryctl [--socket=PATH] [--json] COMMAND\n\n";
  for (const cli::CommandRow& row : cli::kCommandRows) {
    const std::string left = fmt::format("{} {}", row.name, row.arguments);
    if (left.size() < 36)
      text += fmt::format("  {:<36} {}\n", left, row.help);
    else
      text += fmt::format("  {}\n  {:<36} {}\n", left, "", row.help);
  }
  text += fmt::format("\nWithout a daemon:\n{}{}\nExit status: {}\n", kFileHelp, kPromptHelp, kExit);
  return text;
}

std::string manual_page() {
  std::string page = fmt::format(
      ".TH RTPFERRYCTL 1 \"\" \"rtpferry {}\" \"User Commands\"\n.SH NAME\nrtpferryctl \\- looks into a "
      "running rtpferryd\n"
      ".SH SYNOPSIS\n.B rtpferryctl\n[\\-\\-socket=PATH] [\\-\\-json] COMMAND\n.SH DESCRIPTION\n"
      "Asks the relay over its control socket (/run/rtpferry/control.sock) and prints tables, or with "
      "\\-\\-json what it "
      "answered.\n.SH COMMANDS\n",
      FERRY_VERSION);
  for (const cli::CommandRow& row : cli::kCommandRows)
    page += fmt::format(".TP\n.B {} {}\n{}\n", row.name, roff(row.arguments), roff(row.help));
  page += fmt::format(".SH \"EXIT STATUS\"\n{}\n.SH \"SEE ALSO\"\n.BR rtpferryd (8)\n", roff(kExit));
  return page;
}

std::string bash_completion() {
  std::string names = "convert decrypt makeprompt migrate";
  std::string calls;
  std::string options;
  for (const cli::CommandRow& row : cli::kCommandRows) {
    names += fmt::format(" {}", row.name);
    if (row.takes_call) calls += fmt::format("{}{}", calls.empty() ? "" : "|", row.name);
    std::string own;
    for (std::size_t at = 0; (at = row.arguments.find("--", at)) != std::string_view::npos;) {
      const auto end = std::min(row.arguments.find_first_of("=] |", at), row.arguments.size());
      own += fmt::format(" {}{}", row.arguments.substr(at, end - at),
                         row.arguments.substr(end).starts_with('=') ? "=" : "");
      at = end;
    }
    if (!own.empty()) options += fmt::format("    {}) words+=\"{}\" ;;\n", row.name, own);
  }
  return fmt::format(R"sh(# bash completion of rtpferryctl
_rtpferryctl() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} command= word words=
  COMPREPLY=()
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in -*) ;; *) command=$word; break ;; esac
  done
  if [ -z "$command" ]; then
    COMPREPLY=($(compgen -W "{0} --json --socket= --help" -- "$current"))
    return
  fi
  words="--json"
  case $command in
{1}  esac
  case $command in
    {2})
      if [ "${{current#-}}" = "$current" ]; then
        # A Call-ID is whatever a party wrote: compgen -W would run what stands in it.
        while IFS= read -r word; do
          case $word in "$current"*) COMPREPLY+=("$(printf %q "$word")") ;; esac
        done < <(rtpferryctl --json list 2>/dev/null | sed -n 's/.*"call_id": "\([^"\\]*\)",\{{0,1\}}$/\1/p')
        return
      fi ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o nospace -F _rtpferryctl rtpferryctl
)sh",
                     names, options, calls);
}

}  // namespace ferry::ctl
