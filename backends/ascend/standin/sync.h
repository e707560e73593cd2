// Events, barriers, flags between cores.
#pragma once

#include "machine.h"

namespace AscendC {

// An event's two pipes; each pair that the documentation names.
enum class HardEvent {
#define KCC_EVENTS(X)                                                                                             \
    X(MTE2, MTE1) X(MTE1, MTE2) X(MTE1, M) X(M, MTE1) X(MTE2, V) X(V, MTE2) X(MTE3, V) X(V, MTE3) X(M, V) X(V, M) \
    X(MTE3, MTE1) X(MTE1, MTE3) X(MTE1, V) X(MTE2, M) X(M, MTE2) X(V, MTE1) X(M, FIX) X(FIX, M) X(MTE3, MTE2)     \
    X(MTE2, MTE3) X(S, V) X(V, S) X(S, MTE2) X(MTE2, S) X(S, MTE3) X(MTE3, S) X(MTE2, FIX) X(FIX, MTE2) X(FIX, S) \
    X(M, S) X(FIX, MTE3) X(MTE1, FIX) X(FIX, MTE1) X(FIX, FIX) X(MTE1, S) X(S, MTE1) X(S, M) X(S, FIX)
#define KCC_NAME(a, b) a##_##b,
    KCC_EVENTS(KCC_NAME)
#undef KCC_NAME
};

} // namespace AscendC

namespace standin {

struct Ends {
    pipe_t from, to;
};

inline constexpr Ends ENDS[] = {
#define KCC_ENDS(a, b) {PIPE_##a, PIPE_##b},
    KCC_EVENTS(KCC_ENDS)
#undef KCC_ENDS
};
#undef KCC_EVENTS

inline Event Key(AscendC::HardEvent event, int id)
{
    // Of eight, the last two are the system's.
    if (id < 0 || id > 5) {
        Fail("an event's number is not 0 to 5");
    }
    const Ends ends = ENDS[int(event)];
    return {ends.from, ends.to, id};
}

inline void Raise(Core* core, int flag)
{
    if (++core->flags[flag] > 15) {
        Fail("a flag is raised more than 15 times before it is waited for");
    }
}

// A core has raised a flag: those that it is for see it once all that must raise it have.
inline void Together(int mode, int flag)
{
    auto in = [mode](Core* c, bool cube) { return c->cube == cube && (mode == 0 || c->block == now->block); };
    const bool across = mode == 2;
    auto& times = machine.pending[{mode * 2 + now->cube, mode == 0 ? 0 : now->block, flag}];
    times[now]++;
    for (auto& c : machine.cores) {
        if (in(c.get(), now->cube) && times[c.get()] == 0) {
            return;
        }
    }
    for (auto& c : machine.cores) {
        if (in(c.get(), now->cube)) {
            times[c.get()]--;
        }
        if (in(c.get(), across ? !now->cube : now->cube)) {
            Raise(c.get(), flag);
        }
    }
}

} // namespace standin

namespace AscendC {

template <HardEvent event>
void SetFlag(int32_t id)
{
    const standin::Event key = standin::Key(event, id);
    standin::Issue(std::get<0>(key), {standin::Work::SET, {}, key});
}

template <HardEvent event>
void WaitFlag(int32_t id)
{
    const standin::Event key = standin::Key(event, id);
    standin::Issue(std::get<1>(key), {standin::Work::WAIT, {}, key});
}

template <pipe_t pipe>
void PipeBarrier()
{
    if (pipe == PIPE_ALL) {
        standin::Drain();
    }
}

template <uint8_t mode, pipe_t pipe>
void CrossCoreSetFlag(uint16_t flag)
{
    static_assert(mode <= 2 && pipe != PIPE_S && pipe != PIPE_ALL, "no such flag on this architecture");
    if (flag > 10) {
        standin::Fail("a flag's number is not 0 to 10");
    }
    standin::Do(pipe, [flag] { standin::Together(mode, flag); });
}

inline void CrossCoreWaitFlag(uint16_t flag)
{
    standin::Core* core = standin::now;
    while (core->flags[flag] == 0) {
        bool any = false;
        for (int p = 1; p < standin::PIPES && !any; p++) {
            any = standin::Ready(p) && standin::Step(p);
        }
        if (!any && core->flags[flag] == 0) {
            swapcontext(&core->context, &standin::machine.home);
            standin::now = core;
        }
    }
    core->flags[flag]--;
    standin::machine.progress++;
}

} // namespace AscendC
