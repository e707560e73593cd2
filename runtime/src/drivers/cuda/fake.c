/* A libcuda for tests: device memory is the host's, calls are remembered, launches add one to each of the first argument's
   elements. Layouts of structs and numbers are those of cuda.h. */
#include "../gpu/stand_in.h"

typedef int R;
/* CUDA version of the driver, and whether it takes machine code; set by tests. */
int fake_version = 12080;
int fake_takes_cubins = 1;
/* Compute capability, and the most shared memory of a block. */
int fake_chip[3] = {9, 0, 232448};
/* What cuTensorMapEncodeTiled was given: type, rank, address, dims, strides, box, swizzle, promotion. */
uint64_t fake_map[20];
/* Attributes that were set on functions: number, value. */
int fake_attributes[8];
static int attributes;

R cuInit(unsigned f) { (void)f; return said("cuInit"); }
R cuDriverGetVersion(int *v) { *v = fake_version; return said("cuDriverGetVersion"); }
R cuDeviceGetCount(int *n) { *n = 1; return said("cuDeviceGetCount"); }
R cuDeviceGet(int *d, int i) { *d = i + 40; return said("cuDeviceGet"); }
R cuDeviceGetName(char *t, int n, int d) { (void)d; snprintf(t, n, "NVIDIA H100"); return said("cuDeviceGetName"); }
R cuDeviceGetAttribute(int *v, int a, int d) {
  (void)d;
  *v = a == 75 ? fake_chip[0] : a == 76 ? fake_chip[1] : a == 16 ? 132 : a == 97 ? fake_chip[2] : -1;
  return said("cuDeviceGetAttribute");
}
R cuDevicePrimaryCtxRetain(void **c, int d) { *c = (void *)0x1000; return d == 40 ? said("cuDevicePrimaryCtxRetain") : 101; }
R cuDevicePrimaryCtxRelease_v2(int d) { (void)d; return said("cuDevicePrimaryCtxRelease_v2"); }
R cuCtxSetCurrent(void *c) { return c == (void *)0x1000 ? said("cuCtxSetCurrent") : 201; }
R cuGetErrorName(R e, const char **t) {
  *t = e == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : e == 209 ? "CUDA_ERROR_NO_BINARY_FOR_GPU" : e == 218 ? "CUDA_ERROR_INVALID_PTX" : NULL;
  return *t ? 0 : 1;
}
R cuGetErrorString(R e, const char **t) { *t = e == 719 ? "unspecified launch failure" : NULL; return *t ? 0 : 1; }
R cuMemAlloc_v2(uint64_t *p, size_t n) {
  if (n > (size_t)1 << 40) return 2;
  *p = (uint64_t)(uintptr_t)aligned_alloc(256, (n + 255) / 256 * 256);
  return said("cuMemAlloc_v2");
}
R cuMemFree_v2(uint64_t p) { free((void *)(uintptr_t)p); return said("cuMemFree_v2"); }
R cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t n, void *s) { fake_copy_stream = (uint64_t)(uintptr_t)s; memcpy((void *)(uintptr_t)to, from, n); return said("cuMemcpyHtoDAsync_v2"); }
R cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t n, void *s) { fake_copy_stream = (uint64_t)(uintptr_t)s; memcpy(to, (void *)(uintptr_t)from, n); return said("cuMemcpyDtoHAsync_v2"); }
R cuMemsetD8Async(uint64_t to, unsigned char v, size_t n, void *s) { (void)s; memset((void *)(uintptr_t)to, v, n); return said("cuMemsetD8Async"); }
R cuStreamCreate(void **s, unsigned f) { *s = (void *)(uintptr_t)(0x5000 + f); return said("cuStreamCreate"); }
R cuStreamDestroy_v2(void *s) { (void)s; return said("cuStreamDestroy_v2"); }
R cuStreamSynchronize(void *s) { (void)s; return said("cuStreamSynchronize"); }
R cuStreamIsCapturing(void *s, int *c) { (void)s; *c = capturing; return said("cuStreamIsCapturing"); }
R cuStreamBeginCapture_v2(void *s, int m) { (void)s; capturing = 1; return m == 1 ? said("cuStreamBeginCapture_v2") : 1; }
R cuStreamEndCapture(void *s, void **g) { (void)s; capturing = 0; *g = (void *)0x6000; return said("cuStreamEndCapture"); }
R cuGraphInstantiateWithFlags(void **e, void *g, unsigned long long f) { (void)f; *e = (void *)0x7000; return g == (void *)0x6000 ? said("cuGraphInstantiateWithFlags") : 1; }
R cuGraphLaunch(void *e, void *s) { (void)s; return e == (void *)0x7000 ? said("cuGraphLaunch") : 1; }
R cuGraphDestroy(void *g) { (void)g; return said("cuGraphDestroy"); }
R cuGraphExecDestroy(void *e) { (void)e; return said("cuGraphExecDestroy"); }
R cuEventCreate(void **e, unsigned f) { (void)f; *e = (void *)0x8000; return said("cuEventCreate"); }
R cuStreamWaitEvent(void *s, void *e, unsigned f) { (void)s; (void)e; (void)f; return said("cuStreamWaitEvent"); }
R cuEventRecord(void *e, void *s) { (void)e; (void)s; return said("cuEventRecord"); }
R cuEventSynchronize(void *e) { (void)e; return said("cuEventSynchronize"); }
R cuEventElapsedTime(float *t, void *a, void *b) { (void)a; (void)b; *t = 1.5f; return said("cuEventElapsedTime"); }
R cuEventDestroy_v2(void *e) { (void)e; return said("cuEventDestroy_v2"); }
R cuModuleLoadDataEx(void **m, const void *image, unsigned n, int *options, void **values) {
  int answer = said("cuModuleLoadDataEx");
  *m = (void *)0x9000;
  if (answer) return answer;
  if (memcmp(image, "\177ELF", 4) == 0) return fake_takes_cubins ? 0 : 209;
  if (strncmp(image, ".version", 8) == 0) return 0;
  for (unsigned i = 0; i < n; i++)
    if (options[i] == 5) strcpy(values[i], "ptxas: line 7: nonsense"); /* CU_JIT_ERROR_LOG_BUFFER */
  return 218;
}
R cuModuleUnload(void *m) { (void)m; return said("cuModuleUnload"); }
R cuModuleGetFunction(void **f, void *m, const char *name) {
  (void)m;
  *f = strcmp(name, "mapped") == 0 ? (void *)0xa001 : (void *)0xa000;
  return *f == (void *)0xa001 || strcmp(name, "plus_one") == 0 ? said("cuModuleGetFunction") : 500;
}
R cuFuncSetAttribute(void *f, int attribute, int value) {
  (void)f;
  if (attributes < 8) fake_attributes[attributes++] = attribute, fake_attributes[attributes++] = value;
  return said("cuFuncSetAttribute");
}
R cuTensorMapEncodeTiled(void *map, int type, unsigned rank, void *address, const uint64_t *dims, const uint64_t *strides,
                         const unsigned *box, const unsigned *steps, int interleave, int swizzle, int promotion, int fill) {
  uint64_t seen[20] = {type, rank, (uint64_t)(uintptr_t)address};
  for (unsigned i = 0; i < rank && i < 5; i++) {
    seen[3 + i] = dims[i];
    seen[13 + i] = box[i];
    if (i + 1 < rank) seen[8 + i] = strides[i];
    if (steps[i] != 1) return 1;
  }
  seen[18] = swizzle, seen[19] = promotion;
  memcpy(fake_map, seen, sizeof seen);
  memset(map, 0x5a, 128);
  return interleave || fill || (uintptr_t)map % 64 ? 1 : said("cuTensorMapEncodeTiled");
}

