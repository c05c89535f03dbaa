// Eight bytes at a time, by the processor's instruction for this polynomial or, without one, by
// eight tables ("slicing by 8", Kounavis and Berry 2005), in four lanes: each step waits for the
// one before it, and those of other lanes fill the time.
//
// A checksum is linear over GF(2): that of two parts is what as many zero bytes as the second has
// do to the first's, plus the second's own.
#include "formats/crc32c.h"

#include <array>
#include <cstring>

#include "base/cpu_info.h"

#if defined(_MSC_VER) && defined(_M_X64) && !defined(__clang__)
#include <intrin.h>
#endif

namespace gpt2edge {
namespace {

// 0x1EDC6F41 with its bits reversed, since the checksum takes the lowest bit of a byte first.
constexpr std::uint32_t kPolynomial = 0x82F63B78u;

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[k][b]: what byte b does to the checksum when k more zero bytes follow it.
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) ? kPolynomial : 0u);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFFu];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

constexpr std::size_t kLane = 1024;  // bytes, a power of two

// A linear map: what becomes of each bit.
using Map = std::array<std::uint32_t, 32>;

constexpr std::uint32_t image(const Map& map, std::uint32_t crc) {
  std::uint32_t sum = 0;
  for (std::size_t bit = 0; crc != 0; ++bit, crc >>= 1) {
    if (crc & 1u) sum ^= map[bit];
  }
  return sum;
}

using SkipTables = std::array<std::array<std::uint32_t, 256>, 4>;

// tables[k][b]: what a lane of zero bytes makes of byte k of a checksum, if that is b.
constexpr SkipTables make_skip_tables() {
  Map map{};  // of one zero byte, then of two, four ...
  for (std::uint32_t bit = 0; bit < 32; ++bit) {
    const std::uint32_t crc = std::uint32_t{1} << bit;
    map[bit] = (crc >> 8) ^ kTables[0][crc & 0xFFu];
  }
  for (std::size_t n = 1; n < kLane; n *= 2) {
    Map twice{};
    for (std::size_t bit = 0; bit < map.size(); ++bit) twice[bit] = image(map, map[bit]);
    map = twice;
  }
  SkipTables tables{};
  for (std::uint32_t k = 0; k < 4; ++k) {
    for (std::uint32_t byte = 0; byte < 256; ++byte) tables[k][byte] = image(map, byte << (8 * k));
  }
  return tables;
}

constexpr SkipTables kSkipTables = make_skip_tables();

std::uint32_t skip_lane(std::uint32_t crc) {
  return kSkipTables[0][crc & 0xFFu] ^ kSkipTables[1][(crc >> 8) & 0xFFu] ^
         kSkipTables[2][(crc >> 16) & 0xFFu] ^ kSkipTables[3][crc >> 24];
}

// Independent of the machine's byte order; compilers make it one load.
std::uint32_t load_little_endian(const std::uint8_t* data) {
  return static_cast<std::uint32_t>(data[0]) | static_cast<std::uint32_t>(data[1]) << 8 |
         static_cast<std::uint32_t>(data[2]) << 16 | static_cast<std::uint32_t>(data[3]) << 24;
}

// What eight more bytes make of a checksum.
struct ByTables {
  static std::uint32_t step(std::uint32_t crc, const std::uint8_t* data) {
    const std::uint32_t low = crc ^ load_little_endian(data);
    const std::uint32_t high = load_little_endian(data + 4);
    return kTables[7][low & 0xFFu] ^ kTables[6][(low >> 8) & 0xFFu] ^
           kTables[5][(low >> 16) & 0xFFu] ^ kTables[4][low >> 24] ^ kTables[3][high & 0xFFu] ^
           kTables[2][(high >> 8) & 0xFFu] ^ kTables[1][(high >> 16) & 0xFFu] ^
           kTables[0][high >> 24];
  }
};

// Written in assembly where compilers want a flag of the whole file for the instruction.
#if (defined(__x86_64__) && defined(__GNUC__)) || defined(_M_X64)
#define GPT2EDGE_HAS_CRC32C 1
struct ByInstruction {
  static std::uint32_t step(std::uint32_t crc, const std::uint8_t* data) {
    std::uint64_t bytes, sum = crc;
    std::memcpy(&bytes, data, sizeof bytes);
#if defined(__GNUC__) || defined(__clang__)
    asm("crc32q %1, %0" : "+r"(sum) : "r"(bytes));
#else
    sum = _mm_crc32_u64(sum, bytes);
#endif
    return static_cast<std::uint32_t>(sum);
  }
};
#elif defined(__aarch64__) && defined(__GNUC__)
#define GPT2EDGE_HAS_CRC32C 1
struct ByInstruction {
  static std::uint32_t step(std::uint32_t crc, const std::uint8_t* data) {
    std::uint64_t bytes;
    std::memcpy(&bytes, data, sizeof bytes);
    asm(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(bytes));
    return crc;
  }
};
#endif

template <typename By>
std::uint32_t after_4_lanes(std::uint32_t crc, const std::uint8_t* data) {
  std::uint32_t second = 0, third = 0, fourth = 0;
  for (std::size_t i = 0; i < kLane; i += 8) {
    crc = By::step(crc, data + i);
    second = By::step(second, data + kLane + i);
    third = By::step(third, data + 2 * kLane + i);
    fourth = By::step(fourth, data + 3 * kLane + i);
  }
  return skip_lane(skip_lane(skip_lane(crc) ^ second) ^ third) ^ fourth;
}

template <typename By>
std::uint32_t checksum(std::uint32_t crc, const std::uint8_t* data, std::size_t size) {
  crc = ~crc;
  for (; size >= 4 * kLane; data += 4 * kLane, size -= 4 * kLane) {
    crc = after_4_lanes<By>(crc, data);
  }
  for (; size >= 8; data += 8, size -= 8) crc = By::step(crc, data);
  for (; size > 0; ++data, --size) crc = (crc >> 8) ^ kTables[0][(crc ^ *data) & 0xFFu];
  return ~crc;
}

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, const std::uint8_t* data, std::size_t size) {
#if defined(GPT2EDGE_HAS_CRC32C)
  if (cpu_features().crc32c) return checksum<ByInstruction>(crc, data, size);
#endif
  return checksum<ByTables>(crc, data, size);
}

std::uint32_t crc32c_by_tables(std::uint32_t crc, const std::uint8_t* data, std::size_t size) {
  return checksum<ByTables>(crc, data, size);
}

}  // namespace gpt2edge
