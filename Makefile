# sft: instruction fine-tuning on a CPU.
#
#   make demo      install what is needed, build, and run the main job: prepare → train → compare
#   make test      install what is needed, build, and run all tests
#   make bench     speed and memory on this machine, in about three minutes; ARGS="--full --peer PYTHON" for more
#   make build     build .build/release/sft; with MPI=1 also what lets several processes train together, for the MPI that
#                  MPICC (mpicc) compiles for
#   make install   build one self-contained binary and put it into PREFIX/bin, with completion for bash;
#                  PREFIX=/usr/local DESTDIR=
#   make uninstall remove it from there
#   make standalone  build that binary only: .build-install/sft
#   make embedded-model  train the model that is embedded in sft anew: ten minutes
#   make lint      check the format of the Swift sources
#   make format    put the Swift sources into that format
#   make clean     remove what was built, and the workspaces of demo and embedded-model

SWIFT ?= swift
SFT = .build/release/sft
PREFIX ?= /usr/local
BIN = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share
# What sft writes about itself, and where man and each shell look for it.
EXTRAS = extra manual '$(SHARE)/man/man1/sft.1'; extra bash '$(SHARE)/bash-completion/completions/sft'; \
  extra zsh '$(SHARE)/zsh/site-functions/_sft'; extra fish '$(SHARE)/fish/vendor_completions.d/sft.fish'
STANDALONE = .build-install
# curl carries what is asked of a judge; nothing else needs it.
DEBIAN_PACKAGES = libopenblas-dev libjson-c-dev libzstd-dev zlib1g-dev pkg-config curl
DEMO_WORKSPACE = .sft-demo
DEMO_FLAGS = --lr 3e-3 --scheduler cosine --warmup-steps 20 --batch-size 16 --epochs 6
EMBEDDED_WORKSPACE = .sft-embedded
EMBEDDED_FLAGS = --epochs 3 --batch-size 4 --lr 2e-3 --min-lr 2e-5 --scheduler cosine --warmup-steps 100 --betas 0.9,0.98 \
  --weight-decay 0.05 --val 0.01 --threads 2

.DEFAULT_GOAL := menu
.PHONY: menu dependencies mpi-dependencies mpi-library build install uninstall standalone demo embedded-model test bench lint format clean

menu:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

dependencies:
	@command -v $(SWIFT) >/dev/null || { echo "Swift 6.2 or newer is needed: https://www.swift.org/install" >&2; exit 1; }
	@if ! { command -v curl && command -v pkg-config && pkg-config --exists openblas json-c libzstd zlib; } >/dev/null 2>&1; then \
	  if ! command -v apt-get >/dev/null; then \
	    echo "Install the development files of OpenBLAS, json-c, zstd and zlib, pkg-config and curl, and run this again." >&2; exit 1; \
	  fi; \
	  if [ "$$(id -u)" = 0 ]; then as=; elif command -v sudo >/dev/null; then as=sudo; else \
	    echo "Neither root nor sudo: install these by hand and run this again: $(DEBIAN_PACKAGES)" >&2; exit 1; \
	  fi; \
	  echo "Installing $(DEBIAN_PACKAGES)"; \
	  { $$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(DEBIAN_PACKAGES); } >/dev/null || { \
	    echo "apt-get failed: install these by hand and run this again: $(DEBIAN_PACKAGES)" >&2; exit 1; }; \
	fi

build: dependencies $(if $(MPI),mpi-dependencies)
	$(SWIFT) build -c release --product sft
	@$(if $(MPI),$(MAKE) --no-print-directory mpi-library TO=.build/release)

# Open MPI is Debian's, unless there is an MPI already. It is asked for by name, or to be tested with where it can be had.
MPICC ?= mpicc
MPI_PACKAGES = libopenmpi-dev openmpi-bin
mpi-dependencies:
	@if ! command -v $(MPICC) >/dev/null; then \
	  if [ "$$(id -u)" = 0 ]; then as=; elif command -v sudo >/dev/null; then as=sudo; else as=none; fi; \
	  if [ "$$as" != none ] && command -v apt-get >/dev/null; then \
	    echo "Installing $(MPI_PACKAGES)"; \
	    { $$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(MPI_PACKAGES); } >/dev/null 2>&1; \
	  fi; \
	  command -v $(MPICC) >/dev/null || { \
	    echo "There is no $(MPICC): install an MPI, such as Debian's $(MPI_PACKAGES), for several processes to train together." >&2; \
	    [ -z "$(MPI)" ]; }; \
	fi

# The library that sft loads where an MPI started it, put into the folder TO: sft itself is the same with any MPI. With a C compiler
# alone, so that it can be made anew where the MPI is; `swift build --traits MPI --product sft-mpi` makes the same.
MPI_SOURCES = Sources/MPIEngine/engine.c Sources/MPIEngine/include/mpi_engine.h Sources/CRankEngine/include/rank_engine.h
mpi-library:
	@mkdir -p '$(TO)'
	$(if $(shell command -v gcc),,OMPI_CC=clang MPICH_CC=clang) $(MPICC) -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -DSFT_MPI $(addprefix -I,$(sort $(dir $(filter %.h,$(MPI_SOURCES))))) \
	  $(filter %.c,$(MPI_SOURCES)) -o '$(TO)/sft-mpi.so.new'
	@mv '$(TO)/sft-mpi.so.new' '$(TO)/sft-mpi.so'

# Everything but glibc is linked in: the linker looks first into a folder that holds nothing but static libraries, by
# copies of the pkg-config files that name it. libgcc_s is what unwinds; its static half is called libgcc_eh.
STATIC_LIBRARIES = openblas:openblas json-c:json-c zstd:libzstd z:zlib
STATIC_FILES = libopenblas.a:libopenblas.a libjson-c.a:libjson-c.a libzstd.a:libzstd.a libz.a:libz.a libstdc++.a:libstdc++.a libgcc_eh.a:libgcc_s.a

