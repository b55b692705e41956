// SPDX-License-Identifier: Apache-2.0
// Fax machines for tests: spandsp's own terminals, with sound or over T.38, and the pages that they send.
#pragma once

#include "codecs/fax/udptl.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <spandsp.h>
#include <tiffio.h>

namespace ferry::test {

/// A page as rows of pixels, eight in an octet.
using Page = std::vector<std::vector<std::uint8_t>>;

/// Pages of noise in blocks, each another one: they do not compress well, so that they take their time.
inline std::vector<Page> some_pages(std::size_t count, std::size_t rows = 300) {
  constexpr std::size_t kOctets = 1728 / 8;
  std::mt19937 random(static_cast<unsigned>(count));
  std::vector<Page> pages(count, Page(rows, std::vector<std::uint8_t>(kOctets)));
  for (Page& page : pages)
    for (auto& row : page)
      for (auto& octet : row)
        octet = random() % 8 == 0 ? static_cast<std::uint8_t>(random()) : std::uint8_t{0};
  return pages;
}

inline void write_pages(const std::string& path, const std::vector<Page>& pages) {
  TIFF* tiff = TIFFOpen(path.c_str(), "w");
  for (std::size_t i = 0; i < pages.size(); ++i) {
    TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, FILETYPE_PAGE);
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, 1728);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(pages[i].size()));
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 1);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_CCITT_T6);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
    TIFFSetField(tiff, TIFFTAG_FILLORDER, FILLORDER_LSB2MSB);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, static_cast<std::uint32_t>(pages[i].size()));
    TIFFSetField(tiff, TIFFTAG_XRESOLUTION, 204.0);
    TIFFSetField(tiff, TIFFTAG_YRESOLUTION, 98.0);
    TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
    TIFFSetField(tiff, TIFFTAG_PAGENUMBER, static_cast<int>(i), static_cast<int>(pages.size()));
    for (std::size_t row = 0; row < pages[i].size(); ++row) {
      auto copy = pages[i][row];
      TIFFWriteScanline(tiff, copy.data(), static_cast<std::uint32_t>(row), 0);
    }
    TIFFWriteDirectory(tiff);
  }
  TIFFClose(tiff);
}

/// The pages of a file; none if it cannot be read.
inline std::vector<Page> read_pages(const std::string& path) {
  TIFFSetErrorHandler(nullptr);
  TIFFSetWarningHandler(nullptr);
  std::vector<Page> pages;
  TIFF* tiff = TIFFOpen(path.c_str(), "r");
  if (tiff == nullptr) return pages;
  do {
    std::uint32_t rows = 0;
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &rows);
    Page page(rows, std::vector<std::uint8_t>(static_cast<std::size_t>(TIFFScanlineSize(tiff))));
    for (std::uint32_t row = 0; row < rows; ++row) TIFFReadScanline(tiff, page[row].data(), row, 0);
    pages.push_back(std::move(page));
  } while (TIFFReadDirectory(tiff) != 0);
  TIFFClose(tiff);
  return pages;
}

/// A folder that is removed at the end.
struct FaxFolder {
  std::string path = make();
  FaxFolder() = default;
  FaxFolder(const FaxFolder&) = delete;
  FaxFolder& operator=(const FaxFolder&) = delete;
  ~FaxFolder() { std::filesystem::remove_all(path); }
  static std::string make() {
    std::string name = (std::filesystem::temp_directory_path() / "ferry-fax-XXXXXX").string();
    return mkdtemp(name.data()) == nullptr ? std::string(".") : name;
  }
};

/// What a machine does in a call.
struct FaxJob {
  bool calls = false;
  /// The file that it sends or writes.
  std::string sends{};
  std::string receives{};
  bool ecm = true;
  int modems = T30_SUPPORT_V27TER | T30_SUPPORT_V29 | T30_SUPPORT_V17;
};

/// The T.30 part that both kinds of machine share.
class FaxEngine {
 public:
  void begin(t30_state_t* t30, const FaxJob& job) {
    t30_ = t30;
    t30_set_phase_e_handler(t30, on_end, this);
    t30_set_ecm_capability(t30, job.ecm ? TRUE : FALSE);
    t30_set_supported_modems(t30, job.modems);
    t30_set_supported_compressions(
        t30, T30_SUPPORT_T4_1D_COMPRESSION | T30_SUPPORT_T4_2D_COMPRESSION | T30_SUPPORT_T6_COMPRESSION);
    if (!job.sends.empty()) t30_set_tx_file(t30, job.sends.c_str(), -1, -1);
    if (!job.receives.empty()) t30_set_rx_file(t30, job.receives.c_str(), -1);
    quiet(t30_get_logging_state(t30));
  }
  static void quiet(logging_state_t* log) {
    span_log_set_message_handler(log, [](int, const char*) {});
    span_log_set_level(log, SPAN_LOG_NONE);
  }
  [[nodiscard]] bool is_done() const { return is_done_; }
  /// T30_ERR_OK if all went well.
  [[nodiscard]] int result() const { return result_; }
  [[nodiscard]] t30_stats_t stats() const {
    t30_stats_t stats;
    t30_get_transfer_statistics(t30_, &stats);
    return stats;
  }

