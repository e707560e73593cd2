/* A HIP library for tests: device memory is the host's, calls are counted and remembered, and a launch adds one to each of
   the first argument's elements (address and length stand first in the buffer of arguments). Failures are asked for by
   fake_fail. */
#include "../gpu/stand_in.h"

int hipInit(unsigned f) { (void)f; return said("hipInit"); }
int hipDriverGetVersion(int *v) { *v = 60200000; return said("hipDriverGetVersion"); }
int hipGetDeviceCount(int *n) { *n = 1; return said("hipGetDeviceCount"); }
int hipSetDevice(int d) { return d == 0 ? said("hipSetDevice") : 101; }
int hipDeviceGetName(char *t, int n, int d) { (void)d; snprintf(t, n, "AMD Instinct MI300X"); return said("hipDeviceGetName"); }
int hipDeviceGetAttribute(int *v, int a, int d) {
  (void)d;
  *v = a == 63 ? 304 : a == 74 ? 65536 : -1;
  return said("hipDeviceGetAttribute");
}
int hipGetDevicePropertiesR0600(void *p, int d) {
  (void)d;
  memset(p, 0, 1472);
  strcpy((char *)p, "AMD Instinct MI300X");
  strcpy((char *)p + 1160, getenv("KCC_FAKE_GFX") ? getenv("KCC_FAKE_GFX") : "gfx942:sramecc+:xnack-");
  return said("hipGetDevicePropertiesR0600");
}
const char *hipGetErrorName(int e) { return e == 719 ? "hipErrorLaunchFailure" : "hipErrorUnknown"; }
const char *hipGetErrorString(int e) { return e == 719 ? "unspecified launch failure" : "unknown error"; }
int hipMalloc(void **p, size_t n) {
  if (n > (size_t)1 << 40) return 2;
  *p = aligned_alloc(256, (n + 255) / 256 * 256);
  return said("hipMalloc");
}
int hipFree(void *p) { free(p); return said("hipFree"); }
int hipMemcpyHtoDAsync(void *to, const void *from, size_t n, void *s) { fake_copy_stream = (uint64_t)(uintptr_t)s; memcpy(to, from, n); return said("hipMemcpyHtoDAsync"); }
int hipMemcpyDtoHAsync(void *to, void *from, size_t n, void *s) { fake_copy_stream = (uint64_t)(uintptr_t)s; memcpy(to, from, n); return said("hipMemcpyDtoHAsync"); }
int hipMemsetAsync(void *to, int v, size_t n, void *s) { (void)s; memset(to, v, n); return said("hipMemsetAsync"); }
int hipStreamCreateWithFlags(void **s, unsigned f) { *s = (void *)(uintptr_t)(0x5000 + f); return said("hipStreamCreateWithFlags"); }
int hipStreamDestroy(void *s) { (void)s; return said("hipStreamDestroy"); }
int hipStreamSynchronize(void *s) { (void)s; return said("hipStreamSynchronize"); }
int hipStreamIsCapturing(void *s, int *c) { (void)s; *c = capturing; return said("hipStreamIsCapturing"); }
int hipStreamBeginCapture(void *s, int m) { (void)s; capturing = 1; return m == 1 ? said("hipStreamBeginCapture") : 1; }
int hipStreamEndCapture(void *s, void **g) { (void)s; capturing = 0; *g = (void *)0x6000; return said("hipStreamEndCapture"); }
int hipGraphInstantiateWithFlags(void **e, void *g, unsigned long long f) { (void)g; (void)f; *e = (void *)0x7000; return said("hipGraphInstantiateWithFlags"); }
int hipGraphLaunch(void *e, void *s) { (void)e; (void)s; return said("hipGraphLaunch"); }
int hipGraphDestroy(void *g) { (void)g; return said("hipGraphDestroy"); }
int hipGraphExecDestroy(void *e) { (void)e; return said("hipGraphExecDestroy"); }
int hipEventCreate(void **e) { *e = (void *)0x8000; return said("hipEventCreate"); }
int hipStreamWaitEvent(void *s, void *e, unsigned f) { (void)s; (void)e; (void)f; return said("hipStreamWaitEvent"); }
int hipEventRecord(void *e, void *s) { (void)e; (void)s; return said("hipEventRecord"); }
int hipEventSynchronize(void *e) { (void)e; return said("hipEventSynchronize"); }
int hipEventElapsedTime(float *t, void *a, void *b) { (void)a; (void)b; *t = 1.5f; return said("hipEventElapsedTime"); }
int hipEventDestroy(void *e) { (void)e; return said("hipEventDestroy"); }
int hipModuleLoadData(void **m, const void *image) {
  if (memcmp(image, "\177ELF", 4) != 0) return 200;
  *m = (void *)0x9000;
  return said("hipModuleLoadData");
}
int hipModuleUnload(void *m) { (void)m; return said("hipModuleUnload"); }
int hipModuleGetFunction(void **f, void *m, const char *name) {
  (void)m;
  *f = (void *)0xa000;
  return strcmp(name, "plus_one") == 0 ? said("hipModuleGetFunction") : 500;
}
int hipModuleLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *s, void **params, void **extra) {
  int answer = said("hipModuleLaunchKernel");
  if (answer != 0 || f != (void *)0xa000 || params != NULL) return answer ? answer : 1;
  if (extra[0] != (void *)1 || extra[2] != (void *)2 || extra[4] != (void *)3) return 1;
  fake_size = *(size_t *)extra[3];
  if (fake_size > sizeof fake_arguments) return 1;
  memcpy(fake_arguments, extra[1], fake_size);
  uint64_t seen[9] = {gx, gy, gz, bx, by, bz, shared, (uint64_t)(uintptr_t)s, 0};
  memcpy(fake_launch, seen, sizeof seen);
  uint64_t address, length;
  memcpy(&address, fake_arguments, 8);
  memcpy(&length, fake_arguments + 8, 8);
  plus_one(address, length);
  return 0;
}
