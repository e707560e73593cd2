// Stands in for a library of CANN's compiler in tests: y[i] = x[i] + by, on what the slots say.
#include <stdint.h>

uint32_t fake_blocks;
int64_t fake_grid[3];

void kcc_plus_launch_slots(uint32_t blocks, void* stream, const int64_t* slots)
{
    const char* x = (const char*)slots[0];
    char* y = (char*)slots[3];
    union { int64_t bits; float value; } by = { slots[6] };
    for (int64_t i = 0; i < slots[4]; i++) {
        *(float*)(y + 4 * i * slots[5]) = *(const float*)(x + 4 * i * slots[2]) + by.value;
    }
    fake_blocks = blocks;
    for (int i = 0; i < 3; i++) {
        fake_grid[i] = slots[7 + i];
    }
    // The workspace: every block has its own bytes.
    char* workspace = (char*)slots[10];
    for (uint32_t i = 0; i < blocks * 64; i++) {
        workspace[i] = 0;
    }
}