 private:
  static void on_end(t30_state_t*, void* self, int result) {
    static_cast<FaxEngine*>(self)->is_done_ = true;
    static_cast<FaxEngine*>(self)->result_ = result;
  }
  t30_state_t* t30_ = nullptr;
  bool is_done_ = false;
  int result_ = -1;
};

/// A machine with a modem.
class SoundMachine {
 public:
  explicit SoundMachine(const FaxJob& job) : state_(fax_init(nullptr, job.calls ? TRUE : FALSE), fax_free) {
    fax_set_transmit_on_idle(state_.get(), TRUE);
    FaxEngine::quiet(fax_get_logging_state(state_.get()));
    engine.begin(fax_get_t30_state(state_.get()), job);
  }
  void speak(std::span<std::int16_t> out) {
    std::fill(out.begin(), out.end(), std::int16_t{0});
    fax_tx(state_.get(), out.data(), static_cast<int>(out.size()));
  }
  void hear(std::span<std::int16_t> in) { fax_rx(state_.get(), in.data(), static_cast<int>(in.size())); }

  FaxEngine engine;

 private:
  std::unique_ptr<fax_state_t, int (*)(fax_state_t*)> state_;
};

/// A machine on T.38. Its UDPTL is the relay's, whose form other tests check by its octets.
class T38Machine {
 public:
  T38Machine(const FaxJob& job, int version, const UdptlProtection& protection)
      : writer_(protection),
        state_(t38_terminal_init(nullptr, job.calls ? TRUE : FALSE, on_packet, this), t38_terminal_free) {
    core_ = t38_terminal_get_t38_core_state(state_.get());
    t38_set_t38_version(core_, version);
    FaxEngine::quiet(t38_terminal_get_logging_state(state_.get()));
    FaxEngine::quiet(t38_core_get_logging_state(core_));
    engine.begin(t38_terminal_get_t30_state(state_.get()), job);
  }
  /// Lets 20 ms pass; what it sends is in `sent`.
  void step() { t38_terminal_send_timeout(state_.get(), 160); }
  void take(Bytes datagram) {
    reader_.read(datagram);
    for (const IfpPacket& each : reader_.packets())
      t38_core_rx_ifp_packet(core_, reinterpret_cast<const std::uint8_t*>(each.ifp.data()),
                             static_cast<int>(each.ifp.size()), each.sequence.value);
  }
  [[nodiscard]] const UdptlReader::Figures& figures() const { return reader_.figures(); }

  FaxEngine engine;
  std::deque<std::vector<std::byte>> sent;

 private:
  static int on_packet(t38_core_state_t*, void* self, const std::uint8_t* octets, int size, int times) {
    auto& machine = *static_cast<T38Machine*>(self);
    std::vector<std::byte> datagram(1400);
    const Bytes ifp(reinterpret_cast<const std::byte*>(octets), static_cast<std::size_t>(size));
    datagram.resize(machine.writer_.write(ifp, datagram));
    for (int i = 0; i < times; ++i) machine.sent.push_back(datagram);
    return 0;
  }

  UdptlWriter writer_;
  UdptlReader reader_;
  std::unique_ptr<t38_terminal_state_t, int (*)(t38_terminal_state_t*)> state_;
  t38_core_state_t* core_ = nullptr;
};

/// Loses one datagram in so many, by chance; 0 loses none.
class LossyLink {
 public:
  LossyLink(unsigned seed, double share) : random_(seed), share_(share) {}
  bool passes() { return std::uniform_real_distribution<>(0, 1)(random_) >= share_; }

 private:
  std::mt19937 random_;
  double share_;
};

/// How many pages to send: FERRY_PAGES, else one.
inline std::size_t pages_to_send() {
  const char* pages = std::getenv("FERRY_PAGES");
  return pages == nullptr ? 1 : std::strtoul(pages, nullptr, 10);
}

}  // namespace ferry::test
