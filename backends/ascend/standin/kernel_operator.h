// A stand-in for the interface of AscendC on an ordinary computer: the subset that kcc writes, from its public documentation. It runs
// a kernel's text with one coroutine for each core, and each pipe's work as late as events, barriers and flags allow (or, under
// KCC_STANDIN=early, as early), on byte buffers. It is for tests; nothing of the vendor's is in it.
#pragma once

#include "types.h"
#include "machine.h"
#include "tensor.h"
#include "copies.h"
#include "cube.h"
#include "convert.h"
#include "vector.h"
#include "reduce.h"
#include "sync.h"
