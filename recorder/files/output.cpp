// SPDX-License-Identifier: Apache-2.0
// Outputs: plain files, and encrypted ones.
//
// Encryption must fit formats that go back to their head when they end (WAV) and readers that look into a
// growing file. So a file is sealed in chunks of 64 KiB, each on its own: a chunk that is written again gets
// a new nonce. The first chunk, where heads are, and the last one are kept in memory; chunks between them are
// written once.
//
// The number of a chunk and whether it is the last one are authenticated with it. Thus chunks cannot be
// exchanged, left out at the end or appended without being noticed.
#include "recorder/files/output.hpp"

#include "relay/base/random.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry {

namespace {

// Writes all of it. Returns errno; 0: good.
int write_all(int fd, std::uint64_t at, Bytes octets) {
  while (!octets.empty()) {
    const ssize_t put = pwrite(fd, octets.data(), octets.size(), static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    at += static_cast<std::uint64_t>(put);
    octets = octets.subspan(static_cast<std::size_t>(put));
  }
  return 0;
}

// Reads as much as there is.
std::size_t read_all(int fd, std::uint64_t at, MutableBytes into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

/// A file on disk as it is. It remembers its size, so that a write that failed halfway can be undone.
class PlainOutput final : public OutputFile {
 public:
  explicit PlainOutput(FileDescriptor file) : file_(std::move(file)) {}
  [[nodiscard]] int write_at(std::uint64_t at, Bytes octets) override {
    if (const int wrong = write_all(file_.get(), at, octets)) {
      // Half a record would end what can be read of the file, so the file is cut back to what it was.
      if (at + octets.size() > size_ && ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) return errno;
      return wrong;
    }
    size_ = std::max(size_, at + octets.size());
    return 0;
  }
  [[nodiscard]] std::size_t read_at(std::uint64_t at, MutableBytes into) override {
    return read_all(file_.get(), at, into);
  }
  [[nodiscard]] std::uint64_t size() const override { return size_; }

 private:
  FileDescriptor file_;
  std::uint64_t size_ = 0;
};

// The head of an encrypted file; sizes in octets.
constexpr std::string_view kMagic = "RFENC1\n";
constexpr std::size_t kChunk = 65536;
constexpr std::size_t kNonce = 12;
constexpr std::size_t kTag = 16;
constexpr std::size_t kSealedChunk = kNonce + kChunk + kTag;
using FileKey = std::array<std::byte, 32>;

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeKeyContext {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
struct CloseFile {
  void operator()(FILE* file) const { fclose(file); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

std::uint8_t* octets(MutableBytes bytes) { return reinterpret_cast<std::uint8_t*>(bytes.data()); }
const std::uint8_t* octets(Bytes bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }

// Reads an RSA key in PEM form. The error is a sentence.
Result<Key, std::string> read_key(const std::string& path, bool is_private) {
  const std::unique_ptr<FILE, CloseFile> file(fopen(path.c_str(), "re"));
  if (!file) return fail(fmt::format("cannot read the key '{}': {}", path, strerror(errno)));
  Key key(is_private ? PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr)
                     : PEM_read_PUBKEY(file.get(), nullptr, nullptr, nullptr));
  if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA)
    return fail(fmt::format("'{}' holds no {} RSA key in PEM form", path, is_private ? "private" : "public"));
  return key;
}

/// RSA-OAEP with SHA-256: wraps or unwraps a key. Empty if it fails.
std::vector<std::byte> oaep(EVP_PKEY* key, Bytes in, bool wraps) {
  const std::unique_ptr<EVP_PKEY_CTX, FreeKeyContext> context(EVP_PKEY_CTX_new(key, nullptr));
  if (!context ||
      (wraps ? EVP_PKEY_encrypt_init(context.get()) : EVP_PKEY_decrypt_init(context.get())) <= 0 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) <= 0 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) <= 0)
    return {};
  std::vector<std::byte> out(static_cast<std::size_t>(EVP_PKEY_get_size(key)));
  std::size_t size = out.size();
  const int done =
      wraps ? EVP_PKEY_encrypt(context.get(), octets(MutableBytes(out)), &size, octets(in), in.size())
            : EVP_PKEY_decrypt(context.get(), octets(MutableBytes(out)), &size, octets(in), in.size());
  if (done <= 0) return {};
  out.resize(size);
  return out;
}

/// The data that is authenticated with a chunk: its number, and whether it was the last one.
std::array<std::byte, 9> associated(std::uint64_t number, bool is_last) {
  std::array<std::byte, 9> data{};
  write_u32(data, 0, static_cast<std::uint32_t>(number >> 32));
  write_u32(data, 4, static_cast<std::uint32_t>(number));
  data[8] = std::byte{is_last ? std::uint8_t{1} : std::uint8_t{0}};
  return data;
}

/// An encrypted file. Keeps the first chunk, where heads are, and the last one in memory.
class SealedOutput final : public OutputFile {
 public:
  SealedOutput(FileDescriptor file, const FileKey& key, std::uint64_t begin)
      : file_(std::move(file)), key_(key), begin_(begin), cipher_(EVP_CIPHER_CTX_new()) {}
  ~SealedOutput() override { static_cast<void>(flush()); }

  [[nodiscard]] int write_at(std::uint64_t at, Bytes in) override {
    while (!in.empty()) {
      Chunk* chunk = chunk_of(at / kChunk);
      // Between the first and the last chunk: no format goes back there.
      if (chunk == nullptr) return EIO;
      const std::size_t from = at % kChunk;
      const std::size_t size = std::min(in.size(), kChunk - from);
      if (chunk->data.size() < from + size) chunk->data.resize(from + size);
      std::copy_n(in.begin(), size, chunk->data.begin() + static_cast<std::ptrdiff_t>(from));
      chunk->is_changed = true;
      at += size;
      in = in.subspan(size);
      size_ = std::max(size_, at);
    }
    return 0;
  }
  [[nodiscard]] std::size_t read_at(std::uint64_t at, MutableBytes into) override {
    std::size_t done = 0;
    while (done < into.size() && at < size_) {
      // Formats only read back what they wrote last, or their head: both are in memory.
      const Chunk* chunk = at / kChunk == 0 ? &first_ : at / kChunk == last_.number ? &last_ : nullptr;
      if (chunk == nullptr || chunk->data.size() <= at % kChunk) break;
      const std::size_t size = std::min(into.size() - done, chunk->data.size() - at % kChunk);
      std::copy_n(chunk->data.begin() + static_cast<std::ptrdiff_t>(at % kChunk), size,
                  into.begin() + static_cast<std::ptrdiff_t>(done));
      done += size;
      at += size;
    }
    return done;
  }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] int flush() override {
    // As long as there is one chunk, it is the first and the last one.
    const bool is_first_last = last_.number == 0;
    if (first_.is_changed) {
      if (const int wrong = seal(first_, is_first_last)) return wrong;
    }
    return last_.number != 0 && last_.is_changed ? seal(last_, true) : 0;
  }

 private:
  struct Chunk {
    std::uint64_t number = 0;
    bool is_changed = false;
    std::vector<std::byte> data;
  };
  // The chunk to write to; null if that is neither the first, the last nor the next one, or if the disk is
  // full.
  Chunk* chunk_of(std::uint64_t number) {
    if (number == 0) return &first_;
    if (number == last_.number) return &last_;
    if (number != last_.number + 1) return nullptr;
    // The chunk before is full, and it is not the last one any more.
    if (seal(last_.number == 0 ? first_ : last_, false) != 0) return nullptr;
    last_ = {number, true, {}};
    return &last_;
  }
  // Encrypts a chunk and writes it to its place. All chunks but the last are full, so places follow from
  // numbers.
  [[nodiscard]] int seal(Chunk& chunk, bool is_last) {
    std::vector<std::byte> out(kNonce + chunk.data.size() + kTag);
    const MutableBytes all(out);
    // A new nonce for each sealing, also of the same chunk: with GCM a nonce may never come twice under one
    // key.
    random_octets(all.first(kNonce));
    const auto beside = associated(chunk.number, is_last);
    int size = 0;
    const bool good =
        EVP_EncryptInit_ex(cipher_.get(), EVP_aes_256_gcm(), nullptr, octets(Bytes(key_)), octets(all)) ==
            1 &&
        EVP_EncryptUpdate(cipher_.get(), nullptr, &size, octets(Bytes(beside)),
                          static_cast<int>(beside.size())) == 1 &&
        EVP_EncryptUpdate(cipher_.get(), octets(all.subspan(kNonce)), &size, octets(Bytes(chunk.data)),
                          static_cast<int>(chunk.data.size())) == 1 &&
        EVP_EncryptFinal_ex(cipher_.get(), nullptr, &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher_.get(), EVP_CTRL_GCM_GET_TAG, kTag, octets(all.last(kTag))) == 1;
    if (!good) return EIO;
    if (const int wrong = write_all(file_.get(), begin_ + chunk.number * kSealedChunk, out)) return wrong;
    chunk.is_changed = false;
    return 0;
  }

  FileDescriptor file_;
  FileKey key_;
  std::uint64_t begin_;
  Cipher cipher_;
  Chunk first_;
  Chunk last_;
  std::uint64_t size_ = 0;
};

}  // namespace

