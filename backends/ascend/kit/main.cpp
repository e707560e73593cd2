// Runs the kernels of this folder on their inputs and compares the results with the expected ones.
//
//   check [--exact] CASE...     CASE is a folder with a file `case.txt`; --exact also compares with the simulator's results bit for bit
//
// The case's file has a line for each thing: its kernel, its blocks, memory with its contents, the kernel's arguments as words of 64
// bits, and for each result a file of what it should be, with its type and tolerance.
#include "acl/acl.h"
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

typedef void (*Launcher)(uint32_t blocks, void* stream, const int64_t* slots);

struct Kernel {
    const char* name;
    Launcher launch;
};

// The list of kernels that were built.
#ifndef KERNELS
#define KERNELS "kernels.inc"
#endif

#define KERNEL(name) extern "C" void name##_launch_slots(uint32_t, void*, const int64_t*);
#include KERNELS
#undef KERNEL

static const Kernel ALL[] = {
#define KERNEL(name) {#name, name##_launch_slots},
#include KERNELS
#undef KERNEL
};

struct Memory {
    void* device = nullptr;
    std::vector<uint8_t> bytes;
    bool written = false;
};

struct Expected {
    size_t memory;
    std::string file, elem;
    double relative, absolute;
    bool exact;
};

[[noreturn]] static void Stop(const std::string& what)
{
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(2);
}

// The case that runs, for messages.
static std::string running;

static void Must(aclError code, const char* what)
{
    if (code != ACL_SUCCESS) {
        Stop(running + what + " failed with code " + std::to_string(code));
    }
}

// A kernel that hangs is to be seen: milliseconds that a case may take.
constexpr int32_t PATIENCE = 60000;

// Copies of nothing are errors.
static void Copy(void* to, const void* from, size_t bytes, aclrtMemcpyKind kind)
{
    if (bytes != 0) {
        Must(aclrtMemcpy(to, bytes, from, bytes, kind), "aclrtMemcpy");
    }
}

