// Stands in for AscendCL in tests: remembers its calls, keeps the device's memory on the host, and fails on demand.
#include "../gpu/stand_in.h"

/* What a call that is to fail answers, the chip, its cube cores, and allocations that were not freed. */
int fake_code = 507899;
const char* fake_chip = "Ascend910B4";
int64_t fake_cube = 20;
int fake_live;

static int call(const char* name) { return said(name) ? fake_code : 0; }

int aclInit(const char* file) { return call("aclInit"); }
const char* aclGetRecentErrMsg(void) { return "EE9999: the stand-in was told to fail"; }
int aclrtGetVersion(int32_t* a, int32_t* b, int32_t* c) { *a = 1; *b = 14; *c = 0; return call("aclrtGetVersion"); }
int aclrtGetDeviceCount(uint32_t* n) { *n = 2; return call("aclrtGetDeviceCount"); }
int aclrtSetDevice(int32_t device) { return device < 0 || device > 1 ? 107001 : call("aclrtSetDevice"); }
const char* aclrtGetSocName(void) { return fake_chip; }
int aclrtGetDeviceInfo(uint32_t device, int which, int64_t* value)
{
    *value = which == 102 ? fake_cube : which == 201 ? 2 * fake_cube : 0;
    return call("aclrtGetDeviceInfo");
}
int aclrtMalloc(void** p, size_t bytes, int policy)
{
    int failed = call("aclrtMalloc");
    if (failed) {
        return failed;
    }
    *p = malloc(bytes);
    memset(*p, 0xa5, bytes);
    fake_live++;
    return 0;
}
int aclrtFree(void* p) { free(p); fake_live--; return call("aclrtFree"); }
int aclrtMemcpyAsync(void* to, size_t most, const void* from, size_t bytes, int kind, void* stream)
{
    int failed = call(kind == 1 ? "write" : kind == 2 ? "read" : "copy");
    if (failed || most < bytes || (kind != 1 && kind != 2)) {
        return failed ? failed : 107000;
    }
    memcpy(to, from, bytes);
    return 0;
}
int aclrtMemsetAsync(void* p, size_t most, int32_t value, size_t bytes, void* stream)
{
    memset(p, value, bytes);
    return call("aclrtMemsetAsync");
}
int aclrtCreateStream(void** s) { *s = malloc(8); return call("aclrtCreateStream"); }
int aclrtDestroyStream(void* s) { free(s); return call("aclrtDestroyStream"); }
int aclrtSynchronizeStream(void* s) { return call("aclrtSynchronizeStream"); }
int aclrtCreateEventWithFlag(void** e, uint32_t flag) { *e = malloc(8); return flag == 8 ? call("aclrtCreateEventWithFlag") : 107000; }
int aclrtRecordEvent(void* e, void* s) { return call("aclrtRecordEvent"); }
int aclrtSynchronizeEvent(void* e) { return call("aclrtSynchronizeEvent"); }
int aclrtEventElapsedTime(float* ms, void* a, void* b) { *ms = 1.5f; return call("aclrtEventElapsedTime"); }
int aclrtDestroyEvent(void* e) { free(e); return call("aclrtDestroyEvent"); }
