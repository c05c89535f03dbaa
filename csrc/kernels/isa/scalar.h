// The SIMD primitives in plain C++: for any processor, bit-identical to the vector versions. 16
// lanes are an array of 16.
//
// Float rounding is that of IEEE 754 for every operation; fmaf is correctly rounded by the C
// standard library, in hardware where there is any.
#pragma once

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "kernels/isa/row_by_row.h"

namespace gpt2edge::kernels {
namespace {

struct Isa {
  // A class that makes codes of T rows at once, or RowCodes.
  template <int T, typename RowCodes>
  using TileCodes = RowCodes;

  static constexpr int kCodeBias = 0;
  static constexpr int kMaxTokens = 2;  // rows of a matmul's tile
  static constexpr int kMaxPanels = 1;  // by which it goes at once
  // Codes multiply as fast as they are, or faster.
  static constexpr int kUnpackRows4 = kNever, kUnpackRows6 = kNever;
  static constexpr int kUnpackRowsTable = kNever;
  using Pairs = NoPairs;
  static constexpr int kQueries = 2;  // rows of attention's tile
  static constexpr int kSums = 1;     // dot products of 16 codes that it has at once

  struct Floats {
    float lane[16];
  };

  // ---- floats ----

  template <typename Operation>
  static Floats each(Operation operation) {
    Floats r;
    for (int i = 0; i < 16; ++i) r.lane[i] = operation(i);
    return r;
  }

  static Floats broadcast(float x) {
    return each([&](int) { return x; });
  }
  static Floats load(const float* p) {
    Floats r;
    memcpy(&r, p, sizeof r);
    return r;
  }
  static void store(float* p, Floats a) { memcpy(p, &a, sizeof a); }
  static Floats load_f16(const uint8_t* p) {
    uint16_t half[16];
    memcpy(half, p, sizeof half);
    return each([&](int i) { return half_to_float(half[i]); });
  }
  static Floats load_bf16(const uint8_t* p) {
    uint16_t half[16];
    memcpy(half, p, sizeof half);
    return each([&](int i) { return bfloat16_to_float(half[i]); });
  }
  static Floats load_u8(const uint8_t* p) {
    return each([&](int i) { return static_cast<float>(p[i]); });
  }
  static Floats load_s8(const uint8_t* p) {
    return each([&](int i) { return static_cast<float>(static_cast<int8_t>(p[i])); });
  }
  static void store_f16(uint8_t* p, Floats a) {
    uint16_t half[16];
    for (int i = 0; i < 16; ++i) half[i] = float_to_half(a.lane[i]);
    memcpy(p, half, sizeof half);
  }

