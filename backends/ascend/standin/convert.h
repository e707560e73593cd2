// Conversions between element types.
#pragma once

#include "copies.h"

namespace standin {

// A whole number near v.
inline double Whole(AscendC::RoundMode mode, double v)
{
    switch (mode) {
    case AscendC::RoundMode::CAST_FLOOR: return std::floor(v);
    case AscendC::RoundMode::CAST_CEIL: return std::ceil(v);
    case AscendC::RoundMode::CAST_TRUNC: return std::trunc(v);
    case AscendC::RoundMode::CAST_ROUND: return std::round(v);
    default: return std::nearbyint(v);
    }
}

// The 16-bit float next to another, up or down.
template <typename T>
T Next(T v, bool up)
{
    T out;
    if ((v.bits & 0x7fffu) == 0) {
        out.bits = up ? 0x0001u : 0x8001u;
    } else {
        const bool grows = ((v.bits & 0x8000u) == 0) == up;
        out.bits = uint16_t(grows ? v.bits + 1 : v.bits - 1);
    }
    return out;
}

// A float as a 16-bit one, with a direction.
template <typename T>
T Narrow(AscendC::RoundMode mode, float v)
{
    const T near = T(v);
    const float got = float(near);
    if (!std::isfinite(v) || got == v || mode == AscendC::RoundMode::CAST_NONE || mode == AscendC::RoundMode::CAST_RINT) {
        return near;
    }
    if (mode == AscendC::RoundMode::CAST_ROUND) {
        const T other = Next(near, v > 0.0f);
        const bool tie = std::fabs(double(v) - double(got)) == std::fabs(double(v) - double(float(other)));
        return std::fabs(got) < std::fabs(v) && tie ? other : near;
    }
    const bool up = mode == AscendC::RoundMode::CAST_CEIL || (mode == AscendC::RoundMode::CAST_TRUNC && v < 0.0f);
    if (up && got < v) {
        return Next(near, true);
    }
    return !up && got > v ? Next(near, false) : near;
}

template <typename To, typename From>
To Convert(AscendC::RoundMode mode, From v)
{
    if constexpr (IS_REAL<From> && std::is_same_v<To, float>) {
        return std::is_same_v<From, float> ? float(Whole(mode, double(float(v)))) : float(v);
    } else if constexpr (IS_REAL<From> && IS_REAL<To>) {
        return Narrow<To>(mode, float(v));
    } else if constexpr (IS_REAL<From>) {
        const double whole = Whole(mode, double(float(v)));
        const double low = double(std::numeric_limits<To>::min()), high = double(std::numeric_limits<To>::max());
        if (std::isnan(whole)) {
            return To(0);
        }
        return whole >= high ? std::numeric_limits<To>::max() : whole <= low ? std::numeric_limits<To>::min() : To(whole);
    } else if constexpr (IS_REAL<To>) {
        return To(float(v));
    } else {
        const __int128 low = std::numeric_limits<To>::min(), high = std::numeric_limits<To>::max();
        return To(std::clamp(__int128(v), low, high));
    }
}

} // namespace standin
