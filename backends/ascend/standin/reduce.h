// Comparisons, choices, reductions, and what brings elements elsewhere.
#pragma once

#include "vector.h"

namespace AscendC {

struct BrcbRepeatParams {
    BrcbRepeatParams(uint16_t dstBlkStride, uint16_t dstRepStride) : dstBlkStride(dstBlkStride), dstRepStride(dstRepStride) {}
    uint16_t dstBlkStride, dstRepStride;
};

template <typename T>
struct MrgSortSrcList {
    LocalTensor<T> src1, src2, src3, src4;
};

struct MrgSort4Info {
    uint16_t elementLengths[4] = {};
    bool ifExhaustedSuspension = false;
    uint16_t validBit = 0;
    uint8_t repeatTimes = 1;
};

} // namespace AscendC

namespace standin {

template <typename T>
bool Holds(AscendC::CMPMODE mode, T a, T b)
{
    switch (mode) {
    case AscendC::CMPMODE::LT: return a < b;
    case AscendC::CMPMODE::LE: return a <= b;
    case AscendC::CMPMODE::GT: return a > b;
    case AscendC::CMPMODE::GE: return a >= b;
    case AscendC::CMPMODE::EQ: return a == b;
    default: return a != b;
    }
}

// Bit i of the result is the truth of element i.
template <typename T, typename F>
void Bits(AscendC::LocalTensor<uint8_t> dst, AscendC::LocalTensor<T> a, AscendC::CMPMODE mode, uint32_t count, F other)
{
    Do(PIPE_V, [=] {
        Check(count >= 1 && count * sizeof(T) % 256 == 0, "a comparison takes whole repeats of 256 bytes");
        dst.Aligned(BLOCK);
        a.Aligned(BLOCK);
        std::vector<uint8_t> bits(count / 8, 0);
        for (uint32_t i = 0; i < count; i++) {
            const T x = Read<T>(a.At(i * sizeof(T), sizeof(T)));
            bits[i / 8] |= uint8_t(uint8_t(Holds(mode, x, other(i))) << (i % 8));
        }
        std::memcpy(dst.At(0, count / 8), bits.data(), count / 8);
    });
}

template <typename T, typename F>
void Choose(AscendC::LocalTensor<T> dst, AscendC::LocalTensor<uint8_t> mask, AscendC::LocalTensor<T> a, uint32_t count,
    F other)
{
    Do(PIPE_V, [=] {
        dst.Aligned(BLOCK);
        mask.Aligned(BLOCK);
        a.Aligned(BLOCK);
        for (uint32_t i = 0; i < count; i++) {
            const bool set = (*mask.At(i / 8, 1) >> (i % 8) & 1) != 0;
            const T v = set ? Read<T>(a.At(i * sizeof(T), sizeof(T))) : other(i);
            Write(dst.At(i * sizeof(T), sizeof(T)), v);
        }
    });
}

// Each repeat becomes one element: neighbours are joined, then neighbours of those.
template <typename T, typename F>
void Whole(AscendC::LocalTensor<T> dst, AscendC::LocalTensor<T> src, Extent e, Stride from, int64_t step, F join)
{
    Do(PIPE_V, [=] {
        src.Aligned(BLOCK);
        dst.Aligned(sizeof(T));
        for (int64_t r = 0; r < e.repeats; r++) {
            std::vector<T> level;
            for (int64_t i = 0; i < e.lanes; i++) {
                level.push_back(Element(src, e, from, r, i));
            }
            while (level.size() > 1) {
                std::vector<T> next;
                for (size_t i = 0; i < level.size(); i += 2) {
                    next.push_back(i + 1 < level.size() ? join(level[i], level[i + 1]) : level[i]);
                }
                level.swap(next);
            }
            Write(dst.At(r * step * int64_t(sizeof(T)), sizeof(T)), level[0]);
        }
    });
}

struct Pair {
    float key;
    uint8_t bytes[8];
};

// Largest first; equal ones keep their order.
inline void Sort(Pair* from, Pair* to)
{
    std::stable_sort(from, to, [](const Pair& a, const Pair& b) { return a.key > b.key; });
}

template <typename T>
void Write(const AscendC::LocalTensor<T>& dst, const std::vector<Pair>& pairs)
{
    for (size_t i = 0; i < pairs.size(); i++) {
        std::memcpy(dst.At(int64_t(8 * i), 8), pairs[i].bytes, 8);
    }
}

} // namespace standin

namespace AscendC {

template <typename U, typename T>
void Compare(const LocalTensor<U>& dst, const LocalTensor<T>& a, const LocalTensor<T>& b, CMPMODE mode, uint32_t count)
{
    standin::Bits(dst, a, mode, count, [b](uint32_t i) { return standin::Read<T>(b.At(i * sizeof(T), sizeof(T))); });
}

template <typename T, typename U>
void CompareScalar(const LocalTensor<U>& dst, const LocalTensor<T>& a, const T scalar, CMPMODE mode, uint32_t count)
{
    standin::Bits(dst, a, mode, count, [scalar](uint32_t) { return scalar; });
}

template <typename T, typename U>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& mask, const LocalTensor<T>& a, const LocalTensor<T>& b,
    SELMODE mode, uint32_t count)
{
    standin::Check(mode == SELMODE::VSEL_TENSOR_TENSOR_MODE, "Select: the mode does not fit the operands");
    standin::Choose(dst, mask, a, count, [b](uint32_t i) { return standin::Read<T>(b.At(i * sizeof(T), sizeof(T))); });
}

template <typename T, typename U>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& mask, const LocalTensor<T>& a, T scalar, SELMODE mode,
    uint32_t count)
{
    standin::Check(mode == SELMODE::VSEL_TENSOR_SCALAR_MODE, "Select: the mode does not fit the operands");
    standin::Choose(dst, mask, a, count, [scalar](uint32_t) { return scalar; });
}

