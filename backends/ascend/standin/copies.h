// Copies between global memory and a core's buffers, and what they do to the values there.
#pragma once

#include "tensor.h"
#include <algorithm>

namespace AscendC {

struct DataCopyExtParams {
    uint16_t blockCount = 0;
    uint32_t blockLen = 0, srcStride = 0, dstStride = 0, rsv = 0;
};

template <typename T>
struct DataCopyPadExtParams {
    bool isPad = false;
    uint8_t leftPadding = 0, rightPadding = 0;
    T paddingValue = 0;
};

struct DataCopyParams {
    uint16_t blockCount = 0, blockLen = 0, srcStride = 0, dstStride = 0;
};

struct Nd2NzParams {
    uint16_t ndNum = 0, nValue = 0, dValue = 0, srcNdMatrixStride = 0, srcDValue = 0, dstNzC0Stride = 0, dstNzNStride = 0,
             dstNzMatrixStride = 0;
};

template <typename T>
struct InitConstValueParams {
    uint16_t repeatTimes = 0, blockNum = 0, dstGap = 0;
    T initValue = 0;
};

template <typename T>
void SetAtomicAdd()
{
    standin::now->atomic = standin::ADD;
}

template <typename T>
void SetAtomicMax()
{
    standin::now->atomic = standin::MAX;
}

template <typename T>
void SetAtomicMin()
{
    standin::now->atomic = standin::MIN;
}

inline void SetAtomicNone() { standin::now->atomic = standin::PLAIN; }

} // namespace AscendC

namespace standin {

constexpr int64_t BLOCK = 32;

template <typename T>
constexpr bool IS_REAL = std::is_same_v<T, float> || std::is_same_v<T, half> || std::is_same_v<T, bfloat16_t>;

// Puts elements to global memory, plainly or as an atomic operation has it.
template <typename T>
void Put(uint8_t* to, const uint8_t* from, int64_t bytes, Atomic how)
{
    if (how == PLAIN) {
        std::memcpy(to, from, size_t(bytes));
        return;
    }
    for (int64_t i = 0; i < bytes; i += int64_t(sizeof(T))) {
        const T old = Read<T>(to + i), add = Read<T>(from + i);
        if constexpr (IS_REAL<T>) {
            const float a = float(old), b = float(add);
            Write(to + i, T(how == ADD ? a + b : how == MAX ? std::fmax(a, b) : std::fmin(a, b)));
        } else {
            const __int128 a = old, b = add, sum = a + b;
            const __int128 low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
            Write(to + i, T(how == ADD ? std::clamp(sum, low, high) : how == MAX ? std::max(a, b) : std::min(a, b)));
        }
    }
}

inline void Check(bool good, const char* what)
{
    if (!good) {
        Fail(what);
    }
}

} // namespace standin

