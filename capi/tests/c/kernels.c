/* Kernels as the compiler would emit them for a CPU: one function over a range of programs, a program for each row of x. */
#include <stdint.h>

/* A view of rank 2 takes five slots: address, dims, strides. */
typedef struct view { char *data; int64_t rows, columns, down, right; } view;

/* y = a x + b y */
#define AXPBY(T)                                                                                                                   \
    int64_t axpby_##T(const int64_t *args, const int64_t *grid, int64_t begin, int64_t end, void *scratch) {                       \
        const view *x = (const view *)(args + 2), *y = (const view *)(args + 7);                                                   \
        T a = *(const T *)&args[0], b = *(const T *)&args[1];                                                                      \
        (void)grid, (void)scratch;                                                                                                 \
        for (int64_t i = begin; i < end; i++)                                                                                      \
            for (int64_t j = 0; j < x->columns && j < y->columns && i < y->rows; j++) {                                            \
                T *to = (T *)y->data + i * y->down + j * y->right;                                                                 \
                *to = a * ((const T *)x->data)[i * x->down + j * x->right] + b * *to;                                              \
            }                                                                                                                      \
        return 0;                                                                                                                  \
    }
typedef float f32;
typedef int64_t i64;
AXPBY(f32)
AXPBY(i64)

/* Copies; `stop` asserts that no row starts with a negative number. */
static int64_t copy(const int64_t *args, int64_t begin, int64_t end, int stop) {
    const view *x = (const view *)args, *y = (const view *)(args + 5);
    for (int64_t i = begin; i < end; i++) {
        const f32 *from = (const f32 *)x->data + i * x->down;
        if (stop && x->columns > 0 && from[0] < 0) return 1;
        for (int64_t j = 0; j < x->columns && j < y->columns && i < y->rows; j++)
            ((f32 *)y->data)[i * y->down + j * y->right] = from[j * x->right];
    }
    return 0;
}

int64_t copy_f32(const int64_t *args, const int64_t *grid, int64_t begin, int64_t end, void *scratch) {
    (void)grid, (void)scratch;
    return copy(args, begin, end, 0);
}

int64_t checked_f32(const int64_t *args, const int64_t *grid, int64_t begin, int64_t end, void *scratch) {
    (void)grid, (void)scratch;
    return copy(args, begin, end, 1);
}