  static Floats add(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static Floats sub(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static Floats mul(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static Floats div(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  static Floats fma(Floats a, Floats b, Floats c) {
    return each([&](int i) { return fmaf(a.lane[i], b.lane[i], c.lane[i]); });
  }
  // b where a is not a number, as x86 has it.
  static Floats max(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static Floats min(Floats a, Floats b) {
    return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static Floats sqrt(Floats a) {
    return each([&](int i) { return sqrtf(a.lane[i]); });
  }
  static float sqrt_lane(float x) { return sqrtf(x); }

  // a * 2^n, where n was rounded to an integer by adding kRoundingShift: n is then in the low bits.
  static Floats scale_by_power_of_2(Floats a, Floats shifted) {
    uint32_t bits[16], n[16];
    memcpy(bits, &a, sizeof bits);
    memcpy(n, &shifted, sizeof n);
    for (int i = 0; i < 16; ++i) bits[i] += n[i] << 23;
    memcpy(&a, bits, sizeof a);
    return a;
  }

  // Folds 16 lanes to one: i with i + 8, then i + 4, i + 2, i + 1.
  static float sum(Floats a) {
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) a.lane[i] += a.lane[i + half];
    }
    return a.lane[0];
  }
  static float max_lane(Floats a) {
    float largest = a.lane[0];
    for (int i = 1; i < 16; ++i) largest = a.lane[i] > largest ? a.lane[i] : largest;
    return largest;
  }
  static void store_low_bytes(int8_t* p, Floats a) {
    uint32_t bits[16];
    memcpy(bits, &a, sizeof bits);
    for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(bits[i] & 0xFF);
  }

  static void store_low_halves(int16_t* p, Floats a) {
    uint32_t bits[16];
    memcpy(bits, &a, sizeof bits);
    for (int i = 0; i < 16; ++i) p[i] = static_cast<int16_t>(bits[i] & 0xFFFF);
  }

  // ---- dot products ----

  static TwoSums sum_codes(const int8_t* low, const int8_t* high) {
    TwoSums sums{};
    for (int i = 0; i < 16; ++i) {
      sums.low += low[i];
      sums.high += high[i];
    }
    return sums;
  }

  using Table = const uint8_t*;  // of 16 codes
  static Table load_table(const uint8_t* table) { return table; }
  static void unpack_codes4(const uint8_t* p, Table table, uint8_t* low, uint8_t* high) {
    for (int i = 0; i < 64; ++i) {
      low[i] = table[p[i] & 15];
      high[i] = table[p[i] >> 4];
    }
  }

  using Inputs = const int8_t*;
  static Inputs load_inputs(const int8_t* x) { return x; }
  static const int16_t* load_inputs(const int16_t* x) { return x; }

  template <typename Code>
  struct CodesOf {
    Code code[64 / sizeof(Code)];
    static CodesOf load(const uint8_t* p) {
      CodesOf r;
      memcpy(&r, p, sizeof r);
      return r;
    }
  };
  struct Bits8 {
    struct Dot {
      int32_t lane[16];
    };
    using Codes = CodesOf<int8_t>;
    static Codes load(const uint8_t* p) { return Codes::load(p); }
    static Dot start(int32_t) { return Dot{}; }
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      for (int i = 0; i < 16; ++i) {
        for (int j = 0; j < 4; ++j) dot.lane[i] += codes.code[4 * i + j] * x[j];
      }
      return dot;
    }
    static Floats finish(const Dot& dot, int32_t) {
      return each([&](int i) { return static_cast<float>(dot.lane[i]); });
    }
    static Floats finish_long(const Dot& dot) { return finish(dot, 0); }
  };

  // Codes that a file brings need not be as small as ours: sums wrap around, as registers do.
  struct Bits16 : Bits8 {
    using Codes = CodesOf<int16_t>;
    static Codes load(const uint8_t* p) { return Codes::load(p); }
    static Dot step(Dot dot, const Codes& codes, const int16_t* x) {
      for (int i = 0; i < 16; ++i) {
        const auto product = [&](int j) {
          return static_cast<uint32_t>(codes.code[2 * i + j] * x[j]);
        };
        const uint32_t sum = static_cast<uint32_t>(dot.lane[i]) + product(0) + product(1);
        dot.lane[i] = static_cast<int32_t>(sum);
      }
      return dot;
    }
  };

  // The sum's initial value subtracts the codes' offset: four-bit codes are stored 0..15 and mean
  // -8..7, so that it is minus 8 times the sum of the inputs.
  struct FromStart : Bits8 {
    static Dot start(int32_t start) {
      Dot r;
      for (int& lane : r.lane) lane = start;
      return r;
    }
  };
  struct Bits4 : FromStart {
    static void load(const uint8_t* p, Codes& low, Codes& high) {
      for (int i = 0; i < 64; ++i) {
        low.code[i] = static_cast<int8_t>(p[i] & 15);
        high.code[i] = static_cast<int8_t>(p[i] >> 4);
      }
    }
  };
  struct Bits2 : FromStart {
    static Codes load(const uint8_t* p, int shift) {
      Codes r;
      for (int i = 0; i < 64; ++i) r.code[i] = static_cast<int8_t>(p[i] >> shift & 3);
      return r;
    }
  };
  struct Bits3 : FromStart {
    static Codes load(const uint8_t* low, int low_shift, const uint8_t* high, int high_shift) {
      Codes r;
      for (int i = 0; i < 64; ++i) {
        const int code = (low[i] >> low_shift & 3) | (high[i] >> high_shift & 1) << 2;
        r.code[i] = static_cast<int8_t>(code);
      }
      return r;
    }
  };
  struct Bits6 : FromStart {
    static Codes load(const uint8_t* p) {
      Codes r;
      for (int i = 0; i < 64; ++i) r.code[i] = static_cast<int8_t>(p[i] & 63);
      return r;
    }
    static Codes load_fourth(const uint8_t* p) {
      Codes r;
      for (int i = 0; i < 64; ++i) {
        const int code = p[i] >> 6 | p[64 + i] >> 6 << 2 | p[128 + i] >> 6 << 4;
        r.code[i] = static_cast<int8_t>(code);
      }
      return r;
    }
  };

  struct TableBits4 : Bits8 {
    static Codes load(const uint8_t* p, int shift, Table table) {
      Codes r;
      for (int i = 0; i < 64; ++i) r.code[i] = static_cast<int8_t>(table[p[i] >> shift & 15]);
      return r;
    }
    static void load(const uint8_t* p, Codes& low, Codes& high, Table table) {
      low = load(p, 0, table);
      high = load(p, 4, table);
    }
  };

  template <typename Bits, int T>
  using Rows = RowByRow<Isa, Bits, T>;
};

}  // namespace
}  // namespace gpt2edge::kernels
