# The commands of the README. Each installs what is missing first; a second run only looks.
# A machine without `make`: `scripts/setup.sh toolchain` installs it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The command-line compiler links LLVM; the runtime's tests and the examples talk to it as a child process.
CLI := --features kcc/cli
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

.PHONY: help setup run test test-now lint bench gpu-kit gpu-kit-now ascend-kit gpu-static gpu-static-now dist docs fuzz fmt clean-cache

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/'

# NVIDIA's assembler: the user's, else the one that `scripts/setup.sh cuda` installs.
KCC_PTXAS ?= $(firstword $(wildcard $(CURDIR)/.cache/venv/cuda/lib/python*/site-packages/nvidia/cu*/bin/ptxas))

# A Python with numpy and torch, for the tests of the Python package: the user's, else the one of the benchmarks.
KCC_PYTHON ?= $(wildcard $(CURDIR)/.cache/venv/bench/bin/python)

setup: ## install what is missing: toolchain and model files
	@scripts/setup.sh toolchain model

run: setup ## embed a few sentences with MiniLM, all arithmetic in kcc kernels
	@cargo build --release -p kcc --features cli
	@KCC="$(TARGET)/release/kcc" cargo run --release -p kcc-minilm -- $(ARGS)

test: setup ## run the whole suite
	@scripts/setup.sh cuda bench
	@cargo build --workspace $(CLI) --bin kcc
	@$(MAKE) --no-print-directory test-now

# A second `make`, so that KCC_PTXAS sees what setup installed.
test-now:
	@KCC="$(TARGET)/debug/kcc" KCC_PTXAS="$(KCC_PTXAS)" $(if $(KCC_PYTHON),KCC_PYTHON="$(KCC_PYTHON)") \
		cargo test --workspace $(CLI)
	@cargo test -p kcc-runtime --features jit-in-process --test in_process

lint: ## formatting, clippy and documentation, warnings are errors
	@scripts/setup.sh toolchain lint
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets $(CLI) -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps $(CLI)

bench: ## time kcc and its peers in one run; BENCH=quick for a small subset
	@scripts/setup.sh toolchain model bench
	@cargo build --release -p kcc --features cli
	@cargo build --release -p kcc-bench -p kcc-capi
	@KCC="$(TARGET)/release/kcc" .cache/venv/bench/bin/python benches/run.py --ours "$(TARGET)/release/kcc-bench" \
		$(if $(filter quick,$(BENCH)),--quick) $(ARGS)

gpu-kit: ## make target/gpu-kit: proofs and benchmarks for a machine that has only an NVIDIA driver
	@scripts/setup.sh toolchain cuda kit
	@cargo build --release -p kcc --features cli
	@$(MAKE) --no-print-directory gpu-kit-now

gpu-kit-now:
	@KCC="$(TARGET)/release/kcc" KCC_PTXAS="$(KCC_PTXAS)" scripts/gpu-kit.sh "$(TARGET)/gpu-kit"

ascend-kit: ## make target/ascend-kit: AscendC sources with inputs and expected results, for a machine with CANN and an NPU
	@scripts/setup.sh toolchain
	@cargo run -q -p kcc-ascend --example ascend-kit -- "$(TARGET)/ascend-kit"
	@KIT_CXX="$(or $(KIT_CXX),g++)" KIT_BUILD="$(TARGET)/ascend-kit-check" "$(TARGET)/ascend-kit/run.sh" --exact

gpu-static: ## count the machine code of GEMM and attention, ours beside Triton's, without a GPU
	@scripts/setup.sh toolchain cuda bench
	@cargo build --release -p kcc --features cli
	@cargo build --release -p kcc-gpu-kit
	@$(MAKE) --no-print-directory gpu-static-now

gpu-static-now:
	@KCC="$(TARGET)/release/kcc" KCC_PTXAS="$(KCC_PTXAS)" .cache/venv/bench/bin/python benches/gpu/static.py \
		--kit "$(TARGET)/release/kcc-gpu-kit" $(ARGS)

dist: ## make target/dist: compiler, runtime library, header, wheel, standard pack, checksums
	@scripts/setup.sh toolchain dist
	@cargo build --release -p kcc --features cli
	@cargo build --release -p kcc-capi
	@scripts/dist.sh "$(TARGET)/dist"

docs: ## make target/book: the documentation as a book
	@scripts/setup.sh docs
	@PATH="$(CURDIR)/.cache/tools/bin:$$PATH" mdbook build

# Coverage as `cargo fuzz` asks rustc for it; without a sanitizer a stable compiler does.
FUZZ ?= read_pack
SECONDS ?= 60
COVERAGE := --cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares

fuzz: ## mutate what a reader reads, guided by coverage: FUZZ=read_pack, read_module, kernel_bytes or random_kernel; SECONDS=60
	@scripts/setup.sh toolchain
	@RUSTFLAGS="$(COVERAGE)" cargo build --release --target "$$(rustc -vV | sed -n 's/^host: //p')" --target-dir "$(TARGET)/fuzz" \
		-p kcc-fuzz --bin $(FUZZ) $(if $(filter read_pack,$(FUZZ)),--no-default-features) --features libfuzzer
	@mkdir -p "$(TARGET)/fuzz/corpus/$(FUZZ)" fuzz/seeds/$(FUZZ)
	@"$(TARGET)/fuzz/$$(rustc -vV | sed -n 's/^host: //p')/release/$(FUZZ)" -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=4096 \
		-artifact_prefix="$(TARGET)/fuzz/" "$(TARGET)/fuzz/corpus/$(FUZZ)" fuzz/seeds/$(FUZZ)

fmt: ## format the source
	@cargo fmt --all

clean-cache: ## drop everything that setup fetched
	rm -rf .cache
