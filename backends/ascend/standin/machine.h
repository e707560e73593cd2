// Cores as coroutines, pipes as queues.
//
//   the scalar unit runs the kernel's text; work for a pipe waits in its queue until something forces it:
//   WaitFlag<A_B>    in B's queue: runs A until the event is raised
//   PipeBarrier<ALL> runs all queues
//   SetValue         is written when an event of the scalar unit's is set, an element is read, or behind all other queues' work
//   CrossCoreWaitFlag  runs the core's queues, then the other cores, until the flag is raised
#pragma once

#include "acl/acl.h"
#include "types.h"
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <ucontext.h>
#include <vector>

namespace standin {

[[noreturn]] inline void Fail(const char* what)
{
    std::fprintf(stderr, "stand-in: %s\n", what);
    std::exit(3);
}

enum Memory { UB, L1, L0A, L0B, L0C, MEMORIES };
// Bytes of arch 2201 that are a kernel's: 8 KB of the unified and 256 bytes of the first-level buffer are the system's.
constexpr size_t CAPACITY[MEMORIES] = {184 * 1024, 512 * 1024 - 256, 64 * 1024, 64 * 1024, 128 * 1024};
constexpr int PIPES = 7;
enum Atomic { PLAIN, ADD, MAX, MIN };
enum class Cores { cube, vector, mix };

using Event = std::tuple<int, int, int>;

struct Work {
    enum Kind { DO, SET, WAIT } kind;
    std::function<void()> run;
    Event event;
};

struct Core {
    bool cube = false;
    int block = 0, sub = 0;
    std::vector<uint8_t> memory[MEMORIES];
    std::deque<Work> queue[PIPES];
    // Elements that the scalar unit has written and that no other pipe needs to see yet.
    std::vector<std::function<void()>> elements;
    bool busy[PIPES] = {};
    std::map<Event, int> raised;
    int flags[16] = {};
    Atomic atomic = PLAIN;
    bool done = false;
    ucontext_t context;
    std::vector<char> stack;
};

struct Machine {
    std::vector<std::unique_ptr<Core>> cores;
    Cores kind = Cores::vector;
    int blocks = 0;
    bool early = false;
    std::function<void()> kernel;
    ucontext_t home;
    // Grows with each piece of work: no growth in a round is a deadlock.
    uint64_t progress = 0;
    // Flags raised by some of those that must raise them together: mode, group, flag, then times for each core.
    std::map<std::tuple<int, int, int>, std::map<Core*, int>> pending;
};

inline Machine machine;
inline Core* now = nullptr;

// Does the first piece of work of a pipe; false if there is none.
inline bool Step(int pipe)
{
    if (now->queue[pipe].empty()) {
        return false;
    }
    if (now->busy[pipe]) {
        Fail("pipes wait for each other");
    }
    Work& first = now->queue[pipe].front();
    if (first.kind == Work::WAIT) {
        now->busy[pipe] = true;
        while (now->raised[first.event] == 0) {
            if (!Step(std::get<0>(first.event))) {
                Fail("an event is waited for that nothing raises");
            }
        }
        now->busy[pipe] = false;
        now->raised[first.event]--;
    } else if (first.kind == Work::SET) {
        now->busy[pipe] = true;
        while (now->raised[first.event] != 0) {
            if (!Step(std::get<1>(first.event))) {
                Fail("an event is raised again before it was waited for");
            }
        }
        now->busy[pipe] = false;
        now->raised[first.event]++;
    } else {
        first.run();
    }
    now->queue[pipe].pop_front();
    machine.progress++;
    return true;
}

// Whether a pipe's first piece of work can be done without any other's.
inline bool Ready(int pipe)
{
    if (now->queue[pipe].empty()) {
        return false;
    }
    const Work& first = now->queue[pipe].front();
    return first.kind == Work::DO || (now->raised[first.event] != 0) == (first.kind == Work::WAIT);
}

inline void StepReady()
{
    for (bool any = true; any;) {
        any = false;
        for (int p = 1; p < PIPES; p++) {
            while (Ready(p)) {
                any = Step(p);
            }
        }
    }
}

inline void WriteElements()
{
    for (auto& write : now->elements) {
        write();
    }
    now->elements.clear();
}

inline void Issue(int pipe, Work work)
{
    if (pipe == PIPE_S) {
        if (work.kind == Work::SET) {
            WriteElements();
        }
        // The scalar unit does one thing after another, and waits itself.
        now->queue[PIPE_S].push_back(std::move(work));
        Step(PIPE_S);
    } else {
        now->queue[pipe].push_back(std::move(work));
        if (machine.early) {
            StepReady();
        }
    }
}

inline void Do(int pipe, std::function<void()> run)
{
    Issue(pipe, Work{Work::DO, std::move(run), {}});
}

inline void Drain()
{
    for (int p = 1; p < PIPES; p++) {
        while (Step(p)) {
        }
    }
    WriteElements();
}

inline void Enter()
{
    machine.kernel();
    for (int p = 0; p < PIPES; p++) {
        if (!now->queue[p].empty()) {
            Fail("the kernel ends while a pipe still works");
        }
    }
    for (const auto& event : now->raised) {
        if (event.second != 0) {
            Fail("an event is still raised when the kernel ends");
        }
    }
    now->done = true;
    machine.progress++;
}

inline void Add(bool cube, int block, int sub)
{
    auto core = std::make_unique<Core>();
    core->cube = cube;
    core->block = block;
    core->sub = sub;
    for (int m = 0; m < MEMORIES; m++) {
        core->memory[m].assign((m != UB) == cube ? CAPACITY[m] : 0, 0xe5);
    }
    core->stack.resize(256 * 1024);
    machine.cores.push_back(std::move(core));
}

template <typename F>
void Launch(Cores kind, uint32_t blocks, F kernel)
{
    const char* order = std::getenv("KCC_STANDIN");
    machine.early = order != nullptr && std::strcmp(order, "early") == 0;
    machine.cores.clear();
    machine.pending.clear();
    machine.kind = kind;
    machine.blocks = int(blocks);
    machine.kernel = kernel;
    for (int b = 0; b < int(blocks); b++) {
        if (kind != Cores::vector) {
            Add(true, b, 0);
        }
        for (int s = 0; s < (kind == Cores::mix ? 2 : kind == Cores::vector ? 1 : 0); s++) {
            Add(false, b, s);
        }
    }
    for (auto& core : machine.cores) {
        getcontext(&core->context);
        core->context.uc_stack.ss_sp = core->stack.data();
        core->context.uc_stack.ss_size = core->stack.size();
        core->context.uc_link = &machine.home;
        makecontext(&core->context, Enter, 0);
    }
    for (bool left = true; left;) {
        left = false;
        const uint64_t before = machine.progress;
        const size_t n = machine.cores.size();
        for (size_t i = 0; i < n; i++) {
            now = machine.cores[machine.early ? i : n - 1 - i].get();
            if (!now->done) {
                swapcontext(&machine.home, &now->context);
                left |= !now->done;
            }
        }
        if (left && machine.progress == before) {
            Fail("no core can go on: each waits for a flag");
        }
    }
    for (auto& core : machine.cores) {
        for (int flag : core->flags) {
            if (flag != 0) {
                Fail("a flag is still raised when the kernel ends");
            }
        }
    }
    for (const auto& p : machine.pending) {
        for (const auto& c : p.second) {
            if (c.second != 0) {
                Fail("a flag is raised by some of the cores that must raise it together, not by all");
            }
        }
    }
    now = nullptr;
}

} // namespace standin

#define KCC_LAUNCH(cores, kernel, blocks, stream, ...) \
    (void)(stream);                                    \
    standin::Launch(standin::Cores::cores, (blocks), [=] { kernel(__VA_ARGS__); })
#define ASCEND_IS_AIC (standin::now->cube)
#define ASCEND_IS_AIV (!standin::now->cube)

namespace AscendC {

inline int64_t GetBlockNum() { return standin::machine.blocks; }

inline int64_t GetSubBlockNum() { return standin::machine.kind == standin::Cores::mix && !standin::now->cube ? 2 : 1; }

inline int64_t GetBlockIdx() { return standin::now->block * GetSubBlockNum() + standin::now->sub; }

inline void InitSocState() { standin::now->atomic = standin::PLAIN; }

} // namespace AscendC
