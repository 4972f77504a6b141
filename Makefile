# sft: instruction fine-tuning on a CPU.
#
#   make demo      install what is needed, build, and run the main job: prepare → train → compare
#   make test      install what is needed, build, and run all tests
#   make bench     speed and memory on this machine, in about three minutes; ARGS="--full --peer PYTHON" for more
#   make build     build .build/release/sft
#   make lint      check the format of the Swift sources
#   make format    put the Swift sources into that format
#   make clean     remove what was built and the demo's workspace

SWIFT ?= swift
SFT = .build/release/sft
# curl carries what is asked of a judge; nothing else needs it.
DEBIAN_PACKAGES = libopenblas-dev libjson-c-dev libzstd-dev pkg-config curl
DEMO_MODEL = Tests/Fixtures/gpt2-tiny/model
DEMO_WORKSPACE = .sft-demo

.DEFAULT_GOAL := menu
.PHONY: menu dependencies build demo test bench lint format clean

menu:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

dependencies:
	@command -v $(SWIFT) >/dev/null || { echo "Swift 6.2 or newer is needed: https://www.swift.org/install" >&2; exit 1; }
	@if ! { command -v curl && command -v pkg-config && pkg-config --exists openblas json-c libzstd; } >/dev/null 2>&1; then \
	  if ! command -v apt-get >/dev/null; then \
	    echo "Install the development files of OpenBLAS, json-c and zstd, pkg-config and curl, and run this again." >&2; exit 1; \
	  fi; \
	  if [ "$$(id -u)" = 0 ]; then as=; elif command -v sudo >/dev/null; then as=sudo; else \
	    echo "Neither root nor sudo: install these by hand and run this again: $(DEBIAN_PACKAGES)" >&2; exit 1; \
	  fi; \
	  echo "Installing $(DEBIAN_PACKAGES)"; \
	  { $$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(DEBIAN_PACKAGES); } >/dev/null || { \
	    echo "apt-get failed: install these by hand and run this again: $(DEBIAN_PACKAGES)" >&2; exit 1; }; \
	fi

build: dependencies
	$(SWIFT) build -c release --product sft

demo: build
	@rm -rf $(DEMO_WORKSPACE)
	$(SFT) prepare datasets/instructions.jsonl --model $(DEMO_MODEL) --workspace $(DEMO_WORKSPACE)
	$(SFT) train --lora-r 16 --lr 1e-2 --warmup-steps 20 --epochs 8 --workspace $(DEMO_WORKSPACE)
	$(SFT) compare --questions datasets/questions.jsonl --max-new-tokens 40 --workspace $(DEMO_WORKSPACE)

test: dependencies
	$(SWIFT) build -c release --build-tests
	$(SWIFT) test -c release --skip-build

# What there is besides: python3 Tests/Benchmarks/bench.py --help
bench: build
	python3 Tests/Benchmarks/bench.py $(ARGS)

lint:
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests

format:
	$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests

clean:
	rm -rf .build $(DEMO_WORKSPACE)
