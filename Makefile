# The front door. `make run` and `make test` are all that a newcomer needs; both install what is missing on Debian or Ubuntu.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
MODEL_DIR ?= models/demo

.PHONY: help deps build run test test-all bench format lint synthetic package clean

help:
	@echo "make run                               build, serve the demo model, print the address and a curl line"
	@echo "make test                              build and run the fast tests"
	@echo "make test-all                          also sanitizers, PyPI clients, all held-out problems, full-size runs"
	@echo "make build                             leaves build/qwen-thinking"
	@echo "make bench MODEL_DIR=DIR               prefill and decode throughput beside the machine's ceilings"
	@echo "make synthetic MODEL=qwen3-4b OUT=DIR  a full-size model folder with made-up weights"
	@echo "make package                           build/packages: a .deb and a tarball that runs on older systems"
	@echo "make format | lint                     clang-format | clang-format check, layers, clang-tidy"

deps:
	@scripts/install_deps.sh

build: deps
	@cmake --preset release -DQWEN_BUILD_TESTS=OFF >/dev/null
	@cmake --build build -j $(JOBS) --target qwen-thinking

run: build
	@scripts/run_demo.sh build/qwen-thinking $(MODEL_DIR)

test: deps
	@cmake --preset release -DQWEN_BUILD_TESTS=ON >/dev/null
	@cmake --build build -j $(JOBS)
	@ctest --test-dir build --output-on-failure -LE "slow|pypi|load|browser" -j $(JOBS)

test-all: test
	@tests/test_all.sh

bench: build
	@build/qwen-thinking bench --model $(MODEL_DIR)

synthetic: deps
	@test -n "$(MODEL)" -a -n "$(OUT)" || { echo "usage: make synthetic MODEL=qwen3-4b OUT=DIR"; exit 2; }
	@cmake --preset release >/dev/null
	@cmake --build build -j $(JOBS) --target synthetic_model
	@build/tools/synthetic_model --model "$(MODEL)" --output "$(OUT)"

package: build
	@scripts/install_deps.sh package
	@packaging/build_deb.sh build build/packages
	@packaging/build_tarball.sh build build/packages

format:
	@scripts/install_deps.sh lint
	@git ls-files '*.h' '*.cpp' '*.inl' | xargs clang-format-14 -i

lint:
	@scripts/install_deps.sh lint
	@git ls-files '*.h' '*.cpp' '*.inl' | xargs clang-format-14 --dry-run --Werror
	@python3 tools/check_layers.py
	@tools/lint_tidy.sh

clean:
	@rm -rf build build-*
