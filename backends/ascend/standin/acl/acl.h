// The few host functions that a launch needs, on memory of the host that knows its bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>

typedef int aclError;
typedef void* aclrtStream;
enum aclrtMemMallocPolicy { ACL_MEM_MALLOC_HUGE_FIRST };
enum aclrtMemcpyKind { ACL_MEMCPY_HOST_TO_DEVICE = 1, ACL_MEMCPY_DEVICE_TO_HOST = 2 };
constexpr aclError ACL_SUCCESS = 0;

namespace standin {
// First byte and length of each piece of global memory.
inline std::map<const uint8_t*, size_t> allocations;
}

inline aclError aclInit(const char*) { return ACL_SUCCESS; }
inline aclError aclFinalize() { return ACL_SUCCESS; }
inline aclError aclrtSetDevice(int32_t) { return ACL_SUCCESS; }
inline aclError aclrtResetDevice(int32_t) { return ACL_SUCCESS; }
inline aclError aclrtCreateStream(aclrtStream* stream) { return *stream = nullptr, ACL_SUCCESS; }
inline aclError aclrtDestroyStream(aclrtStream) { return ACL_SUCCESS; }
inline aclError aclrtSynchronizeStream(aclrtStream) { return ACL_SUCCESS; }
inline aclError aclrtSynchronizeStreamWithTimeout(aclrtStream, int32_t) { return ACL_SUCCESS; }

inline aclError aclrtMalloc(void** p, size_t bytes, aclrtMemMallocPolicy)
{
    *p = std::aligned_alloc(512, (bytes + 511) / 512 * 512 + 512);
    if (*p == nullptr) {
        return 1;
    }
    std::memset(*p, 0xc7, bytes);
    standin::allocations[static_cast<const uint8_t*>(*p)] = bytes;
    return ACL_SUCCESS;
}

inline aclError aclrtFree(void* p)
{
    standin::allocations.erase(static_cast<const uint8_t*>(p));
    std::free(p);
    return ACL_SUCCESS;
}

inline aclError aclrtMemcpy(void* to, size_t room, const void* from, size_t bytes, aclrtMemcpyKind)
{
    if (bytes > room || bytes == 0) {
        return 107000;
    }
    std::memcpy(to, from, bytes);
    return ACL_SUCCESS;
}
