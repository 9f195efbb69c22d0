# SPDX-License-Identifier: Apache-2.0
# A thin front to meson. "make demo" and "make check" install what they need.
BUILD ?= build
MESON ?= meson
MESON_FLAGS ?=
PREFIX ?= /usr/local
DESTDIR ?=

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@command -v $(MESON) >/dev/null && command -v ninja >/dev/null || tools/setup build
	@$(MESON) setup $(BUILD) --prefix=$(PREFIX) $(MESON_FLAGS) >$(BUILD).log 2>&1 || \
		{ tools/setup build && $(MESON) setup $(BUILD) --prefix=$(PREFIX) $(MESON_FLAGS); }
	@rm -f $(BUILD).log

demo:
	@tools/setup demo
	@$(MAKE) --no-print-directory all
	@tools/demo $(IMAGE)

check:
	@tools/setup test
	@$(MAKE) --no-print-directory all
	@tests/run

# Figures against peers: BENCH_ARGS="--only import,store --runs 5"
bench:
	@tools/setup bench
	@$(MAKE) --no-print-directory all
	@bench/bench.py $(BENCH_ARGS)

install: all
	@DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD)

.PHONY: all demo check bench install clean
