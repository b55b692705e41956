// Where the octets of one recording file go: to the disk as they are, or encrypted in chunks.
#pragma once

#include "recorder/files/folder.hpp"
#include "relay/base/bytes.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ferry {

/// A file that can be written anywhere within itself. Owned by one thread. Errors are errno values; 0 = none.
class Output {
 public:
  virtual ~Output() = default;
  /// All of `octets` or, as far as the file's size tells, nothing of it.
  [[nodiscard]] virtual int write_at(std::uint64_t at, Bytes octets) = 0;
  /// Octets read, at most as many as `into` holds.
  [[nodiscard]] virtual std::size_t read_at(std::uint64_t at, MutableBytes into) = 0;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Everything written so far can be read by others now.
  [[nodiscard]] virtual int flush() { return 0; }
};

/// As it is.
std::unique_ptr<Output> make_plain_output(FileDescriptor file);

/// Encrypts (REC-4). The file: `RFENC1\n`, the length of the wrapped key (2 octets, big-endian), the key of
/// this file wrapped with the operator's public RSA key (OAEP, SHA-256), then chunks: 12 octets of nonce, up
/// to 65,536 octets of AES-256-GCM cipher text and 16 of tag; the number of the chunk and whether it was the
/// last one when it was written (9 octets) are authenticated with it. A chunk that is written again gets a
/// new nonce. Fails, with a sentence, if the key cannot be used.
Result<std::unique_ptr<Output>, std::string> make_sealed_output(FileDescriptor file,
                                                                const std::string& public_key_file);

/// Why `make_sealed_output` could not use that file; empty if it can. Reads the file.
std::string fault_of_public_key(const std::string& public_key_file);

/// Decrypts a whole file that `make_sealed_output` wrote. The error is a sentence: no such key, changed, cut.
Result<void, std::string> unseal(const std::string& from, const std::string& to,
                                 const std::string& private_key_file);

}  // namespace ferry
