# SPDX-License-Identifier: Apache-2.0
# A thin front to meson. "make demo" and "make check" install what they need.
BUILD ?= build
MESON ?= meson
MESON_FLAGS ?=
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_TIME ?= 60
SUB = $(MAKE) --no-print-directory

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@command -v $(MESON) >/dev/null && command -v ninja >/dev/null || tools/setup build
	@$(MESON) setup $(BUILD) --prefix=$(PREFIX) $(MESON_FLAGS) >$(BUILD).log 2>&1 || \
		{ tools/setup build && $(MESON) setup $(BUILD) --prefix=$(PREFIX) $(MESON_FLAGS); }
	@rm -f $(BUILD).log

demo:
	@tools/setup demo
	@$(SUB) all
	@tools/demo $(IMAGE)

# --- tests: CONTRIBUTING.md says what is in which ---

check:
	@tools/setup test
	@$(SUB) all builds
	@tests/run --all

# The other builds that tests run in: with sanitizers, and clang's warnings.
ASAN_FLAGS = -Db_sanitize=address,undefined -Dbuildtype=debugoptimized
CLANG_FLAGS = -Dwerror=true -Dbuildtype=debug
builds: asan clang
asan:
	@$(SUB) all BUILD=build-asan MESON_FLAGS="$(ASAN_FLAGS)"
clang:
	@CC=clang $(SUB) all BUILD=build-clang MESON_FLAGS="$(CLANG_FLAGS)"

# The same tests at their full size.
check-slow:
	@tools/setup test
	@$(SUB) all builds
	@STRATA_TEST_FULL=1 TEST_TIMEOUT=3600 tests/run --all

# Exported images boot to the login prompt, in qemu. FLEET=dir: of bench/mkfleet.
check-boot:
	@tools/setup boot
	@$(SUB) all
	@tests/boot/boot.sh

# Each libFuzzer target for FUZZ_TIME seconds. TARGETS="ext fat": only those.
fuzz:
	@tools/setup test
	@CC=clang $(SUB) all BUILD=build-fuzz MESON_FLAGS="-Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized"
	@FUZZ_TIME=$(FUZZ_TIME) tests/fuzz build-fuzz $(TARGETS)

# Import, export and the servers with the thread sanitizer.
tsan:
	@tools/setup test
	@$(SUB) all BUILD=build-tsan MESON_FLAGS="-Db_sanitize=thread -Dbuildtype=debugoptimized"
	@BUILD=$(CURDIR)/build-tsan TSAN_OPTIONS=halt_on_error=1:exitcode=66 tests/run 'unit/test_(store|source|ext|disk)' cli/

# Figures against peers: BENCH_ARGS="--only import,store --runs 5"
# and file systems against each other: BENCH_FS_ARGS="--files 20000"
bench:
	@tools/setup bench
	@$(SUB) all
	@bench/bench.py $(BENCH_ARGS)
	@bench/fs.py $(BENCH_FS_ARGS)
	@bench/serve.py $(BENCH_SERVE_ARGS)

# The nbdkit plugin goes where nbdkit looks, or where that may not be written to, below PREFIX, where strata looks.
install: all
	@d=$$(nbdkit --dump-config 2>/dev/null | sed -n 's/^plugindir=//p'); \
	if [ -z "$(DESTDIR)" ] && [ -n "$$d" ] && ! [ -w "$$d" ]; then d=$(PREFIX)/lib/nbdkit/plugins; else d=; fi; \
	$(MESON) configure $(BUILD) -Dprefix=$(PREFIX) -Dnbdkit_plugindir=$$d && ninja -C $(BUILD) >/dev/null
	@DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD) --no-rebuild

# What the last install of this build folder put there (with the same DESTDIR).
uninstall:
	@tools/uninstall $(BUILD)

clean:
	rm -rf $(BUILD) build-asan build-clang build-fuzz build-tsan

.PHONY: all demo check builds asan clang check-slow check-boot fuzz tsan bench install uninstall clean
