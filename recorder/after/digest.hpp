// Hashes and signatures of finished files (REC-4), by OpenSSL.
#pragma once

#include "relay/base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace ferry {

struct FileDigest {
  std::uint64_t size = 0;
  std::string sha256;  // hexadecimal
  /// Each is SHA-256 of the one before (at first of the recording's id) and one mebibyte of the file: what
  /// was taken out, changed or put in shows where.
  std::vector<std::string> chain;
};
constexpr std::uint64_t kChainSegment = 1 << 20;

/// Reads a whole file by its descriptor. The error is an errno value.
Result<FileDigest, int> digest_file(int fd, const std::string& id);

/// Signs a text with a private key in PEM form (Ed25519, or RSA and EC with SHA-256), as `openssl pkeyutl
/// -sign -rawin` does. The error is a sentence.
Result<std::string, std::string> sign_text(const std::string& text, const std::string& key_file);

}  // namespace ferry
