/* kcc: precompiled kernels from packs. Docs: docs/c.md.
 *
 * Made by cbindgen from capi/src; do not edit.
 *
 * Functions that can fail return a kcc_status. Where `error` is not NULL it receives NULL, or what went wrong in words, which the
 * caller frees with kcc_error_free. Out parameters receive NULL when a call fails. Threads may share all handles; closing one
 * is up to whoever knows that nobody uses it any more. */

#ifndef KCC_H
#define KCC_H

#include <stddef.h>
#include <stdint.h>

// Version of this interface. It grows when something that programs use changes its meaning.
#define KCC_ABI_VERSION 1

// One byte, 0 or 1.
#define KCC_BOOL 0

// Signed, 8 bits.
#define KCC_I8 1

// Signed, 16 bits.
#define KCC_I16 2

// Signed, 32 bits.
#define KCC_I32 3

// Signed, 64 bits.
#define KCC_I64 4

// Unsigned, 8 bits.
#define KCC_U8 5

// Unsigned, 32 bits.
#define KCC_U32 6

// OCP float, 4 bits of exponent and 3 of mantissa, no infinity.
#define KCC_F8E4M3 7

// OCP float, 5 bits of exponent and 2 of mantissa.
#define KCC_F8E5M2 8

// IEEE binary16.
#define KCC_F16 9

// bfloat16.
#define KCC_BF16 10

// IEEE binary32.
#define KCC_F32 11

// The argument is a `kcc_tensor`.
#define KCC_ARG_TENSOR 0

// The argument is a `kcc_scalar`.
#define KCC_ARG_SCALAR 1

// The argument is a pointer to DLPack's `DLTensor`.
#define KCC_ARG_DLPACK 2

// Most axes of a tensor.
#define KCC_MAX_RANK 6

// A parameter that a kernel reads: a tensor.
#define KCC_INPUT 0

// A parameter that a kernel writes (and may read): a tensor.
#define KCC_OUTPUT 1

// A number.
#define KCC_SCALAR 2

// How a call ended.
typedef enum kcc_status {
  // All is well.
  KCC_OK = 0,
  // A pointer is NULL where something must be.
  KCC_NULL = 1,
  // A value means nothing: a code, an index, a rank, text that is not UTF-8.
  KCC_INVALID = 2,
  // An argument does not fit its parameter, or cannot be a tensor.
  KCC_ARGUMENT = 3,
  // No such kernel, no code for the device, or no variant for these arguments.
  KCC_LOAD = 4,
  // A file cannot be read.
  KCC_FILE = 5,
  // A pack is cut short, changed, or contradicts itself.
  KCC_CORRUPT = 6,
  // No such device, or one that stopped working.
  KCC_DEVICE = 7,
  // A launch exceeds what the device can do.
  KCC_LIMIT = 8,
  // No memory.
  KCC_MEMORY = 9,
  // An assertion of the kernel failed while it ran.
  KCC_STOPPED = 10,
  // A mistake of this library; please report it.
  KCC_INTERNAL = 11,
} kcc_status;

// A device. Any number of threads may use one; kernels loaded for it keep it alive.
typedef struct kcc_device kcc_device;

// What went wrong, in words. Owned by the caller: `kcc_error_free`.
typedef struct kcc_error kcc_error;

// A kernel of a pack, loaded for a device. Any number of threads may use one.
typedef struct kcc_kernel kcc_kernel;

// An open pack. Any number of threads may use one; kernels loaded from it outlive it.
typedef struct kcc_pack kcc_pack;

// A variant that was chosen. It keeps its kernel alive; any number of threads may launch it.
typedef struct kcc_prepared kcc_prepared;

// Memory that somebody else owns, of the device that the kernel runs on, as a tensor.
typedef struct kcc_tensor {
  // Element (0, …, 0). Of a tensor without elements it may be NULL.
  void *data;
  // `KCC_F32`, …
  int32_t dtype;
  // Number of axes, at most `KCC_MAX_RANK`.
  int32_t rank;
  // `rank` extents.
  const int64_t *dims;
  // `rank` strides in elements; NULL: row-major without gaps.
  const int64_t *strides;
} kcc_tensor;

// A number.
typedef struct kcc_scalar {
  // Its bits, in the low bytes.
  uint64_t bits;
  // `KCC_F32`, …
  int32_t dtype;
} kcc_scalar;

// One of the three forms of an argument.
typedef union kcc_value {
  // For `KCC_ARG_TENSOR`.
  struct kcc_tensor tensor;
  // For `KCC_ARG_SCALAR`.
  struct kcc_scalar scalar;
  // For `KCC_ARG_DLPACK`: a `DLTensor *`; the first member of `DLManagedTensor`.
  const void *dlpack;
} kcc_value;

// An argument of a launch. Whether a tensor is read or written is up to the kernel's parameter.
typedef struct kcc_arg {
  // `KCC_ARG_TENSOR`, `KCC_ARG_SCALAR` or `KCC_ARG_DLPACK`.
  int32_t kind;
  // The argument.
  union kcc_value value;
} kcc_arg;

// A kernel of a pack. Texts are valid while the pack is open.
typedef struct kcc_kernel_info {
  // What `kcc_kernel_load` takes.
  const char *name;
  // The contract that the kernel fulfils: what it computes.
  const char *op;
  // Another version is another contract.
  uint32_t op_version;
  // Number of parameters.
  size_t params;
  // Number of variants.
  size_t variants;
} kcc_kernel_info;