standalone: dependencies
	@rm -rf $(STANDALONE)/lib && mkdir -p $(STANDALONE)/lib
	@compiler=$$(command -v clang || command -v gcc || command -v cc); \
	for file in $(STATIC_FILES); do \
	  path=$$("$$compiler" -print-file-name=$${file%:*}); \
	  [ -f "$$path" ] || { echo "There is no $${file%:*}: install that static library and run this again." >&2; exit 1; }; \
	  ln -s "$$path" $(STANDALONE)/lib/$${file#*:}; \
	done
	@for library in $(STATIC_LIBRARIES); do \
	  name=$${library#*:}; folder=$$(pkg-config --variable=pcfiledir $$name); \
	  sed -e "s|\$${pcfiledir}|$$folder|g" -e "s|^Libs:.*|Libs: -L$(CURDIR)/$(STANDALONE)/lib -l$${library%:*}|" \
	    "$$folder/$$name.pc" >$(STANDALONE)/lib/$$name.pc; \
	done
	PKG_CONFIG_PATH='$(CURDIR)/$(STANDALONE)/lib' $(SWIFT) build -c release --product sft \
	  --scratch-path $(STANDALONE) --static-swift-stdlib -Xlinker -s
	@cp $(STANDALONE)/release/sft $(STANDALONE)/sft.new && mv $(STANDALONE)/sft.new $(STANDALONE)/sft

# Whether it can be installed is asked before it is built.
install:
	@place='$(BIN)'; while [ ! -e "$$place" ]; do place=$$(dirname "$$place"); done; \
	if [ ! -d "$$place" ] || [ ! -w "$$place" ]; then \
	  echo "$$place cannot be written. Give a place of your own: make install PREFIX=\$$HOME/.local" >&2; \
	  echo "Or build it as yourself and copy it as root: make standalone && sudo install -D -m 755 $(STANDALONE)/sft '$(BIN)/sft'" >&2; \
	  exit 1; \
	fi
	@$(MAKE) --no-print-directory standalone
	@$(if $(MPI),$(MAKE) --no-print-directory mpi-dependencies mpi-library TO='$(DESTDIR)$(PREFIX)/lib/sft')
	@install -D -m 755 $(STANDALONE)/sft '$(BIN)/sft.new' && mv '$(BIN)/sft.new' '$(BIN)/sft'
	@echo "installed $(BIN)/sft"
	@extra() { \
	  case $$1 in manual) arguments=manual;; *) arguments="--generate-completion-script $$1";; esac; \
	  if mkdir -p "$$(dirname "$$2")" 2>/dev/null && '$(BIN)/sft' $$arguments 2>/dev/null >"$$2.new" && mv "$$2.new" "$$2"; \
	  then echo "installed $$2"; else rm -f "$$2.new"; echo "$$2 was not installed: its folder cannot be written."; fi; \
	}; $(EXTRAS)
	@case ":$$PATH:" in *':$(PREFIX)/bin:'*) ;; *) echo "$(PREFIX)/bin is not on the PATH.";; esac

uninstall:
	@extra() { rm -f "$$2"; }; $(EXTRAS)
	@rm -f '$(DESTDIR)$(PREFIX)/lib/sft/sft-mpi.so'
	@if [ -e '$(BIN)/sft' ]; then rm '$(BIN)/sft' && echo "removed $(BIN)/sft"; else echo "there is no $(BIN)/sft"; fi

demo: build
	@rm -rf $(DEMO_WORKSPACE)
	$(SFT) prepare datasets/instructions.jsonl --workspace $(DEMO_WORKSPACE)
	$(SFT) train --lora-r 16 --qlora $(DEMO_FLAGS) --workspace $(DEMO_WORKSPACE)
	$(SFT) compare --questions datasets/questions.jsonl --max-new-tokens 64 --batch-size 16 --show 8 --workspace $(DEMO_WORKSPACE)

# The model that is embedded, anew: Sources/CEmbedded/README.md is on how it comes out.
embedded-model: build
	$(SWIFT) build -c release --product make-world
	@rm -rf $(EMBEDDED_WORKSPACE)
	.build/release/make-world --rounds 100 --to $(EMBEDDED_WORKSPACE)/world
	$(SFT) pretrain $(EMBEDDED_WORKSPACE)/world/corpus.txt --run embedded --config Sources/CEmbedded/config.json --vocab-size 2048 \
	  $(EMBEDDED_FLAGS) --workspace $(EMBEDDED_WORKSPACE)
	$(SFT) export --run embedded --dtype bfloat16 --to Sources/CEmbedded/model --overwrite --workspace $(EMBEDDED_WORKSPACE)
	cp $(EMBEDDED_WORKSPACE)/world/*.jsonl datasets

# By name: `--build-tests` would also build the packages' plugins and what those run, which nothing here needs.
test: dependencies mpi-dependencies
	$(SWIFT) build -c release --product make-world
	$(SWIFT) build -c release --product sftPackageTests
	@if command -v $(MPICC) >/dev/null; then $(MAKE) --no-print-directory mpi-library TO=.build/release || \
	  echo "sft-mpi.so was not made: the tests of several processes are skipped." >&2; fi
	$(SWIFT) test -c release --skip-build

# What there is besides: python3 Tests/Benchmarks/bench.py --help
bench: build
	python3 Tests/Benchmarks/bench.py $(ARGS)

lint:
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests

format:
	$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests

clean:
	rm -rf .build $(STANDALONE) $(DEMO_WORKSPACE) $(EMBEDDED_WORKSPACE)
