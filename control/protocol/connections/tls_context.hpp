// Certificate and key of the listeners that speak TLS.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

struct ssl_ctx_st;

namespace ferry {

/// The files are PEM; the chain may hold the key.
class TlsContext {
 public:
  /// With `client_ca` clients must show a certificate of it. Throws std::runtime_error with OpenSSL's reason.
  TlsContext(const std::string& certificate, const std::string& key, const std::string& client_ca = {});
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  /// For connections to come; those that are open go on with what they have.
  void swap(TlsContext& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(asks_for_certificate_, other.asks_for_certificate_);
  }
  [[nodiscard]] ssl_ctx_st* get() const { return context_; }
  [[nodiscard]] bool asks_for_certificate() const { return asks_for_certificate_; }
  /// DNS names of the certificate: subjectAltName, or the common name where it has none (RFC 6125 §6.4.4).
  [[nodiscard]] std::vector<std::string> names() const;
  /// So many handshakes in a second take at most a fifth of the control thread. The kind of key decides.
  [[nodiscard]] std::uint32_t handshakes_per_second() const;

 private:
  bool asks_for_certificate_ = false;
  ssl_ctx_st* context_ = nullptr;
};

}  // namespace ferry