// A parameter of a kernel.
typedef struct kcc_param {
  // Its name; valid while the pack is open.
  const char *name;
  // `KCC_INPUT`, `KCC_OUTPUT` or `KCC_SCALAR`.
  int32_t kind;
  // Number of axes of a tensor.
  int32_t rank;
} kcc_param;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the interface that the library has; compare it with `KCC_ABI_VERSION`.
uint32_t kcc_abi_version(void);

// The library's version, as `0.1.0`. Never freed.
const char *kcc_version(void);

// Opens a device: `cpu`, `cpu:4` (four threads), `cuda`, `cuda:1`, `hip`, `hip:1`, `ascend`, `ascend:1`. A driver is looked for here.
enum kcc_status kcc_device_open(const char *name,
                                struct kcc_device **out,
                                struct kcc_error **error);

// Closes a device; NULL is fine.
void kcc_device_close(struct kcc_device *device);

// Name of the device and what it runs: `cpu (cpu:x86-64-v4, 2 threads)`; NULL for NULL. Valid while the device is open.
const char *kcc_device_description(const struct kcc_device *device);

// Waits for what was launched into a stream (NULL: the device's own). On a CPU there is nothing to wait for.
enum kcc_status kcc_device_synchronize(const struct kcc_device *device,
                                       void *stream,
                                       struct kcc_error **error);

// The error's code; `KCC_OK` for NULL.
enum kcc_status kcc_error_status(const struct kcc_error *error);

// The error's text, UTF-8; empty for NULL. Valid until the error is freed.
const char *kcc_error_message(const struct kcc_error *error);

// Frees an error; NULL is fine.
void kcc_error_free(struct kcc_error *error);

// Loads the variants of a kernel that a device runs. Pack and device may be closed afterwards.
enum kcc_status kcc_kernel_load(const struct kcc_pack *pack,
                                const struct kcc_device *device,
                                const char *name,
                                struct kcc_kernel **out,
                                struct kcc_error **error);

// Closes a kernel; NULL is fine. Launches into streams must be done.
void kcc_kernel_close(struct kcc_kernel *kernel);

// Chooses the variant for these arguments, of which only types, dims, strides, alignment and numbers matter: no memory is read.
enum kcc_status kcc_prepare(const struct kcc_kernel *kernel,
                            const struct kcc_arg *args,
                            size_t count,
                            struct kcc_prepared **out,
                            struct kcc_error **error);

// Frees a prepared launch; NULL is fine.
void kcc_prepared_free(struct kcc_prepared *prepared);

// Bytes of device memory that a launch with the arguments that were prepared needs as workspace; 0 for NULL.
uint64_t kcc_prepared_workspace(const struct kcc_prepared *prepared);

// Index of the chosen variant in the manifest; `SIZE_MAX` for NULL.
size_t kcc_prepared_variant(const struct kcc_prepared *prepared);

// Launches the prepared variant on any arguments that it may be chosen for; others are an error, and nothing runs. On a CPU the
// call returns when the kernel is done; on a GPU the launch goes into `stream` (NULL: the device's own).
//
// `workspace` is `workspace_bytes` bytes of device memory that nothing else uses until the launch is done; NULL and 0 where none is
// needed.
enum kcc_status kcc_launch(const struct kcc_prepared *prepared,
                           const struct kcc_arg *args,
                           size_t count,
                           void *stream,
                           void *workspace,
                           size_t workspace_bytes,
                           struct kcc_error **error);

// Chooses a variant and launches it: `kcc_prepare` and `kcc_launch` in one. Without a workspace, a variant that needs one uses memory
// of the device's, allocated at the first such launch into a stream.
enum kcc_status kcc_kernel_launch(const struct kcc_kernel *kernel,
                                  const struct kcc_arg *args,
                                  size_t count,
                                  void *stream,
                                  void *workspace,
                                  size_t workspace_bytes,
                                  struct kcc_error **error);

// Opens a pack: a file, or a folder. All that its manifest says is checked; no code is loaded.
enum kcc_status kcc_pack_open(const char *path,
                              struct kcc_pack **out,
                              struct kcc_error **error);

// Opens a pack whose file lies in memory. The bytes are copied.
enum kcc_status kcc_pack_open_memory(const void *data,
                                     size_t bytes,
                                     struct kcc_pack **out,
                                     struct kcc_error **error);

// Closes a pack; NULL is fine.
void kcc_pack_close(struct kcc_pack *pack);

// Number of kernels; 0 for NULL.
size_t kcc_pack_kernels(const struct kcc_pack *pack);

// The manifest as JSON text, as docs/pack-format.md states it; NULL for NULL. Valid while the pack is open.
const char *kcc_pack_manifest(const struct kcc_pack *pack);

// Compares the pack's files of code with their checksums. (Loading a kernel compares those that it loads.)
enum kcc_status kcc_pack_verify(const struct kcc_pack *pack,
                                struct kcc_error **error);

// Kernel number `kernel`, from 0.
enum kcc_status kcc_pack_kernel(const struct kcc_pack *pack,
                                size_t kernel,
                                struct kcc_kernel_info *out,
                                struct kcc_error **error);

// Parameter number `param` of kernel number `kernel`, both from 0.
enum kcc_status kcc_pack_param(const struct kcc_pack *pack,
                               size_t kernel,
                               size_t param,
                               struct kcc_param *out,
                               struct kcc_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KCC_H */
