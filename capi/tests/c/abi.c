/* Uses every function of kcc.h, makes every mistake that a caller can make, and launches from several threads at once. */
#include <kcc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                                           \
    do {                                                                                                                           \
        if (!(condition)) {                                                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                                \
            exit(1);                                                                                                               \
        }                                                                                                                          \
    } while (0)

static kcc_error *error;

/* The call must give this code and, in its text, these words; OK gives no object. */
static void expect(int line, kcc_status got, kcc_status wanted, const char *words) {
    const char *text = kcc_error_message(error);
    if (got != wanted || kcc_error_status(error) != got || (error == NULL) != (got == KCC_OK) || !strstr(text, words)) {
        fprintf(stderr, "line %d: code %d for %d, text \"%s\" for \"%s\"\n", line, (int)got, (int)wanted, text, words);
        exit(1);
    }
    kcc_error_free(error);
    error = NULL;
}
#define OK(call) expect(__LINE__, call, KCC_OK, "")
#define FAILS(call, code, words) expect(__LINE__, call, code, words)

/* DLPack, as its header states it. */
typedef struct { int32_t device_type, device_id; } DLDevice;
typedef struct { uint8_t code, bits; uint16_t lanes; } DLDataType;
typedef struct {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} DLTensor;

static kcc_arg number(float value) {
    kcc_arg arg = {.kind = KCC_ARG_SCALAR, .value.scalar = {.dtype = KCC_F32}};
    memcpy(&arg.value.scalar.bits, &value, sizeof value);
    return arg;
}

static kcc_arg tensor(void *data, int32_t dtype, int32_t rank, const int64_t *dims, const int64_t *strides) {
    kcc_tensor t = {.data = data, .dtype = dtype, .rank = rank, .dims = dims, .strides = strides};
    return (kcc_arg){.kind = KCC_ARG_TENSOR, .value.tensor = t};
}

static kcc_arg dlpack(const DLTensor *t) {
    return (kcc_arg){.kind = KCC_ARG_DLPACK, .value.dlpack = t};
}

