// SPDX-License-Identifier: Apache-2.0
// The commands `convert` and `decrypt`, which work on files and need no daemon.
#pragma once

#include <span>
#include <string>

namespace ferry::ctl {

/// Run a command; `words` are those behind its name. Each prints its own errors and returns the exit status.
int run_convert(std::span<const std::string> words);
int run_decrypt(std::span<const std::string> words);

/// Lines about these commands in the help.
inline constexpr const char* kFileHelp =
    "  convert FILE… -o OUT  capture (pcap, pcapng, rtpproxy's .rtp) to audio: .wav, .flac, .opus or .mp3;\n"
    "                        --mixed (one channel), --conceal (hide loss), --list (streams only),\n"
    "                        --rtpmap='96 opus/48000/2' [--fmtp='96 …'] for dynamic payload types\n"
    "  decrypt FILE -o OUT --key=PEM\n"
    "                        an encrypted recording in clear, with the private key\n";

}  // namespace ferry::ctl
