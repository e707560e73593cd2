// Element types, qualifiers and enumerations.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#define __gm__
#define __ubuf__
#define __aicore__
#define __global__
#define __vector__
#define __cube__
#define __mix__(cubes, vectors)
#define GM_ADDR uint8_t*

namespace standin {

inline uint32_t Word(float v)
{
    uint32_t w;
    std::memcpy(&w, &v, 4);
    return w;
}

inline float Real(uint32_t w)
{
    float v;
    std::memcpy(&v, &w, 4);
    return v;
}

// The nearest number of 16 bits, ties to even: through the distance to both neighbours, in double.
inline uint16_t NearestHalf(float v);

inline float HalfValue(uint16_t h)
{
    const int exponent = (h >> 10) & 31, mantissa = h & 1023;
    float v;
    if (exponent == 31) {
        v = mantissa == 0 ? Real(0x7f800000u) : Real(0x7fc00000u | (uint32_t(mantissa) << 13));
    } else if (exponent == 0) {
        v = std::ldexp(float(mantissa), -24);
    } else {
        v = std::ldexp(float(1024 + mantissa), exponent - 25);
    }
    return (h & 0x8000) != 0 ? Real(Word(v) | 0x80000000u) : v;
}

inline uint16_t NearestHalf(float v)
{
    const uint16_t sign = uint16_t((Word(v) >> 16) & 0x8000u);
    const uint32_t magnitude = Word(v) & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return uint16_t(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    }
    // The steps of a half at this size; rint rounds ties to even.
    const double size = std::fabs(double(v));
    if (size >= 65520.0) {
        return uint16_t(sign | 0x7c00u);
    }
    int exponent = 0;
    std::frexp(size, &exponent);
    const int step = exponent - 11 < -24 ? -24 : exponent - 11;
    const double steps = std::nearbyint(std::ldexp(size, -step));
    const double value = std::ldexp(steps, step);
    if (value < 6.103515625e-05) {
        return uint16_t(sign | uint16_t(std::ldexp(value, 24)));
    }
    std::frexp(value, &exponent);
    const uint16_t mantissa = uint16_t(std::ldexp(value, 11 - exponent)) & 1023u;
    return uint16_t(sign | (uint16_t(exponent + 14) << 10) | mantissa);
}

inline uint16_t NearestBrain(float v)
{
    const uint32_t w = Word(v);
    if ((w & 0x7fffffffu) > 0x7f800000u) {
        return uint16_t((w >> 16) | 0x40u);
    }
    const uint32_t low = w & 0xffffu, high = w >> 16;
    return uint16_t(high + (low > 0x8000u || (low == 0x8000u && (high & 1u) != 0) ? 1u : 0u));
}

} // namespace standin

struct half {
    uint16_t bits;
    half() = default;
    half(float v) : bits(standin::NearestHalf(v)) {}
    operator float() const { return standin::HalfValue(bits); }
};

struct bfloat16_t {
    uint16_t bits;
    bfloat16_t() = default;
    bfloat16_t(float v) : bits(standin::NearestBrain(v)) {}
    operator float() const { return standin::Real(uint32_t(bits) << 16); }
};

enum pipe_t { PIPE_S, PIPE_MTE1, PIPE_MTE2, PIPE_MTE3, PIPE_M, PIPE_V, PIPE_FIX, PIPE_ALL };
enum event_t { EVENT_ID0, EVENT_ID1, EVENT_ID2, EVENT_ID3, EVENT_ID4, EVENT_ID5, EVENT_ID6, EVENT_ID7 };
enum class QuantMode_t { NoQuant, F322F16, F322BF16 };

namespace AscendC {

enum class TPosition { GM, A1, A2, B1, B2, CO1, VECIN, VECOUT, VECCALC };
enum class RoundMode { CAST_NONE, CAST_RINT, CAST_FLOOR, CAST_CEIL, CAST_ROUND, CAST_TRUNC };
enum class CMPMODE { LT, GT, EQ, LE, GE, NE };
enum class SELMODE { VSEL_CMPMASK_SPR, VSEL_TENSOR_SCALAR_MODE, VSEL_TENSOR_TENSOR_MODE };
enum class ReduceOrder { ORDER_VALUE_INDEX, ORDER_INDEX_VALUE, ORDER_ONLY_VALUE, ORDER_ONLY_INDEX };
enum class CacheLine { SINGLE_CACHE_LINE, ENTIRE_DATA_CACHE };
enum class DcciDst { CACHELINE_ALL, CACHELINE_UB, CACHELINE_OUT, CACHELINE_ATOMIC };

struct FixpipeConfig {
    bool rows;
};
inline constexpr FixpipeConfig CFG_ROW_MAJOR = {true};

} // namespace AscendC