static void packs(const char *path) {
    kcc_pack *pack = (kcc_pack *)1;
    FAILS(kcc_pack_open(NULL, &pack, &error), KCC_NULL, "`path` is NULL");
    CHECK(pack == NULL);
    FAILS(kcc_pack_open(path, NULL, &error), KCC_NULL, "`out` is NULL");
    FAILS(kcc_pack_open("/nowhere/x.kpack", &pack, &error), KCC_FILE, "/nowhere/x.kpack");
    CHECK(kcc_pack_open("/nowhere/x.kpack", &pack, NULL) == KCC_FILE);
    FAILS(kcc_pack_open_memory(NULL, 3, &pack, &error), KCC_NULL, "`data`");
    FAILS(kcc_pack_open_memory("no pack", 7, &pack, &error), KCC_CORRUPT, "no pack");
    FAILS(kcc_pack_open_memory("", SIZE_MAX, &pack, &error), KCC_INVALID, "address space");

    /* Every truncation is refused; the whole file is a pack. */
    FILE *file = fopen(path, "rb");
    CHECK(file && fseek(file, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(size);
    CHECK(bytes && fread(bytes, 1, size, file) == size && fclose(file) == 0);
    for (size_t n = 0; n < size; n += 1 + size / 61) {
        char *cut = malloc(n ? n : 1); /* of exactly that size: the sanitizer sees a read past it */
        CHECK(cut);
        memcpy(cut, bytes, n);
        FAILS(kcc_pack_open_memory(cut, n, &pack, &error), KCC_CORRUPT, "memory: ");
        CHECK(pack == NULL);
        free(cut);
    }
    OK(kcc_pack_open_memory(bytes, size, &pack, &error));
    /* A changed byte of code. */
    OK(kcc_pack_verify(pack, &error));
    kcc_pack_close(pack);
    char *code = NULL;
    for (size_t i = 0; i + 4 < size && !code; i++)
        if (memcmp(bytes + i, "\177ELF", 4) == 0) code = bytes + i;
    CHECK(code);
    code[100] ^= 1;
    OK(kcc_pack_open_memory(bytes, size, &pack, &error));
    FAILS(kcc_pack_verify(pack, &error), KCC_CORRUPT, "does not have its checksum");
    kcc_device *device;
    kcc_kernel *kernel = NULL;
    OK(kcc_device_open("cpu", &device, &error));
    FAILS(kcc_kernel_load(pack, device, "axpby", &kernel, &error), KCC_CORRUPT, "does not have its checksum");
    CHECK(kernel == NULL);
    kcc_device_close(device);
    kcc_pack_close(pack);
    free(bytes);

    OK(kcc_pack_open(path, &pack, &error));
    CHECK(kcc_pack_kernels(pack) == 3 && kcc_pack_kernels(NULL) == 0);
    kcc_kernel_info info;
    OK(kcc_pack_kernel(pack, 0, &info, &error));
    CHECK(!strcmp(info.name, "axpby") && !strcmp(info.op, "axpby") && info.op_version == 1);
    CHECK(info.params == 4 && info.variants == 3);
    FAILS(kcc_pack_kernel(pack, 3, &info, &error), KCC_INVALID, "there is no kernel 3: there are 3");
    FAILS(kcc_pack_kernel(NULL, 0, &info, &error), KCC_NULL, "`pack`");
    FAILS(kcc_pack_kernel(pack, 0, NULL, &error), KCC_NULL, "`out`");
    kcc_param param;
    OK(kcc_pack_param(pack, 0, 0, &param, &error));
    CHECK(!strcmp(param.name, "a") && param.kind == KCC_SCALAR && param.rank == 0);
    OK(kcc_pack_param(pack, 0, 3, &param, &error));
    CHECK(!strcmp(param.name, "y") && param.kind == KCC_OUTPUT && param.rank == 2);
    FAILS(kcc_pack_param(pack, 0, 4, &param, &error), KCC_INVALID, "no parameter 4");
    FAILS(kcc_pack_param(pack, 9, 0, &param, &error), KCC_INVALID, "no kernel 9");
    FAILS(kcc_pack_param(pack, 0, 0, NULL, &error), KCC_NULL, "`out`");
    CHECK(strstr(kcc_pack_manifest(pack), "\"kcc-pack\"") && kcc_pack_manifest(NULL) == NULL);
    kcc_pack_close(pack);
    kcc_pack_close(NULL);
    FAILS(kcc_pack_verify(NULL, &error), KCC_NULL, "`pack`");
}

static void devices(const char *path) {
    kcc_device *device = (kcc_device *)1;
    FAILS(kcc_device_open("toaster", &device, &error), KCC_DEVICE, "`toaster`");
    CHECK(device == NULL);
    FAILS(kcc_device_open(NULL, &device, &error), KCC_NULL, "`name`");
    FAILS(kcc_device_open("cpu\xff", &device, &error), KCC_INVALID, "UTF-8");
    FAILS(kcc_device_open("cpu", NULL, &error), KCC_NULL, "`out`");
    OK(kcc_device_open("cpu:2", &device, &error));
    CHECK(strstr(kcc_device_description(device), "2 threads") && !kcc_device_description(NULL));
    OK(kcc_device_synchronize(device, NULL, &error));
    FAILS(kcc_device_synchronize(device, &device, &error), KCC_INVALID, "no streams");
    FAILS(kcc_device_synchronize(NULL, NULL, &error), KCC_NULL, "`device`");
    kcc_pack *pack;
    kcc_kernel *kernel = (kcc_kernel *)1;
    OK(kcc_pack_open(path, &pack, &error));
    FAILS(kcc_kernel_load(pack, device, "none", &kernel, &error), KCC_LOAD, "there are axpby, checked, worked");
    CHECK(kernel == NULL);
    FAILS(kcc_kernel_load(NULL, device, "axpby", &kernel, &error), KCC_NULL, "`pack`");
    FAILS(kcc_kernel_load(pack, NULL, "axpby", &kernel, &error), KCC_NULL, "`device`");
    FAILS(kcc_kernel_load(pack, device, NULL, &kernel, &error), KCC_NULL, "`name`");
    FAILS(kcc_kernel_load(pack, device, "axpby", NULL, &error), KCC_NULL, "`out`");
    kcc_device_close(device);
    OK(kcc_device_open("eager", &device, &error));
    FAILS(kcc_kernel_load(pack, device, "axpby", &kernel, &error), KCC_LOAD, "the device is eager");
    kcc_device_close(device);
    kcc_device_close(NULL);
    kcc_pack_close(pack);
}

static kcc_kernel *load(const char *path, const char *name) {
    kcc_pack *pack;
    kcc_device *device;
    kcc_kernel *kernel;
    OK(kcc_pack_open(path, &pack, &error));
    OK(kcc_device_open("cpu:2", &device, &error));
    OK(kcc_kernel_load(pack, device, name, &kernel, &error));
    kcc_pack_close(pack); /* the kernel needs neither */
    kcc_device_close(device);
    return kernel;
}

static void launches(const char *path) {
    kcc_kernel *axpby = load(path, "axpby");
    float x[6] = {1, 2, 3, 4, 5, 6}, y[6] = {0};
    int64_t dims[2] = {2, 3}, across[2] = {1, 2}, both[2] = {0, 1}, negative[2] = {-1, 3}, seven[7] = {1, 1, 1, 1, 1, 1, 1};
    kcc_arg good[4] = {number(2), number(1), tensor(x, KCC_F32, 2, dims, NULL), tensor(y, KCC_F32, 2, dims, NULL)};
    kcc_arg args[4];
    kcc_prepared *prepared = (kcc_prepared *)1;
    OK(kcc_kernel_launch(axpby, good, 4, NULL, NULL, 0, &error));
    for (int i = 0; i < 6; i++) CHECK(y[i] == 2 * x[i]);

    /* Prepared: one variant, on any arguments that it is right for. */
    OK(kcc_prepare(axpby, good, 4, &prepared, &error));
    CHECK(kcc_prepared_variant(prepared) == 0 && kcc_prepared_workspace(prepared) == 0);
    CHECK(kcc_prepared_variant(NULL) == SIZE_MAX && kcc_prepared_workspace(NULL) == 0);
    OK(kcc_launch(prepared, good, 4, NULL, NULL, 0, &error));
    for (int i = 0; i < 6; i++) CHECK(y[i] == 4 * x[i]);
    int64_t one[2] = {3, 1};
    memcpy(args, good, sizeof args);
    args[2] = tensor(x, KCC_F32, 2, one, NULL);
    args[3] = tensor(y, KCC_F32, 2, one, NULL);
    OK(kcc_launch(prepared, args, 4, NULL, NULL, 0, &error));
    CHECK(y[0] == 6 && y[1] == 12 && y[2] == 18 && y[3] == 16);
    float long_x[9] = {1}, long_y[9] = {0};
    int64_t nine[2] = {1, 9};
    args[2] = tensor(long_x, KCC_F32, 2, nine, NULL);
    args[3] = tensor(long_y, KCC_F32, 2, nine, NULL);
    FAILS(kcc_launch(prepared, args, 4, NULL, NULL, 0, &error), KCC_LOAD, "does not take (f32, f32, f32 [1, 9]");
    CHECK(long_y[0] == 0);
    OK(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error));
    CHECK(long_y[0] == 2);

    /* Strides, and a variant for them. */
    memset(y, 0, sizeof y);
    memcpy(args, good, sizeof args);
    args[2] = tensor(x, KCC_F32, 2, dims, across);
    FAILS(kcc_launch(prepared, args, 4, NULL, NULL, 0, &error), KCC_LOAD, "strides [1, 2]");
    OK(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error));
    CHECK(y[0] == 2 && y[1] == 6 && y[2] == 10 && y[3] == 4);

    /* Another element type, another variant. */
    int64_t ix[2] = {7, -7}, iy[2] = {1, 1}, row[2] = {1, 2};
    kcc_arg three = {.kind = KCC_ARG_SCALAR, .value.scalar = {.bits = 3, .dtype = KCC_I64}};
    kcc_arg ints[4] = {three, three, tensor(ix, KCC_I64, 2, row, NULL), tensor(iy, KCC_I64, 2, row, NULL)};
    OK(kcc_kernel_launch(axpby, ints, 4, NULL, NULL, 0, &error));
    CHECK(iy[0] == 24 && iy[1] == -18);

    /* Nothing to do. */
    int64_t none[2] = {0, 3};
    args[2] = tensor(NULL, KCC_F32, 2, none, NULL);
    args[3] = tensor(NULL, KCC_F32, 2, none, NULL);
    OK(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error));

    /* DLPack. */
    float dx[4] = {9, 1, 2, 3}, dy[3] = {0};
    int64_t shape[2] = {1, 3};
    DLTensor from = {dx, {1, 0}, 2, {2, 32, 1}, shape, NULL, sizeof(float)}, to = {dy, {1, 0}, 2, {2, 32, 1}, shape, NULL, 0};
    args[2] = dlpack(&from);
    args[3] = dlpack(&to);
    OK(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error));
    CHECK(dy[0] == 2 && dy[1] == 4 && dy[2] == 6);
    from.device.device_type = 2;
    FAILS(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error), KCC_ARGUMENT, "argument `x`: the tensor lies on DLPack device 2:0");
    from.device.device_type = 1;
    from.dtype.lanes = 2;
    FAILS(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error), KCC_ARGUMENT, "2 lanes");
    from.dtype = (DLDataType){2, 64, 1};
    FAILS(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error), KCC_ARGUMENT, "code 2, 64 bits");
    from.dtype = (DLDataType){2, 32, 1};
    from.ndim = 7;
    FAILS(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error), KCC_INVALID, "rank of 7");
    from.ndim = 2;
    from.shape = NULL;
    FAILS(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error), KCC_NULL, "`shape`");
    args[2] = dlpack(NULL);
    FAILS(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error), KCC_NULL, "`dlpack`");

    /* Mistakes, each with its code and its place. */
    struct {
        int at;
        kcc_arg arg;
        kcc_status status;
        const char *words;
    } wrong[] = {
        {2, tensor(NULL, KCC_F32, 2, dims, NULL), KCC_ARGUMENT, "argument `x`: the pointer is null"},
        {2, tensor((char *)x + 1, KCC_F32, 2, dims, NULL), KCC_ARGUMENT, "is not aligned for f32"},
        {2, tensor(x, 12, 2, dims, NULL), KCC_INVALID, "argument `x`: 12 is no element type"},
        {2, tensor(x, -1, 2, dims, NULL), KCC_INVALID, "-1 is no element type"},
        {2, tensor(x, KCC_I32, 2, dims, NULL), KCC_LOAD, "no variant takes (f32, f32, i32"},
        {2, tensor(x, KCC_F32, 1, dims, NULL), KCC_LOAD, "no variant takes"},
        {2, tensor(x, KCC_F32, -1, dims, NULL), KCC_INVALID, "a rank of -1"},
        {2, tensor(x, KCC_F32, 7, seven, NULL), KCC_INVALID, "a rank of 7"},
        {2, tensor(x, KCC_F32, 2, NULL, NULL), KCC_NULL, "`dims`"},
        {2, tensor(x, KCC_F32, 2, negative, NULL), KCC_ARGUMENT, "negative"},
        {3, tensor(y, KCC_F32, 2, dims, both), KCC_ARGUMENT, "name an element twice"},
        {3, tensor(x, KCC_F32, 2, dims, NULL), KCC_ARGUMENT, "shares memory with argument `x`"},
        {2, number(1), KCC_LOAD, "no variant takes (f32, f32, f32, f32"},
        {0, tensor(x, KCC_F32, 2, dims, NULL), KCC_LOAD, "no variant takes"},
        {0, {.kind = KCC_ARG_SCALAR, .value.scalar = {.dtype = 99}}, KCC_INVALID, "argument `a`: 99 is no element type"},
        {0, {.kind = 7}, KCC_INVALID, "7 is no kind"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memcpy(args, good, sizeof args);
        args[wrong[i].at] = wrong[i].arg;
        FAILS(kcc_kernel_launch(axpby, args, 4, NULL, NULL, 0, &error), wrong[i].status, wrong[i].words);
        kcc_prepared *none_made = (kcc_prepared *)1;
        /* What only a launch sees: memory that is shared. */
        if (wrong[i].arg.value.tensor.data != x || wrong[i].at != 3) {
            CHECK(kcc_prepare(axpby, args, 4, &none_made, NULL) == wrong[i].status && none_made == NULL);
        }
    }
    FAILS(kcc_kernel_launch(axpby, good, 3, NULL, NULL, 0, &error), KCC_ARGUMENT, "takes 4 arguments, 3 were given");
    FAILS(kcc_kernel_launch(axpby, NULL, 4, NULL, NULL, 0, &error), KCC_NULL, "`args`");
    FAILS(kcc_kernel_launch(axpby, good, 4, x, NULL, 0, &error), KCC_INVALID, "no streams");
    FAILS(kcc_kernel_launch(NULL, good, 4, NULL, NULL, 0, &error), KCC_NULL, "`kernel`");
    FAILS(kcc_launch(NULL, good, 4, NULL, NULL, 0, &error), KCC_NULL, "`prepared`");
    kcc_prepared_free(prepared);
    FAILS(kcc_prepare(NULL, good, 4, &prepared, &error), KCC_NULL, "`kernel`");
    FAILS(kcc_prepare(axpby, good, 4, NULL, &error), KCC_NULL, "`out`");
    kcc_kernel_close(axpby);
    kcc_kernel_close(NULL);
    kcc_prepared_free(NULL);
}

