// SPDX-License-Identifier: Apache-2.0
// Writes the octets of one recording file to disk, as they are or encrypted in chunks.
#pragma once

#include "recorder/files/folder.hpp"
#include "relay/base/bytes.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ferry {

/// A file that can be written and read anywhere within itself. Belongs to one thread. Errors are errno
/// values; 0: none.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  /// Writes all of `octets`, or the file's size stays as it was.
  [[nodiscard]] virtual int write_at(std::uint64_t at, Bytes octets) = 0;
  /// Reads up to as many octets as `into` holds; returns their number.
  [[nodiscard]] virtual std::size_t read_at(std::uint64_t at, MutableBytes into) = 0;
  /// Octets of the file, before encryption.
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Makes everything that was written so far readable for others.
  [[nodiscard]] virtual int flush() { return 0; }
};

/// Writes a file as it is.
std::unique_ptr<OutputFile> make_plain_output(FileDescriptor file);

/// Encrypts a file (REC-4), under a key of its own.
///
/// The file begins with `RFENC1\n`, the length of the wrapped key (2 octets, big-endian) and the file's key,
/// wrapped with the operator's public RSA key (OAEP, SHA-256). Then come chunks: a nonce of 12 octets, up to
/// 65,536 octets of AES-256-GCM cipher text, a tag of 16 octets. The number of the chunk (8 octets,
/// big-endian) and whether it was the last one when it was written (1 octet) are authenticated with it. A
/// chunk that is written again gets a new nonce.
///
/// The error is a sentence: the key cannot be used.
Result<std::unique_ptr<OutputFile>, std::string> make_sealed_output(FileDescriptor file,
                                                                    const std::string& public_key_file);

/// Why `make_sealed_output` could not use that key; empty if it can. Reads the file.
std::string fault_of_public_key(const std::string& public_key_file);

/// Decrypts a whole file that `make_sealed_output` wrote into `to`, which must not exist. The error is a
/// sentence: wrong key, changed, or cut.
Result<void, std::string> unseal(const std::string& from, const std::string& to,
                                 const std::string& private_key_file);

}  // namespace ferry
