// SPDX-License-Identifier: Apache-2.0
// `rtpferryctl makeprompt`: makes prompts of the rtpproxy protocol from audio files.
#pragma once

#include <span>
#include <string>

namespace ferry::ctl {

/// Runs the command; `words` are those behind its name. Returns the exit status.
int run_makeprompt(std::span<const std::string> words);

/// Lines about it in the help.
inline constexpr const char* kPromptHelp =
    "  makeprompt IN [OUT]   an audio file (WAV, FLAC, …; any rate) as a prompt of the rtpproxy protocol:\n"
    "                        OUT.0 (PCMU), OUT.3 (GSM), OUT.8 (PCMA), OUT.9 (G.722)\n";

}  // namespace ferry::ctl