static void asserts_and_workspaces(const char *path) {
    float x[2] = {1, -1}, y[2] = {0};
    int64_t dims[2] = {2, 1};
    kcc_arg args[2] = {tensor(x, KCC_F32, 2, dims, NULL), tensor(y, KCC_F32, 2, dims, NULL)};
    kcc_kernel *checked = load(path, "checked"), *worked = load(path, "worked");
    FAILS(kcc_kernel_launch(checked, args, 2, NULL, NULL, 0, &error), KCC_STOPPED, "a row is not negative");
    kcc_prepared *prepared;
    OK(kcc_prepare(worked, args, 2, &prepared, &error));
    kcc_kernel_close(worked); /* what is prepared keeps its kernel */
    CHECK(kcc_prepared_workspace(prepared) == 8);
    char workspace[8];
    FAILS(kcc_launch(prepared, args, 2, NULL, NULL, 8, &error), KCC_ARGUMENT, "needs 8 bytes of workspace, 0 were given");
    FAILS(kcc_launch(prepared, args, 2, NULL, workspace, 7, &error), KCC_ARGUMENT, "8 bytes of workspace, 7 were given");
    OK(kcc_launch(prepared, args, 2, NULL, workspace, 8, &error));
    CHECK(y[0] == 1 && y[1] == -1);
    kcc_kernel *again = load(path, "worked"); /* without a workspace: the device's own */
    OK(kcc_kernel_launch(again, args, 2, NULL, NULL, 0, &error));
    FAILS(kcc_kernel_launch(again, args, 2, NULL, workspace, 7, &error), KCC_ARGUMENT, "8 bytes of workspace, 7 were given");
    kcc_kernel_close(again);
    kcc_prepared_free(prepared);
    kcc_kernel_close(checked);
}

