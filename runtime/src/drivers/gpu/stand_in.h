/* What stand-ins for vendors' libraries share: calls are remembered, and fail when asked to (with error 719). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char names[65536];
static char broken[64];
static int capturing;
/* Of the last launch: blocks, threads, shared memory, stream, blocks of a cluster; its arguments. */
uint64_t fake_launch[9];
unsigned char fake_arguments[512];
size_t fake_size;
/* The stream of the last copy. */
uint64_t fake_copy_stream;

void fake_fail(const char *name) { snprintf(broken, sizeof broken, "%s", name); }
const char *fake_calls(void) { return names; }
void fake_forget(void) { names[0] = 0; }

static int said(const char *name) {
  size_t used = strlen(names);
  if (used + strlen(name) + 2 < sizeof names) {
    strcat(names, name);
    strcat(names, " ");
  }
  return strcmp(name, broken) == 0 ? 719 : 0;
}

/* The kernel of the tests: adds one to each element of its first argument, a view. */
__attribute__((unused)) static void plus_one(uint64_t address, uint64_t length) {
  if (!capturing)
    for (uint64_t i = 0; i < length; i++) ((float *)(uintptr_t)address)[i] += 1.0f;
}
