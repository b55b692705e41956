// Commands that work on files and need no daemon: convert, decrypt.
#pragma once

#include <span>
#include <string>

namespace ferry::ctl {

/// `words` are those behind the command. Returns the exit status; prints its own errors.
int run_convert(std::span<const std::string> words);
int run_decrypt(std::span<const std::string> words);

/// Lines of the help.
inline constexpr const char* kFileHelp =
    "  convert FILE… -o OUT  capture (pcap, pcapng, rtpproxy's .rtp) to audio: .wav, .flac, .opus or .mp3;\n"
    "                        --mixed (one channel), --conceal (hide loss), --list (streams only),\n"
    "                        --rtpmap='96 opus/48000/2' [--fmtp='96 …'] for dynamic payload types\n"
    "  decrypt FILE -o OUT --key=PEM\n"
    "                        an encrypted recording in clear, with the private key\n";

}  // namespace ferry::ctl