/* Threads share one prepared launch and one kernel; each has its own tensors, and makes mistakes now and then. */
static kcc_kernel *shared_kernel;
static kcc_prepared *shared_prepared;

static void *work(void *number_of_thread) {
    float x[64], y[64] = {0};
    float factor = (float)*(int *)number_of_thread;
    int64_t dims[2] = {8, 8};
    for (int i = 0; i < 64; i++) x[i] = (float)i;
    kcc_arg args[4] = {number(factor), number(0), tensor(x, KCC_F32, 2, dims, NULL), tensor(y, KCC_F32, 2, dims, NULL)};
    for (int round = 0; round < 200; round++) {
        kcc_error *mine = NULL;
        memset(y, 0xff, sizeof y);
        args[1] = number(0);
        for (int i = 0; i < 64; i++) y[i] = 1;
        CHECK(kcc_launch(shared_prepared, args, 4, NULL, NULL, 0, &mine) == KCC_OK && !mine);
        for (int i = 0; i < 64; i++) CHECK(y[i] == factor * (float)i);
        kcc_arg bad = args[2];
        bad.value.tensor.dtype = 40 + *(int *)number_of_thread;
        kcc_arg wrong[4] = {args[0], args[1], bad, args[3]};
        char words[32];
        snprintf(words, sizeof words, "%d is no element type", bad.value.tensor.dtype);
        CHECK(kcc_kernel_launch(shared_kernel, wrong, 4, NULL, NULL, 0, &mine) == KCC_INVALID);
        CHECK(strstr(kcc_error_message(mine), words));
        kcc_error_free(mine);
    }
    return NULL;
}

static void threads(const char *path) {
    float x[64] = {0}, y[64] = {0};
    int64_t dims[2] = {8, 8};
    kcc_arg args[4] = {number(1), number(0), tensor(x, KCC_F32, 2, dims, NULL), tensor(y, KCC_F32, 2, dims, NULL)};
    shared_kernel = load(path, "axpby");
    OK(kcc_prepare(shared_kernel, args, 4, &shared_prepared, &error));
    pthread_t ids[4];
    int numbers[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&ids[i], NULL, work, &numbers[i]) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(ids[i], NULL) == 0);
    kcc_prepared_free(shared_prepared);
    kcc_kernel_close(shared_kernel);
}

int main(int argc, char **argv) {
    CHECK(argc == 2 && kcc_abi_version() == KCC_ABI_VERSION && kcc_version()[0]);
    CHECK(kcc_error_status(NULL) == KCC_OK && !*kcc_error_message(NULL));
    kcc_error_free(NULL);
    packs(argv[1]);
    devices(argv[1]);
    launches(argv[1]);
    asserts_and_workspaces(argv[1]);
    threads(argv[1]);
    puts("ok");
    return 0;
}