template <typename T>
void WholeReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src, int32_t mask, int32_t repeatTime,
    int32_t dstRepStride, int32_t srcBlkStride, int32_t srcRepStride)
{
    standin::Whole(dst, src, standin::Repeats(uint64_t(mask), uint8_t(repeatTime), sizeof(T)), {srcBlkStride, srcRepStride},
        dstRepStride, [](T a, T b) { return standin::Sum(a, b); });
}

template <typename T>
void WholeReduceMax(const LocalTensor<T>& dst, const LocalTensor<T>& src, int32_t mask, int32_t repeatTime,
    int32_t dstRepStride, int32_t srcBlkStride, int32_t srcRepStride, ReduceOrder order)
{
    standin::Check(order == ReduceOrder::ORDER_ONLY_VALUE, "WholeReduceMax: values only");
    standin::Whole(dst, src, standin::Repeats(uint64_t(mask), uint8_t(repeatTime), sizeof(T)), {srcBlkStride, srcRepStride},
        dstRepStride, [](T a, T b) { return standin::Larger(a, b); });
}

template <typename T>
void WholeReduceMin(const LocalTensor<T>& dst, const LocalTensor<T>& src, int32_t mask, int32_t repeatTime,
    int32_t dstRepStride, int32_t srcBlkStride, int32_t srcRepStride, ReduceOrder order)
{
    standin::Check(order == ReduceOrder::ORDER_ONLY_VALUE, "WholeReduceMin: values only");
    standin::Whole(dst, src, standin::Repeats(uint64_t(mask), uint8_t(repeatTime), sizeof(T)), {srcBlkStride, srcRepStride},
        dstRepStride, [](T a, T b) { return standin::Smaller(a, b); });
}

// Each of eight elements of a repeat fills a block.
template <typename T>
void Brcb(const LocalTensor<T>& dst, const LocalTensor<T>& src, uint8_t repeatTime, const BrcbRepeatParams& p)
{
    standin::Do(PIPE_V, [=] {
        dst.Aligned(standin::BLOCK);
        src.Aligned(standin::BLOCK);
        for (int64_t i = 0; i < 8 * int64_t(repeatTime); i++) {
            const T v = standin::Read<T>(src.At(i * int64_t(sizeof(T)), sizeof(T)));
            uint8_t* to = dst.At(standin::BLOCK * (i / 8 * p.dstRepStride + i % 8 * p.dstBlkStride), standin::BLOCK);
            for (size_t b = 0; b < size_t(standin::BLOCK); b += sizeof(T)) {
                standin::Write(to + b, v);
            }
        }
    });
}

// Element i is at byte srcBaseAddr + srcOffset[i] of the table.
template <typename T>
void Gather(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<uint32_t>& srcOffset,
    uint32_t srcBaseAddr, uint32_t count)
{
    standin::Do(PIPE_V, [=] {
        std::vector<T> picked;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t at = srcBaseAddr + standin::Read<uint32_t>(srcOffset.At(4 * int64_t(i), 4));
            standin::Check(at % sizeof(T) == 0, "Gather: an offset is no multiple of the element's bytes");
            picked.push_back(standin::Read<T>(src.At(at, sizeof(T))));
        }
        for (uint32_t i = 0; i < count; i++) {
            standin::Write(dst.At(i * sizeof(T), sizeof(T)), picked[i]);
        }
    });
}

// A matrix of 16 × 16 elements.
template <typename T>
void Transpose(const LocalTensor<T>& dst, const LocalTensor<T>& src)
{
    static_assert(sizeof(T) == 2, "16-bit elements");
    standin::Do(PIPE_V, [=] {
        T all[256];
        std::memcpy(all, src.At(0, 512), 512);
        for (int64_t i = 0; i < 256; i++) {
            standin::Write(dst.At(2 * i, 2), all[i % 16 * 16 + i / 16]);
        }
    });
}

template <typename T>
void Sort32(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<uint32_t>& src1, int32_t repeatTime)
{
    standin::Do(PIPE_V, [=] {
        std::vector<standin::Pair> pairs(size_t(repeatTime) * 32);
        for (size_t i = 0; i < pairs.size(); i++) {
            std::memset(pairs[i].bytes, 0, 8);
            std::memcpy(pairs[i].bytes, src0.At(int64_t(i * sizeof(T)), sizeof(T)), sizeof(T));
            std::memcpy(pairs[i].bytes + 4, src1.At(int64_t(4 * i), 4), 4);
            pairs[i].key = float(standin::Read<T>(pairs[i].bytes));
        }
        for (size_t i = 0; i < pairs.size(); i += 32) {
            standin::Sort(&pairs[i], &pairs[i] + 32);
        }
        standin::Write(dst, pairs);
    });
}

template <typename T>
void MrgSort(const LocalTensor<T>& dst, const MrgSortSrcList<T>& sources, const MrgSort4Info& p)
{
    standin::Do(PIPE_V, [=] {
        const LocalTensor<T> lists[4] = {sources.src1, sources.src2, sources.src3, sources.src4};
        std::vector<standin::Pair> pairs;
        for (int l = 0; l < 4; l++) {
            for (int64_t i = 0; (p.validBit >> l & 1) != 0 && i < p.elementLengths[l]; i++) {
                standin::Pair pair;
                std::memcpy(pair.bytes, lists[l].At(8 * i, 8), 8);
                pair.key = float(standin::Read<T>(pair.bytes));
                pairs.push_back(pair);
            }
        }
        standin::Sort(pairs.data(), pairs.data() + pairs.size());
        standin::Write(dst, pairs);
    });
}

} // namespace AscendC