std::unique_ptr<OutputFile> make_plain_output(FileDescriptor file) {
  return std::make_unique<PlainOutput>(std::move(file));
}

std::string fault_of_public_key(const std::string& public_key_file) {
  const auto key = read_key(public_key_file, false);
  return key ? std::string() : key.error();
}

Result<std::unique_ptr<OutputFile>, std::string> make_sealed_output(FileDescriptor file,
                                                                    const std::string& public_key_file) {
  const auto key = read_key(public_key_file, false);
  if (!key) return fail(key.error());
  // Each file has a key of its own, wrapped with the operator's public key; only who has the private one can
  // read it.
  FileKey file_key{};
  random_octets(file_key);
  const auto wrapped = oaep(key->get(), file_key, true);
  if (wrapped.empty()) return fail(fmt::format("cannot encrypt with the key '{}'", public_key_file));
  std::vector<std::byte> head(kMagic.size() + 2);
  std::memcpy(head.data(), kMagic.data(), kMagic.size());
  write_u16(head, kMagic.size(), static_cast<std::uint16_t>(wrapped.size()));
  head.insert(head.end(), wrapped.begin(), wrapped.end());
  if (const int wrong = write_all(file.get(), 0, head)) return fail(std::string(strerror(wrong)));
  return std::make_unique<SealedOutput>(std::move(file), file_key, head.size());
}

