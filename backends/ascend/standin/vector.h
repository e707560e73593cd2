// The vector unit: a repeat is 256 bytes, blocks of 32 bytes lie as their strides say.
#pragma once

#include "convert.h"

namespace AscendC {

struct UnaryRepeatParams {
    uint16_t dstBlkStride = 1, srcBlkStride = 1;
    uint8_t dstRepStride = 8, srcRepStride = 8;
};

struct BinaryRepeatParams {
    uint8_t dstBlkStride = 1, src0BlkStride = 1, src1BlkStride = 1, dstRepStride = 8, src0RepStride = 8, src1RepStride = 8;
};

} // namespace AscendC

namespace standin {

struct Stride {
    int64_t block = 1, repeat = 8;
};

// Elements of an operation: the first ones of each repeat.
struct Extent {
    bool dense;
    int64_t lanes, repeats;
    // Bytes of the widest type: a repeat has 256 bytes of it.
    int64_t width;
};

inline Extent Count(int64_t n, size_t width)
{
    Check(n >= 1, "a vector operation on no elements");
    return {true, n, 1, int64_t(width)};
}

inline Extent Repeats(uint64_t mask, uint8_t times, size_t width)
{
    Check(mask >= 1 && mask <= 256 / width && times >= 1, "a mask or a number of repeats is out of its range");
    return {false, int64_t(mask), times, int64_t(width)};
}

// Where element i of repeat r of an operand lies.
inline int64_t Offset(const Extent& e, Stride s, int64_t width, int64_t r, int64_t i)
{
    const int64_t per = BLOCK / width;
    return e.dense ? i * width : BLOCK * (r * s.repeat + i / per * s.block) + i % per * width;
}

template <typename T>
T Element(const AscendC::LocalTensor<T>& t, const Extent& e, Stride s, int64_t r, int64_t i)
{
    return Read<T>(t.At(Offset(e, s, sizeof(T), r, i), sizeof(T)));
}

template <typename T>
void Store(const AscendC::LocalTensor<T>& t, const Extent& e, Stride s, int64_t r, int64_t i, T v)
{
    Write(t.At(Offset(e, s, sizeof(T), r, i), sizeof(T)), v);
}

// dst = f(src) for each element; all is read first.
template <typename D, typename S, typename F>
void Map(AscendC::LocalTensor<D> dst, AscendC::LocalTensor<S> src, Extent e, Stride to, Stride from, F f)
{
    Do(PIPE_V, [=] {
        dst.Aligned(BLOCK);
        src.Aligned(BLOCK);
        std::vector<D> values;
        values.reserve(size_t(e.lanes * e.repeats));
        for (int64_t r = 0; r < e.repeats; r++) {
            for (int64_t i = 0; i < e.lanes; i++) {
                values.push_back(f(Element(src, e, from, r, i)));
            }
        }
        for (int64_t r = 0; r < e.repeats; r++) {
            for (int64_t i = 0; i < e.lanes; i++) {
                Store(dst, e, to, r, i, values[size_t(r * e.lanes + i)]);
            }
        }
    });
}

// dst = f(a, b, dst).
template <typename T, typename F>
void Zip(AscendC::LocalTensor<T> dst, AscendC::LocalTensor<T> a, AscendC::LocalTensor<T> b, Extent e, Stride to, Stride x,
    Stride y, F f)
{
    Do(PIPE_V, [=] {
        dst.Aligned(BLOCK);
        a.Aligned(BLOCK);
        b.Aligned(BLOCK);
        for (int64_t r = 0; r < e.repeats; r++) {
            for (int64_t i = 0; i < e.lanes; i++) {
                const T old = Element(dst, e, to, r, i);
                Store(dst, e, to, r, i, f(Element(a, e, x, r, i), Element(b, e, y, r, i), old));
            }
        }
    });
}

// Approximations of the hardware are good to ten bits or so: the low bits are dropped.
inline float Rough(float v) { return std::isfinite(v) ? Real(Word(v) & 0xffffe000u) : v; }

// Integers wrap.
template <typename T, typename F>
T Wrapped(F f, T a, T b)
{
    return T(uint64_t(f(uint64_t(int64_t(a)), uint64_t(int64_t(b)))));
}

template <typename T>
T Larger(T a, T b)
{
    if constexpr (IS_REAL<T>) {
        const float x = float(a), y = float(b);
        return T(std::isnan(x) || std::isnan(y) ? Real(0x7fc00000u) : std::fmax(x, y));
    } else {
        return std::max(a, b);
    }
}

template <typename T>
T Smaller(T a, T b)
{
    if constexpr (IS_REAL<T>) {
        const float x = float(a), y = float(b);
        return T(std::isnan(x) || std::isnan(y) ? Real(0x7fc00000u) : std::fmin(x, y));
    } else {
        return std::min(a, b);
    }
}

template <typename T>
T Sum(T a, T b)
{
    if constexpr (IS_REAL<T>) {
        return T(float(a) + float(b));
    } else {
        return Wrapped([](uint64_t x, uint64_t y) { return x + y; }, a, b);
    }
}

template <typename T>
T Times(T a, T b)
{
    if constexpr (IS_REAL<T>) {
        return T(float(a) * float(b));
    } else {
        return Wrapped([](uint64_t x, uint64_t y) { return x * y; }, a, b);
    }
}

template <typename T>
T Minus(T a, T b)
{
    if constexpr (IS_REAL<T>) {
        return T(float(a) - float(b));
    } else {
        return Wrapped([](uint64_t x, uint64_t y) { return x - y; }, a, b);
    }
}

// One rounding.
template <typename T>
T Fused(T a, T b, T c)
{
    if constexpr (std::is_same_v<T, float>) {
        return std::fma(a, b, c);
    } else {
        return T(float(std::fma(double(float(a)), double(float(b)), double(float(c)))));
    }
}

} // namespace standin

