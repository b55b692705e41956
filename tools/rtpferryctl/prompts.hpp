// `rtpferryctl makeprompt`: audio files as prompts of the classic protocol.
#pragma once

#include <span>
#include <string>

namespace ferry::ctl {

/// The words behind the command. Returns the exit status.
int run_makeprompt(std::span<const std::string> words);

/// Lines of the help.
inline constexpr const char* kPromptHelp =
    "  makeprompt IN [OUT]   an audio file (WAV, FLAC, …; any rate) as a prompt of the rtpproxy protocol:\n"
    "                        OUT.0 (PCMU), OUT.3 (GSM), OUT.8 (PCMA), OUT.9 (G.722)\n";

}  // namespace ferry::ctl