Result<void, std::string> unseal(const std::string& from, const std::string& to,
                                 const std::string& private_key_file) {
  const auto key = read_key(private_key_file, true);
  if (!key) return fail(key.error());
  const FileDescriptor in(open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in) return fail(fmt::format("cannot read '{}': {}", from, strerror(errno)));
  struct stat info {};
  fstat(in.get(), &info);
  const auto total = static_cast<std::uint64_t>(info.st_size);
  std::vector<std::byte> head(kMagic.size() + 2);
  // The head must be ours, whole, and its key must be for the private key at hand.
  if (read_all(in.get(), 0, head) != head.size() ||
      std::memcmp(head.data(), kMagic.data(), kMagic.size()) != 0)
    return fail(fmt::format("'{}' is no encrypted recording", from));
  std::vector<std::byte> wrapped(read_u16(head, kMagic.size()));
  const std::uint64_t begin = head.size() + wrapped.size();
  if (read_all(in.get(), head.size(), wrapped) != wrapped.size())
    return fail(fmt::format("'{}' is cut short", from));
  const auto file_key = oaep(key->get(), wrapped, false);
  if (file_key.size() != sizeof(FileKey)) return fail(fmt::format("'{}' is not for this key", from));
  // Never over a file that is there.
  const FileDescriptor out(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out) return fail(fmt::format("cannot make '{}': {}", to, strerror(errno)));
  const Cipher cipher(EVP_CIPHER_CTX_new());
  std::vector<std::byte> sealed(kSealedChunk);
  std::vector<std::byte> plain(kChunk);
  std::uint64_t at = begin;
  for (std::uint64_t number = 0; at < total; ++number) {
    const std::size_t size = read_all(in.get(), at, sealed);
    at += size;
    // A chunk was sealed as the last one or not; what was cut off shows here.
    const bool is_last = at >= total;
    const auto beside = associated(number, is_last);
    int made = 0;
    // Written only after the tag was found right: a chunk that was changed never reaches the output.
    bool good = size >= kNonce + kTag;
    if (good) {
      const MutableBytes chunk = MutableBytes(sealed).first(size);
      const std::size_t length = size - kNonce - kTag;
      good = EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, octets(Bytes(file_key)),
                                octets(chunk)) == 1 &&
             EVP_DecryptUpdate(cipher.get(), nullptr, &made, octets(Bytes(beside)),
                               static_cast<int>(beside.size())) == 1 &&
             EVP_DecryptUpdate(cipher.get(), octets(MutableBytes(plain)), &made,
                               octets(chunk.subspan(kNonce)), static_cast<int>(length)) == 1 &&
             EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTag, octets(chunk.last(kTag))) == 1 &&
             EVP_DecryptFinal_ex(cipher.get(), nullptr, &made) == 1;
      if (good && write_all(out.get(), number * kChunk, Bytes(plain).first(length)) != 0)
        return fail(fmt::format("cannot write '{}': {}", to, strerror(errno)));
    }
    if (!good) return fail(fmt::format("'{}' was changed or cut at octet {}", from, number * kChunk));
  }
  return {};
}

}  // namespace ferry
