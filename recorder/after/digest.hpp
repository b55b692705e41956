// SPDX-License-Identifier: Apache-2.0
// Hashes and signatures of finished files (REC-4), by OpenSSL.
#pragma once

#include "relay/base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace ferry {

/// Size and hashes of a file.
struct FileDigest {
  std::uint64_t size = 0;
  /// Hexadecimal.
  std::string sha256;
  /// One hash for each mebibyte: SHA-256 of the hash before it (of the recording's id, for the first one) and
  /// of that part of the file. Thus a change shows in which part it was made.
  std::vector<std::string> chain;
};
/// Octets of a part of the chain.
constexpr std::uint64_t kChainSegment = 1 << 20;

/// Hashes a whole file. `id`: of the recording. The error is an errno value.
Result<FileDigest, int> digest_file(int fd, const std::string& id);

/// Signs a text with a private key in PEM form (Ed25519, or RSA and EC with SHA-256), as `openssl pkeyutl
/// -sign -rawin` does. The error is a sentence.
Result<std::string, std::string> sign_text(const std::string& text, const std::string& key_file);

}  // namespace ferry
