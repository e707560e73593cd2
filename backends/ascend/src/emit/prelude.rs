// Table: what a source brings along, piece by piece.
//! Helpers that stand at the head of a source, each only where it is used: parameter structs by the names of their fields, and what the
//! scalar unit computes.

use std::collections::BTreeSet;

/// A helper; the order is that of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Helper {
    Gm,
    ReadShared,
    BitsOf,
    FloatOf,
    HalfOf,
    F16Bits,
    Bf16Bits,
    F16ToFloat,
    MinInt,
    MaxInt,
    DivInt,
    RemInt,
    MinFloat,
    MaxFloat,
    ToInt,
    Pieces,
    Padding,
    Blocks,
    NdToNz,
    Constant,
    Fractals,
    Product,
    Rows,
    OneOperand,
    TwoOperands,
    Broadcast,
    Iota,
    Merge,
}

/// Each helper, what it calls, and its text. `FN` stands for what precedes a function of the device.
const TABLE: &[(Helper, &[Helper], &str)] = &[
    (
        Helper::Gm,
        &[],
        "// Global memory from a byte on.
template <typename T>
FN AscendC::GlobalTensor<T> Gm(GM_ADDR base, int64_t bytes)
{
    AscendC::GlobalTensor<T> tensor;
    tensor.SetGlobalBuffer((__gm__ T*)(base + bytes));
    return tensor;
}
",
    ),
    (
        Helper::ReadShared,
        &[Helper::Gm],
        "// An element that another core may have written: not from this core's data cache.
template <typename T>
FN T ReadShared(const AscendC::GlobalTensor<T>& tensor)
{
    AscendC::DataCacheCleanAndInvalid<T, AscendC::CacheLine::SINGLE_CACHE_LINE, AscendC::DcciDst::CACHELINE_OUT>(
        tensor);
    return tensor.GetValue(0);
}
",
    ),
    (
        Helper::BitsOf,
        &[],
        "FN uint32_t BitsOf(float value)
{
    union { float f; uint32_t u; } word = {value};
    return word.u;
}
",
    ),
    (
        Helper::FloatOf,
        &[],
        "FN float FloatOf(uint32_t bits)
{
    union { uint32_t u; float f; } word = {bits};
    return word.f;
}
",
    ),
    (
        Helper::HalfOf,
        &[],
        "FN half HalfOf(uint16_t bits)
{
    return *reinterpret_cast<half*>(&bits);
}
",
    ),
    (
        Helper::F16Bits,
        &[Helper::BitsOf],
        "// Nearest, ties to even.
FN uint16_t F16Bits(float value)
{
    const uint32_t x = BitsOf(value), sign = (x >> 16) & 0x8000u;
    const int32_t exponent = int32_t((x >> 23) & 0xffu) - 112;
    uint32_t mantissa = x & 0x7fffffu;
    if (exponent == 143) {
        return uint16_t(sign | 0x7c00u | (mantissa != 0 ? 0x200u | (mantissa >> 13) : 0u));
    }
    if (exponent >= 31) {
        return uint16_t(sign | 0x7c00u);
    }
    if (exponent < -10) {
        return uint16_t(sign);
    }
    uint32_t shift = 13;
    uint32_t high = uint32_t(exponent) << 10;
    if (exponent <= 0) {
        mantissa |= 0x800000u;
        shift = uint32_t(14 - exponent);
        high = 0;
    }
    const uint32_t rest = mantissa & ((1u << shift) - 1u), tie = 1u << (shift - 1u);
    uint32_t bits = high | (mantissa >> shift);
    bits += rest > tie || (rest == tie && (bits & 1u) != 0) ? 1u : 0u;
    return uint16_t(sign | bits);
}
",
    ),
    (
        Helper::Bf16Bits,
        &[Helper::BitsOf],
        "// Nearest, ties to even.
FN uint16_t Bf16Bits(float value)
{
    const uint32_t x = BitsOf(value);
    if ((x & 0x7fffffffu) > 0x7f800000u) {
        return uint16_t((x >> 16) | 0x40u);
    }
    return uint16_t((x + 0x7fffu + ((x >> 16) & 1u)) >> 16);
}
",
    ),
    (
        Helper::F16ToFloat,
        &[Helper::FloatOf],
        "FN float F16ToFloat(uint16_t bits)
{
    const uint32_t sign = uint32_t(bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u, mantissa = bits & 0x3ffu;
    if (exponent == 31) {
        return FloatOf(sign | (mantissa != 0 ? 0x7fc00000u | (mantissa << 13) : 0x7f800000u));
    }
    if (exponent == 0) {
        const float small = float(mantissa) * 5.9604644775390625e-8f;
        return sign != 0 ? -small : small;
    }
    return FloatOf(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}
",
    ),
    (
        Helper::MinInt,
        &[],
        "FN int64_t MinInt(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
",
    ),
    (
        Helper::MaxInt,
        &[],
        "FN int64_t MaxInt(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
",
    ),
    (
        Helper::DivInt,
        &[],
        "// Towards zero; by zero: 0.
FN int64_t DivInt(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? int64_t(0 - uint64_t(a)) : a / b;
}
",
    ),
    (
        Helper::RemInt,
        &[],
        "// Sign of the dividend; by zero: 0.
FN int64_t RemInt(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}
",
    ),
    (
        Helper::MinFloat,
        &[],
        "// Not-a-number loses.
FN float MinFloat(float a, float b)
{
    return a != a ? b : b != b ? a : b < a ? b : a;
}
",
    ),
    (
        Helper::MaxFloat,
        &[],
        "// Not-a-number loses.
FN float MaxFloat(float a, float b)
{
    return a != a ? b : b != b ? a : b > a ? b : a;
}
",
    ),
    (
        Helper::ToInt,
        &[],
        "// Towards zero, saturating; not-a-number to 0.
FN int64_t ToInt(float value, int64_t low, int64_t high)
{
    if (value != value) {
        return 0;
    }
    return value >= float(high) ? high : value <= float(low) ? low : int64_t(value);
}
",
    ),
    (
        Helper::Pieces,
        &[],
        "// Lengths and gaps in global memory in bytes, gaps in the unified buffer in blocks of 32 bytes.
FN AscendC::DataCopyExtParams Pieces(int64_t blockCount, int64_t blockLen, int64_t srcStride, int64_t dstStride)
{
    AscendC::DataCopyExtParams params;
    params.blockCount = uint16_t(blockCount);
    params.blockLen = uint32_t(blockLen);
    params.srcStride = uint32_t(srcStride);
    params.dstStride = uint32_t(dstStride);
    params.rsv = 0;
    return params;
}
",
    ),
    (
        Helper::Padding,
        &[],
        "template <typename T>
FN AscendC::DataCopyPadExtParams<T> Padding(int64_t leftPadding, int64_t rightPadding, T paddingValue)
{
    AscendC::DataCopyPadExtParams<T> params;
    params.isPad = true;
    params.leftPadding = uint8_t(leftPadding);
    params.rightPadding = uint8_t(rightPadding);
    params.paddingValue = paddingValue;
    return params;
}

template <typename T>
FN AscendC::DataCopyPadExtParams<T> NoPadding()
{
    AscendC::DataCopyPadExtParams<T> params;
    params.isPad = false;
    params.leftPadding = 0;
    params.rightPadding = 0;
    params.paddingValue = T(0);
    return params;
}
",
    ),
    (
        Helper::Blocks,
        &[],
        "// All in blocks of 32 bytes.
FN AscendC::DataCopyParams Blocks(int64_t blockCount, int64_t blockLen, int64_t srcStride, int64_t dstStride)
{
    AscendC::DataCopyParams params;
    params.blockCount = uint16_t(blockCount);
    params.blockLen = uint16_t(blockLen);
    params.srcStride = uint16_t(srcStride);
    params.dstStride = uint16_t(dstStride);
    return params;
}
",
    ),
    (
        Helper::NdToNz,
        &[],
        "FN AscendC::Nd2NzParams NdToNz(int64_t ndNum, int64_t nValue, int64_t dValue, int64_t srcNdMatrixStride,
    int64_t srcDValue, int64_t dstNzC0Stride, int64_t dstNzNStride, int64_t dstNzMatrixStride)
{
    AscendC::Nd2NzParams params;
    params.ndNum = uint16_t(ndNum);
    params.nValue = uint16_t(nValue);
    params.dValue = uint16_t(dValue);
    params.srcNdMatrixStride = uint16_t(srcNdMatrixStride);
    params.srcDValue = uint16_t(srcDValue);
    params.dstNzC0Stride = uint16_t(dstNzC0Stride);
    params.dstNzNStride = uint16_t(dstNzNStride);
    params.dstNzMatrixStride = uint16_t(dstNzMatrixStride);
    return params;
}
",
    ),
    (
        Helper::Constant,
        &[],
        "template <typename T>
FN AscendC::InitConstValueParams<T> Constant(int64_t repeatTimes, int64_t blockNum, int64_t dstGap, T initValue)
{
    AscendC::InitConstValueParams<T> params;
    params.repeatTimes = uint16_t(repeatTimes);
    params.blockNum = uint16_t(blockNum);
    params.dstGap = uint16_t(dstGap);
    params.initValue = initValue;
    return params;
}
",
    ),
    (
        Helper::Fractals,
        &[],
        "FN AscendC::LoadData2DParams Fractals(int64_t startIndex, int64_t repeatTimes, int64_t srcStride, int64_t dstGap,
    bool ifTranspose)
{
    AscendC::LoadData2DParams params;
    params.startIndex = uint16_t(startIndex);
    params.repeatTimes = uint8_t(repeatTimes);
    params.srcStride = uint16_t(srcStride);
    params.sid = 0;
    params.dstGap = uint16_t(dstGap);
    params.ifTranspose = ifTranspose;
    params.addrMode = 0;
    return params;
}
",
    ),
    (
        Helper::Product,
        &[],
        "FN AscendC::MmadParams Product(int64_t m, int64_t n, int64_t k, bool cmatrixInitVal)
{
    AscendC::MmadParams params;
    params.m = uint16_t(m);
    params.n = uint16_t(n);
    params.k = uint16_t(k);
    params.cmatrixInitVal = cmatrixInitVal;
    params.cmatrixSource = false;
    return params;
}
",
    ),
    (
        Helper::Rows,
        &[],
        "FN AscendC::FixpipeParamsV220 Rows(int64_t nSize, int64_t mSize, int64_t srcStride, int64_t dstStride,
    QuantMode_t quantPre, bool reluEn)
{
    AscendC::FixpipeParamsV220 params;
    params.nSize = uint16_t(nSize);
    params.mSize = uint16_t(mSize);
    params.srcStride = uint16_t(srcStride);
    params.dstStride = uint32_t(dstStride);
    params.quantPre = quantPre;
    params.reluEn = reluEn;
    params.ndNum = 1;
    params.srcNdStride = 0;
    params.dstNdStride = 0;
    return params;
}
",
    ),
    (
        Helper::OneOperand,
        &[],
        "FN AscendC::UnaryRepeatParams OneOperand(int64_t dstBlkStride, int64_t srcBlkStride, int64_t dstRepStride,
    int64_t srcRepStride)
{
    AscendC::UnaryRepeatParams params;
    params.dstBlkStride = uint16_t(dstBlkStride);
    params.srcBlkStride = uint16_t(srcBlkStride);
    params.dstRepStride = uint8_t(dstRepStride);
    params.srcRepStride = uint8_t(srcRepStride);
    return params;
}
",
    ),
    (
        Helper::TwoOperands,
        &[],
        "FN AscendC::BinaryRepeatParams TwoOperands(int64_t dstBlkStride, int64_t src0BlkStride, int64_t src1BlkStride,
    int64_t dstRepStride, int64_t src0RepStride, int64_t src1RepStride)
{
    AscendC::BinaryRepeatParams params;
    params.dstBlkStride = uint8_t(dstBlkStride);
    params.src0BlkStride = uint8_t(src0BlkStride);
    params.src1BlkStride = uint8_t(src1BlkStride);
    params.dstRepStride = uint8_t(dstRepStride);
    params.src0RepStride = uint8_t(src0RepStride);
    params.src1RepStride = uint8_t(src1RepStride);
    return params;
}
",
    ),
    (
        Helper::Broadcast,
        &[],
        "FN AscendC::BrcbRepeatParams Broadcast(int64_t dstBlkStride, int64_t dstRepStride)
{
    return AscendC::BrcbRepeatParams(uint16_t(dstBlkStride), uint16_t(dstRepStride));
}
",
    ),
    (
        Helper::Iota,
        &[],
        "template <typename T>
FN void Iota(AscendC::LocalTensor<T> dst, T firstValue, int32_t count)
{
    AscendC::CreateVecIndex(dst, firstValue, uint32_t(count));
}
",
    ),
    (
        Helper::Merge,
        &[],
        "// Sorted lists of (value, index), one after another.
template <typename T>
FN void Merge(const AscendC::LocalTensor<T>& dst, const AscendC::LocalTensor<T>& src, int32_t lists, uint16_t length)
{
    const uint32_t step = length * 8 / sizeof(T);
    AscendC::MrgSortSrcList<T> sources;
    sources.src1 = src;
    sources.src2 = src[step];
    sources.src3 = src[lists > 2 ? 2 * step : 0];
    sources.src4 = src[lists > 3 ? 3 * step : 0];
    AscendC::MrgSort4Info params;
    for (int32_t i = 0; i < 4; i++) {
        params.elementLengths[i] = i < lists ? length : uint16_t(0);
    }
    params.ifExhaustedSuspension = false;
    params.validBit = uint16_t((1 << lists) - 1);
    params.repeatTimes = 1;
    AscendC::MrgSort<T>(dst, sources, params);
}
",
    ),
];

/// The helpers that are used, and those that they use, in a namespace of the kernel's.
pub(super) fn text(namespace: &str, needs: &BTreeSet<Helper>) -> String {
    let mut all = needs.clone();
    // Helpers call helpers, which may call others.
    for _ in 0..3 {
        for (h, calls, _) in TABLE {
            if all.contains(h) {
                all.extend(calls.iter().copied());
            }
        }
    }
    let pieces: Vec<String> = (TABLE.iter())
        .filter(|(h, ..)| all.contains(h))
        .map(|(.., text)| text.replace("FN ", "__aicore__ inline "))
        .collect();
    format!("\nnamespace {namespace} {{\n\n{}\n}} // namespace {namespace}\n", pieces.join("\n"))
}
