// The cube unit. A fractal is 16 rows of 32 bytes; an accumulators' fractal is 16 × 16 elements.
#pragma once

#include "copies.h"

namespace AscendC {

struct LoadData2DParams {
    uint16_t startIndex = 0;
    uint8_t repeatTimes = 0;
    uint16_t srcStride = 0;
    uint8_t sid = 0;
    uint16_t dstGap = 0;
    bool ifTranspose = false;
    uint8_t addrMode = 0;
};

struct MmadParams {
    uint16_t m = 0, n = 0, k = 0;
    bool cmatrixInitVal = true, cmatrixSource = false;
};

struct FixpipeParamsV220 {
    uint16_t nSize = 0, mSize = 0, srcStride = 0;
    uint32_t dstStride = 0;
    QuantMode_t quantPre = QuantMode_t::NoQuant;
    uint64_t deqScalar = 0;
    uint16_t ndNum = 1, srcNdStride = 0, dstNdStride = 0;
    bool reluEn = false;
    uint8_t unitFlag = 0;
    bool isChannelSplit = false;
};

template <typename T>
void LoadData(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LoadData2DParams& p)
{
    standin::Do(PIPE_MTE1, [=] {
        constexpr int64_t FRACTAL = 512;
        standin::Check(src.memory == standin::L1 && (dst.memory == standin::L0A || dst.memory == standin::L0B),
            "LoadData: it goes from L1 to L0A or L0B");
        standin::Check(!p.ifTranspose || sizeof(T) == 2, "LoadData: only fractals of 16-bit types can be transposed");
        standin::Check(p.repeatTimes >= 1, "LoadData: no fractals");
        dst.Aligned(FRACTAL);
        src.Aligned(standin::BLOCK);
        for (int64_t i = 0; i < p.repeatTimes; i++) {
            uint8_t piece[FRACTAL];
            std::memcpy(piece, src.At(FRACTAL * (p.startIndex + i * p.srcStride), FRACTAL), FRACTAL);
            uint8_t* to = dst.At(FRACTAL * i * (int64_t(p.dstGap) + 1), FRACTAL);
            for (int64_t r = 0; r < 16; r++) {
                for (int64_t b = 0; b < 32; b++) {
                    const int64_t column = b / 2, from = p.ifTranspose ? 32 * column + 2 * r + b % 2 : 32 * r + b;
                    to[32 * r + b] = piece[from];
                }
            }
        }
    });
}

// dst[m, n] (+)= a[m, k] · b[k, n]: a lies in rows of fractals, row after row inside; b in rows of fractals along k, column after
// column inside; dst in columns of fractals, row after row inside.
template <typename D, typename T>
void Mmad(const LocalTensor<D>& dst, const LocalTensor<T>& a, const LocalTensor<T>& b, const MmadParams& p)
{
    standin::Do(PIPE_M, [=] {
        standin::Check(dst.memory == standin::L0C && a.memory == standin::L0A && b.memory == standin::L0B,
            "Mmad: operands lie in L0A and L0B, results in L0C");
        standin::Check(p.m >= 2 && p.m <= 4095 && p.n >= 1 && p.n <= 4095 && p.k >= 1 && p.k <= 4095,
            "Mmad: a size is out of its range");
        dst.Aligned(1024);
        a.Aligned(512);
        b.Aligned(512);
        const int64_t size = sizeof(T), wide = 32 / size;
        const int64_t high = (p.m + 15) / 16, across = (p.n + 15) / 16, deep = (p.k + wide - 1) / wide;
        const uint8_t* left = a.At(0, high * deep * 512);
        const uint8_t* right = b.At(0, across * deep * 512);
        uint8_t* out = dst.At(0, high * across * 1024);
        // Operands as numbers, k innermost.
        std::vector<double> x(size_t(p.m) * p.k), y(size_t(p.n) * p.k);
        for (int64_t k = 0; k < p.k; k++) {
            const int64_t inside = k % wide, depth = k / wide;
            for (int64_t r = 0; r < p.m; r++) {
                const int64_t at = (r / 16 * deep + depth) * 512 + (r % 16 * wide + inside) * size;
                x[size_t(r * p.k + k)] = double(standin::Read<T>(left + at));
            }
            for (int64_t c = 0; c < p.n; c++) {
                const int64_t at = (depth * across + c / 16) * 512 + (c % 16 * wide + inside) * size;
                y[size_t(c * p.k + k)] = double(standin::Read<T>(right + at));
            }
        }
        for (int64_t r = 0; r < p.m; r++) {
            for (int64_t c = 0; c < p.n; c++) {
                double sum = 0.0;
                for (int64_t k = 0; k < p.k; k++) {
                    sum += x[size_t(r * p.k + k)] * y[size_t(c * p.k + k)];
                }
                uint8_t* to = out + 4 * ((c / 16 * high + r / 16) * 256 + r % 16 * 16 + c % 16);
                const D before = p.cmatrixInitVal ? D(0) : standin::Read<D>(to);
                if constexpr (std::is_same_v<D, int32_t>) {
                    standin::Write(to, D(uint32_t(before) + uint32_t(int64_t(sum))));
                } else {
                    standin::Write(to, D(double(before) + sum));
                }
            }
        }
    });
}

template <typename D, typename S, const FixpipeConfig& config>
void Fixpipe(const GlobalTensor<D>& dst, const LocalTensor<S>& src, const FixpipeParamsV220& p)
{
    const standin::Atomic how = standin::now->atomic;
    standin::Do(PIPE_FIX, [=] {
        standin::Check(src.memory == standin::L0C && config.rows && p.ndNum == 1, "Fixpipe: rows out of L0C only");
        standin::Check(p.nSize >= 1 && p.nSize <= 4095 && p.mSize >= 1 && p.mSize <= 8192 && p.srcStride % 16 == 0,
            "Fixpipe: a parameter is out of its range");
        const QuantMode_t means = std::is_same_v<D, half> ? QuantMode_t::F322F16
            : std::is_same_v<D, bfloat16_t>               ? QuantMode_t::F322BF16
                                                          : QuantMode_t::NoQuant;
        standin::Check(p.quantPre == means, "Fixpipe: the conversion does not fit the type of the result");
        src.Aligned(64);
        for (int64_t r = 0; r < p.mSize; r++) {
            std::vector<D> row(p.nSize);
            for (int64_t c = 0; c < p.nSize; c++) {
                const S in = standin::Read<S>(src.At(4 * ((c / 16 * p.srcStride + r) * 16 + c % 16), 4));
                const S v = p.reluEn && in < S(0) ? S(0) : in;
                if constexpr (std::is_same_v<D, half>) {
                    row[size_t(c)] = D(std::clamp(float(v), -65504.0f, 65504.0f));
                } else {
                    row[size_t(c)] = D(v);
                }
            }
            const int64_t bytes = int64_t(p.nSize) * int64_t(sizeof(D));
            uint8_t* to = dst.At(r * int64_t(p.dstStride) * int64_t(sizeof(D)), bytes);
            standin::Put<D>(to, reinterpret_cast<const uint8_t*>(row.data()), bytes, how);
        }
    });
}

} // namespace AscendC