namespace AscendC {

// Each operation on the first elements, and on repeats with strides.
#define KCC_ONE(name, expression)                                                                                       \
    template <typename T>                                                                                               \
    void name(const LocalTensor<T>& dst, const LocalTensor<T>& src, int32_t count)                                      \
    {                                                                                                                   \
        standin::Map(dst, src, standin::Count(count, sizeof(T)), {}, {}, [](T x) { return T(expression); });            \
    }                                                                                                                   \
    template <typename T>                                                                                               \
    void name(const LocalTensor<T>& dst, const LocalTensor<T>& src, uint64_t mask, uint8_t repeatTime,                  \
        const UnaryRepeatParams& p)                                                                                     \
    {                                                                                                                   \
        standin::Map(dst, src, standin::Repeats(mask, repeatTime, sizeof(T)), {p.dstBlkStride, p.dstRepStride},         \
            {p.srcBlkStride, p.srcRepStride}, [](T x) { return T(expression); });                                       \
    }

KCC_ONE(Abs, std::fabs(float(x)))
KCC_ONE(Exp, float(std::exp(double(float(x)))))
KCC_ONE(Ln, float(std::log(double(float(x)))))
KCC_ONE(Sqrt, std::sqrt(float(x)))
KCC_ONE(Rsqrt, standin::Rough(float(1.0 / std::sqrt(double(float(x))))))
KCC_ONE(Reciprocal, standin::Rough(float(1.0 / double(float(x)))))
KCC_ONE(Relu, x < T(0) ? T(0) : x)
KCC_ONE(Not, ~x)
#undef KCC_ONE

#define KCC_TWO(name, expression)                                                                                       \
    template <typename T>                                                                                               \
    void name(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, int32_t count)         \
    {                                                                                                                   \
        standin::Zip(dst, src0, src1, standin::Count(count, sizeof(T)), {}, {}, {},                                     \
            [](T x, T y, T z) { return (void)z, T(expression); });                                                      \
    }                                                                                                                   \
    template <typename T>                                                                                               \
    void name(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, uint64_t mask,         \
        uint8_t repeatTime, const BinaryRepeatParams& p)                                                                \
    {                                                                                                                   \
        standin::Zip(dst, src0, src1, standin::Repeats(mask, repeatTime, sizeof(T)), {p.dstBlkStride, p.dstRepStride},  \
            {p.src0BlkStride, p.src0RepStride}, {p.src1BlkStride, p.src1RepStride},                                     \
            [](T x, T y, T z) { return (void)z, T(expression); });                                                      \
    }

KCC_TWO(Add, standin::Sum(x, y))
KCC_TWO(Sub, standin::Minus(x, y))
KCC_TWO(Mul, standin::Times(x, y))
KCC_TWO(Div, float(x) / float(y))
KCC_TWO(Max, standin::Larger(x, y))
KCC_TWO(Min, standin::Smaller(x, y))
KCC_TWO(And, x & y)
KCC_TWO(Or, x | y)
KCC_TWO(MulAddDst, standin::Fused(x, y, z))
KCC_TWO(FusedMulAdd, standin::Fused(x, z, y))
#undef KCC_TWO

#define KCC_SCALAR(name, expression)                                                                                    \
    template <typename T>                                                                                               \
    void name(const LocalTensor<T>& dst, const LocalTensor<T>& src, const T& scalar, int32_t count)                     \
    {                                                                                                                   \
        const T y = scalar;                                                                                             \
        standin::Map(dst, src, standin::Count(count, sizeof(T)), {}, {}, [y](T x) { return T(expression); });           \
    }                                                                                                                   \
    template <typename T>                                                                                               \
    void name(const LocalTensor<T>& dst, const LocalTensor<T>& src, const T& scalar, uint64_t mask, uint8_t repeatTime, \
        const UnaryRepeatParams& p)                                                                                     \
    {                                                                                                                   \
        const T y = scalar;                                                                                             \
        standin::Map(dst, src, standin::Repeats(mask, repeatTime, sizeof(T)), {p.dstBlkStride, p.dstRepStride},         \
            {p.srcBlkStride, p.srcRepStride}, [y](T x) { return T(expression); });                                      \
    }

KCC_SCALAR(Adds, standin::Sum(x, y))
KCC_SCALAR(Muls, standin::Times(x, y))
KCC_SCALAR(Maxs, standin::Larger(x, y))
KCC_SCALAR(Mins, standin::Smaller(x, y))
KCC_SCALAR(ShiftLeft, uint64_t(int64_t(x)) << y)
KCC_SCALAR(ShiftRight, x >> y)
#undef KCC_SCALAR

template <typename D, typename S>
void Cast(const LocalTensor<D>& dst, const LocalTensor<S>& src, RoundMode mode, uint32_t count)
{
    standin::Map(dst, src, standin::Count(count, std::max(sizeof(D), sizeof(S))), {}, {},
        [mode](S x) { return standin::Convert<D>(mode, x); });
}

template <typename D, typename S>
void Cast(const LocalTensor<D>& dst, const LocalTensor<S>& src, RoundMode mode, uint64_t mask, uint8_t repeatTime,
    const UnaryRepeatParams& p)
{
    standin::Map(dst, src, standin::Repeats(mask, repeatTime, std::max(sizeof(D), sizeof(S))),
        {p.dstBlkStride, p.dstRepStride}, {p.srcBlkStride, p.srcRepStride},
        [mode](S x) { return standin::Convert<D>(mode, x); });
}

template <typename T>
void Duplicate(const LocalTensor<T>& dst, const T& scalar, int32_t count)
{
    const T v = scalar;
    standin::Map(dst, dst, standin::Count(count, sizeof(T)), {}, {}, [v](T) { return v; });
}

template <typename T>
void Duplicate(const LocalTensor<T>& dst, const T& scalar, uint64_t mask, uint8_t repeatTime, uint16_t dstBlockStride,
    uint8_t dstRepeatStride)
{
    const T v = scalar;
    const standin::Stride s = {dstBlockStride, dstRepeatStride};
    standin::Map(dst, dst, standin::Repeats(mask, repeatTime, sizeof(T)), s, s, [v](T) { return v; });
}

template <typename T>
void CreateVecIndex(LocalTensor<T> dst, const T& firstValue, uint32_t count)
{
    const T first = firstValue;
    standin::Do(PIPE_V, [=] {
        for (uint32_t i = 0; i < count; i++) {
            if constexpr (standin::IS_REAL<T>) {
                standin::Write(dst.At(i * sizeof(T), sizeof(T)), T(float(first) + float(i)));
            } else {
                standin::Write(dst.At(i * sizeof(T), sizeof(T)), standin::Sum(first, T(i)));
            }
        }
    });
}

} // namespace AscendC