typedef struct { unsigned grid[3], block[3], shared; void *stream; struct { int id, pad; unsigned value[16]; } *attributes; unsigned count; } config;

R cuLaunchKernelEx(const config *c, void *f, void **params, void **extra) {
  int answer = said("cuLaunchKernelEx");
  if (answer || extra) return answer ? answer : 1;
  uint64_t cluster = 1;
  for (unsigned i = 0; i < c->count; i++)
    if (c->attributes[i].id == 4) /* CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION */
      cluster = c->attributes[i].value[0] * c->attributes[i].value[1] * c->attributes[i].value[2];
  uint64_t seen[9] = {c->grid[0], c->grid[1], c->grid[2], c->block[0], c->block[1], c->block[2], c->shared,
                      (uint64_t)(uintptr_t)c->stream, cluster};
  memcpy(fake_launch, seen, sizeof seen);
  /* A view of rank 1 or 2 (the kernel with a map), the grid, the status buffer. */
  int axes = f == (void *)0xa001 ? 2 : 1, words = 5 + 2 * axes;
  for (int i = 0; i < words; i++) memcpy(fake_arguments + 8 * i, params[i], i > 2 * axes && i < words - 1 ? 4 : 8);
  fake_size = 8 * words;
  if (axes == 2) memcpy(fake_arguments + fake_size, params[words], 128), fake_size += 128;
  uint64_t address, length;
  memcpy(&address, params[0], 8);
  memcpy(&length, params[1], 8);
  plus_one(address, length);
  return 0;
}