namespace AscendC {

template <typename T>
void DataCopyPad(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const DataCopyExtParams& p,
    const DataCopyPadExtParams<T>& pad)
{
    standin::Do(PIPE_MTE2, [=] {
        dst.Aligned(standin::BLOCK);
        standin::Check(p.blockCount >= 1 && p.blockCount <= 4095 && p.blockLen >= 1 && p.blockLen <= 2097151,
            "DataCopyPad: a parameter is out of its range");
        const int64_t size = sizeof(T), left = pad.isPad ? pad.leftPadding * size : 0;
        const int64_t right = pad.isPad ? pad.rightPadding * size : 0;
        standin::Check(left <= standin::BLOCK && right <= standin::BLOCK, "DataCopyPad: more than 32 bytes of padding");
        const int64_t used = left + p.blockLen + right;
        const int64_t pitch = (used + standin::BLOCK - 1) / standin::BLOCK * standin::BLOCK;
        for (int64_t b = 0; b < p.blockCount; b++) {
            uint8_t* to = dst.At(b * (pitch + standin::BLOCK * int64_t(p.dstStride)), pitch);
            std::memset(to, 0xa5, size_t(pitch));
            for (int64_t i = 0; i < left + right; i += size) {
                standin::Write(to + (i < left ? i : int64_t(p.blockLen) + i), pad.paddingValue);
            }
            const uint8_t* from = src.At(b * (int64_t(p.blockLen) + p.srcStride), p.blockLen);
            std::memcpy(to + left, from, p.blockLen);
        }
    });
}

template <typename T>
void DataCopyPad(const GlobalTensor<T>& dst, const LocalTensor<T>& src, const DataCopyExtParams& p)
{
    const standin::Atomic how = standin::now->atomic;
    standin::Do(PIPE_MTE3, [=] {
        src.Aligned(standin::BLOCK);
        standin::Check(p.blockCount >= 1 && p.blockCount <= 4095 && p.blockLen >= 1 && p.blockLen <= 2097151,
            "DataCopyPad: a parameter is out of its range");
        const int64_t pitch = (int64_t(p.blockLen) + standin::BLOCK - 1) / standin::BLOCK * standin::BLOCK;
        for (int64_t b = 0; b < p.blockCount; b++) {
            const uint8_t* from = src.At(b * (pitch + standin::BLOCK * int64_t(p.srcStride)), p.blockLen);
            uint8_t* to = dst.At(b * (int64_t(p.blockLen) + p.dstStride), p.blockLen);
            standin::Put<T>(to, from, p.blockLen, how);
        }
    });
}

template <typename T>
void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const DataCopyParams& p)
{
    standin::Do(PIPE_MTE2, [=] {
        dst.Aligned(standin::BLOCK);
        const int64_t length = standin::BLOCK * p.blockLen;
        for (int64_t b = 0; b < p.blockCount; b++) {
            uint8_t* to = dst.At(b * (length + standin::BLOCK * p.dstStride), length);
            std::memcpy(to, src.At(b * (length + standin::BLOCK * p.srcStride), length), size_t(length));
        }
    });
}

// Rows of global memory to columns of fractals: row r, bytes 32c to 32c + 31 lie at block c · dstNzC0Stride + r · dstNzNStride.
template <typename T>
void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const Nd2NzParams& p)
{
    standin::Do(PIPE_MTE2, [=] {
        dst.Aligned(standin::BLOCK);
        standin::Check(p.nValue <= 16384 && p.srcDValue >= 1 && p.dstNzC0Stride >= 1 && p.dstNzC0Stride <= 16384 &&
                p.dstNzNStride >= 1 && p.dstNzNStride <= 16384,
            "DataCopy with Nd2NzParams: a parameter is out of its range");
        const int64_t size = sizeof(T), row = int64_t(p.dValue) * size;
        for (int64_t m = 0; m < p.ndNum; m++) {
            for (int64_t r = 0; r < p.nValue; r++) {
                const int64_t from = (m * p.srcNdMatrixStride + r * p.srcDValue) * size;
                for (int64_t at = 0; at < row; at += standin::BLOCK) {
                    const int64_t block = at / standin::BLOCK * p.dstNzC0Stride + r * p.dstNzNStride;
                    uint8_t* to = dst.At(m * p.dstNzMatrixStride * size + standin::BLOCK * block, standin::BLOCK);
                    const int64_t length = std::min(standin::BLOCK, row - at);
                    std::memset(to, 0, standin::BLOCK);
                    std::memcpy(to, src.At(from + at, length), size_t(length));
                }
            }
        }
    });
}

template <typename T>
void InitConstValue(const LocalTensor<T>& dst, const InitConstValueParams<T>& p)
{
    standin::Do(PIPE_MTE2, [=] {
        dst.Aligned(standin::BLOCK);
        const int64_t length = standin::BLOCK * p.blockNum;
        for (int64_t t = 0; t < p.repeatTimes; t++) {
            uint8_t* to = dst.At(t * (length + standin::BLOCK * p.dstGap), length);
            for (int64_t i = 0; i < length; i += int64_t(sizeof(T))) {
                standin::Write(to + i, p.initValue);
            }
        }
    });
}

} // namespace AscendC
