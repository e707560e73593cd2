// Places in a core's memories and in global memory.
#pragma once

#include "machine.h"

namespace standin {

// The bytes of a piece of a core's memory.
inline uint8_t* Local(Memory memory, int64_t at, int64_t length)
{
    std::vector<uint8_t>& bytes = now->memory[memory];
    if (at < 0 || length < 0 || uint64_t(at + length) > bytes.size()) {
        Fail("an instruction reaches over the end of a core's memory");
    }
    return bytes.data() + at;
}

// The bytes of a piece of global memory, which must lie in one allocation.
inline uint8_t* Global(uint8_t* at, int64_t length)
{
    auto next = allocations.upper_bound(at);
    if (next != allocations.begin()) {
        const auto& piece = *std::prev(next);
        if (length >= 0 && at + length <= piece.first + piece.second) {
            return at;
        }
    }
    Fail("an instruction reaches over the end of its global memory");
}

template <typename T>
T Read(const uint8_t* at)
{
    T v;
    std::memcpy(&v, at, sizeof(T));
    return v;
}

template <typename T>
void Write(uint8_t* at, T v)
{
    std::memcpy(at, &v, sizeof(T));
}

} // namespace standin

namespace AscendC {

template <typename T>
class LocalTensor {
public:
    LocalTensor() = default;

    LocalTensor(TPosition position, uint32_t address, uint32_t elements)
        : memory(Of(position)), address(address), elements(elements)
    {
        if (address % 32 != 0 || address + uint64_t(elements) * sizeof(T) > standin::CAPACITY[memory]) {
            standin::Fail("a tensor's address is no multiple of 32 bytes, or it does not fit its memory");
        }
    }

    LocalTensor operator[](uint32_t element) const
    {
        LocalTensor t = *this;
        t.address += int64_t(element) * int64_t(sizeof(T));
        t.elements -= element < elements ? element : elements;
        return t;
    }

    template <typename U>
    LocalTensor<U> ReinterpretCast() const
    {
        LocalTensor<U> t;
        t.memory = memory;
        t.address = address;
        t.elements = uint32_t(uint64_t(elements) * sizeof(T) / sizeof(U));
        return t;
    }

    // The scalar unit's accesses.
    T GetValue(uint32_t element) const
    {
        standin::WriteElements();
        return standin::Read<T>(At(int64_t(element) * int64_t(sizeof(T)), sizeof(T)));
    }

    void SetValue(uint32_t element, T v) const
    {
        uint8_t* at = At(int64_t(element) * int64_t(sizeof(T)), sizeof(T));
        standin::now->elements.push_back([at, v] { standin::Write(at, v); });
        if (standin::machine.early) {
            standin::WriteElements();
        }
    }

    uint8_t* At(int64_t bytes, int64_t length) const { return standin::Local(memory, address + bytes, length); }

    void Aligned(int64_t to) const
    {
        if (address % to != 0) {
            standin::Fail("an operand does not start at a multiple of the bytes that its instruction asks for");
        }
    }

    standin::Memory memory = standin::UB;
    int64_t address = 0;
    uint32_t elements = 0;

private:
    static standin::Memory Of(TPosition p)
    {
        switch (p) {
        case TPosition::A1:
        case TPosition::B1: return standin::L1;
        case TPosition::A2: return standin::L0A;
        case TPosition::B2: return standin::L0B;
        case TPosition::CO1: return standin::L0C;
        default: return standin::UB;
        }
    }
};

template <typename T>
class GlobalTensor {
public:
    void SetGlobalBuffer(T* at) { bytes = reinterpret_cast<uint8_t*>(at); }

    T GetValue(uint64_t element) const { return standin::Read<T>(At(int64_t(element * sizeof(T)), sizeof(T))); }

    uint8_t* At(int64_t offset, int64_t length) const { return standin::Global(bytes + offset, length); }

    uint8_t* bytes = nullptr;
};

template <typename T, CacheLine line, DcciDst to>
void DataCacheCleanAndInvalid(const GlobalTensor<T>&)
{
}

} // namespace AscendC