static std::vector<uint8_t> ReadFile(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        Stop("cannot read " + path);
    }
    return std::vector<uint8_t>(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

static float HalfToFloat(uint16_t h)
{
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    const double size = exponent == 31 ? (mantissa == 0 ? INFINITY : NAN)
        : exponent == 0                ? std::ldexp(mantissa, -24)
                                       : std::ldexp(1024 + mantissa, exponent - 25);
    return float((h & 0x8000) != 0 ? -size : size);
}

static size_t Width(const std::string& elem)
{
    return elem == "f32" || elem == "i32" || elem == "u32" ? 4 : elem == "f16" || elem == "bf16" || elem == "i16" ? 2 : elem == "i64" ? 8 : 1;
}

static double Number(const std::string& elem, const uint8_t* at)
{
    int64_t wide = 0;
    std::memcpy(&wide, at, Width(elem));
    if (elem == "f32") {
        float v;
        std::memcpy(&v, at, 4);
        return v;
    }
    if (elem == "bf16") {
        const uint32_t word = uint32_t(wide) << 16;
        float v;
        std::memcpy(&v, &word, 4);
        return v;
    }
    return elem == "f16" ? double(HalfToFloat(uint16_t(wide)))
        : elem == "i32"  ? double(int32_t(wide))
        : elem == "i16"  ? double(int16_t(wide))
        : elem == "i8"   ? double(int8_t(wide))
                         : double(wide);
}

// The first element that is wrong, as a message; empty if all are right.
static std::string Compare(const Expected& e, const std::vector<uint8_t>& got, const std::vector<uint8_t>& want)
{
    const size_t width = Width(e.elem);
    if (got.size() != want.size()) {
        return "the result has another size";
    }
    for (size_t i = 0; i + width <= want.size(); i += width) {
        const double g = Number(e.elem, &got[i]), w = Number(e.elem, &want[i]);
        const bool good = e.exact ? std::memcmp(&got[i], &want[i], width) == 0
            : std::isfinite(w)    ? std::fabs(g - w) <= e.absolute + e.relative * std::fabs(w)
                                  : (std::isnan(w) ? std::isnan(g) : g == w);
        if (!good) {
            char text[160];
            std::snprintf(text, sizeof text, "element %zu is %.9g, %s %.9g", i / width, g,
                e.exact ? "the simulator has" : "expected", w);
            return text;
        }
    }
    return "";
}

// Runs a case; true if all results are right.
static bool Run(const std::string& folder, bool exact, aclrtStream stream)
{
    running = folder + ": ";
    std::ifstream file(folder + "/case.txt");
    if (!file) {
        Stop("cannot read " + folder + "/case.txt");
    }
    std::string kernel, line;
    uint32_t blocks = 1;
    std::vector<Memory> memories;
    std::vector<int64_t> slots;
    std::vector<Expected> expected;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string word, name;
        words >> word;
        if (word == "kernel") {
            words >> kernel;
        } else if (word == "blocks") {
            words >> blocks;
        } else if (word == "memory") {
            Memory m;
            words >> name >> word;
            m.bytes = ReadFile(folder + "/" + name);
            m.written = word == "written";
            memories.push_back(m);
        } else if (word == "workspace") {
            Memory m;
            size_t bytes = 0;
            words >> bytes;
            m.bytes.assign(bytes, 0);
            memories.push_back(m);
        } else if (word == "address") {
            size_t memory = 0, offset = 0;
            words >> memory >> offset;
            Memory& m = memories.at(memory);
            if (m.device == nullptr) {
                const size_t bytes = m.bytes.empty() ? 1 : m.bytes.size();
                Must(aclrtMalloc(&m.device, bytes, ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc");
                Copy(m.device, m.bytes.data(), m.bytes.size(), ACL_MEMCPY_HOST_TO_DEVICE);
            }
            slots.push_back(int64_t(uintptr_t(m.device)) + int64_t(offset));
        } else if (word == "word") {
            int64_t v = 0;
            words >> v;
            slots.push_back(v);
        } else if (word == "expect" || word == "simulated") {
            Expected e;
            words >> e.memory >> e.file >> e.elem >> e.relative >> e.absolute;
            e.exact = word == "simulated";
            expected.push_back(e);
        } else if (!word.empty()) {
            Stop(folder + "/case.txt: `" + word + "` is not known");
        }
        if (words.fail() && !word.empty()) {
            Stop(folder + "/case.txt: cannot read `" + line + "`");
        }
    }
    Launcher launch = nullptr;
    for (const Kernel& k : ALL) {
        launch = kernel == k.name ? k.launch : launch;
    }
    if (launch == nullptr) {
        Stop(folder + ": there is no kernel " + kernel);
    }
    launch(blocks, stream, slots.data());
    Must(aclrtSynchronizeStreamWithTimeout(stream, PATIENCE), "aclrtSynchronizeStreamWithTimeout");
    std::string wrong;
    for (const Expected& e : expected) {
        if (e.exact && !exact) {
            continue;
        }
        Memory& m = memories.at(e.memory);
        Copy(m.bytes.data(), m.device, m.bytes.size(), ACL_MEMCPY_DEVICE_TO_HOST);
        const std::string what = Compare(e, m.bytes, ReadFile(folder + "/" + e.file));
        if (!what.empty() && wrong.empty()) {
            wrong = e.file + ": " + what;
        }
    }
    for (Memory& m : memories) {
        if (m.device != nullptr) {
            Must(aclrtFree(m.device), "aclrtFree");
        }
    }
    std::printf("%-6s %s  %s\n", wrong.empty() ? "right" : "WRONG", folder.c_str(), wrong.c_str());
    return wrong.empty();
}

int main(int argc, char** argv)
{
    bool exact = false;
    std::vector<std::string> cases;
    for (int i = 1; i < argc; i++) {
        if (std::strcmp(argv[i], "--exact") == 0) {
            exact = true;
        } else {
            cases.push_back(argv[i]);
        }
    }
    if (cases.empty()) {
        Stop("no cases: check [--exact] CASE...");
    }
    aclrtStream stream = nullptr;
    Must(aclInit(nullptr), "aclInit");
    Must(aclrtSetDevice(0), "aclrtSetDevice");
    Must(aclrtCreateStream(&stream), "aclrtCreateStream");
    size_t right = 0;
    for (const std::string& c : cases) {
        right += Run(c, exact, stream) ? 1 : 0;
    }
    std::printf("%zu of %zu cases right\n", right, cases.size());
    aclrtDestroyStream(stream);
    aclrtResetDevice(0);
    aclFinalize();
    return right == cases.size() ? 0 : 1;
}
