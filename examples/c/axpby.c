/* Loads a kernel from a pack, chooses its variant once, launches it twice.
 *
 *   cc axpby.c -I capi/include -L target/release -lkcc_runtime -o axpby && ./axpby PACK
 *
 * The pack has a kernel `axpby(a, b, x, y)`: y = a x + b y, for numbers and matrices of f32. */
#include <kcc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Says what went wrong, and ends. Takes the error's address: C may read the second argument before it makes the call in the first. */
static void check(kcc_status status, kcc_error **error) {
    if (status == KCC_OK) return;
    fprintf(stderr, "kcc: %s (code %d)\n", kcc_error_message(*error), (int)status);
    kcc_error_free(*error);
    exit(1);
}

static kcc_arg number(float value) {
    kcc_arg arg = {.kind = KCC_ARG_SCALAR, .value.scalar = {.dtype = KCC_F32}};
    memcpy(&arg.value.scalar.bits, &value, sizeof value);
    return arg;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: axpby PACK\n");
        return 2;
    }
    kcc_error *error = NULL;
    kcc_pack *pack;
    kcc_device *device;
    kcc_kernel *axpby;
    check(kcc_pack_open(argv[1], &pack, &error), &error);
    check(kcc_device_open("cpu", &device, &error), &error);
    check(kcc_kernel_load(pack, device, "axpby", &axpby, &error), &error);
    printf("%s\n", kcc_device_description(device));
    kcc_pack_close(pack);

    float x[2][3] = {{1, 2, 3}, {4, 5, 6}}, y[2][3] = {{0}};
    int64_t dims[2] = {2, 3};
    kcc_tensor tx = {.data = x, .dtype = KCC_F32, .rank = 2, .dims = dims};
    kcc_tensor ty = {.data = y, .dtype = KCC_F32, .rank = 2, .dims = dims};
    kcc_arg args[4] = {number(2), number(0.75f),
                       {.kind = KCC_ARG_TENSOR, .value.tensor = tx},
                       {.kind = KCC_ARG_TENSOR, .value.tensor = ty}};
    kcc_prepared *prepared;
    check(kcc_prepare(axpby, args, 4, &prepared, &error), &error);
    for (int i = 0; i < 2; i++) check(kcc_launch(prepared, args, 4, NULL, NULL, 0, &error), &error);
    printf("y[1][2] = %g\n", y[1][2]);

    kcc_prepared_free(prepared);
    kcc_kernel_close(axpby);
    kcc_device_close(device);
    return 0;
}
