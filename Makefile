# SPDX-License-Identifier: Apache-2.0
# connleak: `make help` lists what there is to make.

O         ?= build
PREFIX    ?= /usr/local
CC        ?= gcc
CLANG     ?= clang
BPFTOOL   ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
LLVM_STRIP ?= llvm-strip
PKG_CONFIG ?= pkg-config
VERSION   := 0.1.0

# V=1 shows the commands; SAN=address,undefined builds with sanitizers; DEVELOPER=1 adds -Werror.
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-8s %s\n' $(1) $(2))

WARN := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith \
	-Wformat=2 -Wno-missing-field-initializers
CFLAGS   ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARN) $(if $(DEVELOPER),-Werror) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
CPPFLAGS_ALL := -Iinclude -I$(O)/bpf -D_GNU_SOURCE -DCONNLEAK_VERSION='"$(VERSION)"' $(CPPFLAGS)
LDFLAGS_ALL := $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN))
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_$(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/') \
	-Iinclude -Ibpf -Wall -Wextra -Wno-unused-parameter -Wno-address-of-packed-member

LIBS := -lbpf -lelf -lz -ljansson -lncursesw -ltinfo -lm

CORE  := $(wildcard user/core/*.c)
USER  := $(CORE) $(wildcard user/collect/*.c user/cmd/*.c user/tui/*.c user/*.c)
UNIT  := $(wildcard tests/unit/test_*.c)
ROOT  := $(wildcard tests/root/test_*.c)
# maps.bpf.c first: this libbpf's linker misplaces a map whose extern it meets before the map.
TRACE_BPF := bpf/maps.bpf.c bpf/sockstate.bpf.c bpf/taskexit.bpf.c
GEN   := $(wildcard tools/gen/*.c)
FUZZ  := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
E2E   := $(wildcard tests/e2e/test_*.sh)
# These wait for minutes that a verdict takes and need little cpu: side by side.
E2E_WAITING := $(patsubst %,tests/e2e/test_%.sh,healthy leaks via held fdonly record)
SOURCES = $(filter-out bpf/vmlinux.h,$(wildcard bpf/*.[ch] include/*/*.h user/*.[ch] user/*/*.[ch] tools/*.c tools/*/*.[ch] tests/*/*.[ch]))
obj = $(patsubst %.c,$(O)/obj/%.o,$(1))
UNIT_BIN := $(patsubst tests/unit/%.c,$(O)/tests/%,$(UNIT))
ROOT_BIN := $(patsubst tests/root/%.c,$(O)/tests/root_%,$(ROOT))
TOOLS_BIN := $(patsubst tools/%.c,$(O)/tools/%,$(wildcard tools/*.c))
SKELS := $(addprefix $(O)/bpf/,connleak.skel.h iter_conn.skel.h iter_file.skel.h)
# The objects a unit test names in its head comment, "objects: core/x.o ...".
named = $(patsubst %,$(O)/obj/user/%,$(filter-out tools/%,$(call names,$(1)))) \
	$(patsubst %,$(O)/obj/%,$(filter tools/%,$(call names,$(1))))
names = $(foreach n,$(shell sed -n 's/^ \* objects: //p' $(1)),$(or $(all_of_$(n)),$(n)))
# "core/ALL" and "tools/gen/ALL" are all of a folder.
all_of_core/ALL := $(patsubst user/%.c,%.o,$(CORE))
all_of_tools/gen/ALL := $(patsubst %.c,%.o,$(wildcard tools/gen/*.c))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps deps-build deps-demo deps-test tools check check-root test e2e demo bench ledger fuzz bench-detector record-clients \
	format format-check install clean help

all: $(O)/connleak ## build build/connleak

deps-build:
	$(Q)tools/deps.sh build
deps-demo:
	$(Q)tools/deps.sh build demo
deps-test:
	$(Q)tools/deps.sh build demo test
deps: deps-test ## install the Debian packages that building and testing need

# --- kernel programs ---
$(O)/bpf/%.bpf.o: bpf/%.bpf.c | deps-build-once
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

$(O)/bpf/connleak.linked.o: $(patsubst bpf/%.c,$(O)/bpf/%.o,$(TRACE_BPF))
	$(call say,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^
# Each pass is an object of its own, which shares the others' maps: its array can grow alone.
$(O)/bpf/iter_%.linked.o: $(O)/bpf/maps.bpf.o $(O)/bpf/iter_%.bpf.o
	$(call say,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^
$(O)/bpf/%.skel.h: $(O)/bpf/%.linked.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf >$@

# --- user space ---
$(O)/obj/%.o: %.c | deps-build-once
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(ALL_CFLAGS) -MMD -MP -c $< -o $@
# The skeletons exist before what includes them is compiled; -MMD knows the rest.
$(call obj,$(wildcard user/collect/*.c)) $(call obj,$(ROOT)): | $(SKELS)

$(O)/connleak: $(call obj,$(USER)) | $(O)/core_pure.ok
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS_ALL) $^ $(LIBS) -o $@
	@echo "built $@ $(VERSION): not in this version: watch, explain, ready, --pg, stacks"

# Plain make names what is missing; the targets that install run deps first.
.PHONY: deps-build-once
deps-build-once:
	@command -v $(CLANG) >/dev/null && command -v $(BPFTOOL) >/dev/null && \
	command -v $(LLVM_STRIP) >/dev/null && command -v $(PKG_CONFIG) >/dev/null && \
	$(PKG_CONFIG) --exists libbpf libelf zlib jansson ncursesw || \
	{ tools/deps.sh print build && echo "connleak: $(CLANG), $(BPFTOOL), $(LLVM_STRIP)," \
	"$(PKG_CONFIG) or what it should know of is not found" >&2; exit 1; }

# So do the tests and the tools, which need more than the program.
.PHONY: deps-test-once deps-tools-once
deps-test-once: deps-build-once
	@$(PKG_CONFIG) --exists cmocka || { tools/deps.sh print build demo test; exit 1; }
deps-tools-once: deps-build-once
	@$(PKG_CONFIG) --exists libpq || { tools/deps.sh print build; exit 1; }
$(call obj,$(UNIT) $(ROOT)): | deps-test-once

# user/core/ calls nothing but strings, memory, mathematics and jansson's tree.
$(O)/core_pure.ok: $(call obj,$(CORE)) tests/core_pure.sh tests/core_pure.allow
	$(call say,PURE,user/core)
	$(Q)tests/core_pure.sh tests/core_pure.allow $(call obj,$(CORE)) && touch $@

# --- tests ---
# Each links exactly the objects it names: a new dependency shows up as a link error.
define unit_rule
$(O)/tests/$(1): $(O)/obj/tests/unit/$(1).o $(call named,tests/unit/$(1).c)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(LDFLAGS_ALL) $$^ -lcmocka -ljansson -lelf -lz -lm -o $$@
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(basename $(notdir $(t))))))

# Kernel tests link all of core and collect.
$(O)/tests/root_%: $(O)/obj/tests/root/%.o $(call obj,$(CORE) $(wildcard user/collect/*.c))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS_ALL) $^ -lcmocka $(LIBS) -o $@

$(O)/tools/%: tools/%.c | deps-tools-once
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS_ALL) -I$(shell pg_config --includedir 2>/dev/null || echo /usr/include/postgresql) \
		$(ALL_CFLAGS) $(LDFLAGS_ALL) $< -lpq -lbpf -lpthread -lm -o $@
# This one measures the program's own passes.
$(O)/tools/bench_snapshot: $(O)/obj/tools/bench_snapshot.o $(call obj,$(CORE) $(wildcard user/collect/*.c))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS_ALL) $^ $(LIBS) -o $@
# These generate traces and judge the detector by them: no kernel, no server.
$(addprefix $(O)/tools/,mktrace bench_detector bench_tick): $(O)/tools/%: $(O)/obj/tools/%.o $(call obj,$(GEN) $(CORE))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS_ALL) $^ -ljansson -lz -lpthread -lm -o $@
tools: $(TOOLS_BIN) ## build the order service and the load tools
	@:

# Fuzz targets: over their corpus as plain programs here, mutated without end by `make fuzz`.
$(O)/tests/fuzz_%: $(O)/obj/tests/fuzz/fuzz_%.o $(O)/obj/tests/fuzz/driver.o $(call obj,$(CORE))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS_ALL) $^ -ljansson -lm -o $@
fuzz: deps-test ## mutate what the parsers read, FUZZ_S=60 seconds each (clang)
	$(Q)for f in $(FUZZ); do tests/fuzz/run.sh $$f $(O) $(or $(FUZZ_S),60) || [ $$? = 77 ] || exit 1; done

check: $(UNIT_BIN) $(addprefix $(O)/tests/,$(FUZZ)) $(O)/core_pure.ok $(O)/tests/schema_lines ## unit tests: no root, no network, seconds
	$(Q)tests/run.sh $(UNIT_BIN) $(addprefix $(O)/tests/,$(FUZZ)) $(O)/tests/schema_lines

# The encoders' lines, and broken ones, against the schemas.
$(O)/tests/schema_lines: tests/schema_lines.sh tests/schema_check.py $(O)/tests/test_json_out
	$(Q)printf '#!/bin/sh\nexec tests/schema_lines.sh $(O)/tests/test_json_out\n' >$@ && chmod +x $@

check-root: $(ROOT_BIN) ## kernel tests: attach for real, need root
	$(Q)tests/run.sh $(ROOT_BIN)

e2e: $(O)/connleak tools ## against a real PostgreSQL, need root
	$(Q)export CONNLEAK=$(O)/connleak TOOLS=$(O)/tools; \
	tests/run.sh $(filter-out $(E2E_WAITING),$(E2E)); first=$$?; \
	PARALLEL=3 tests/run.sh $(E2E_WAITING) && exit $$first

test: deps-test ## all tests; installs what is missing when run as root
	$(Q)tests/all.sh

demo: deps-demo ## the outage of the README, caught: 3 and a half minutes, needs root
	$(Q)$(MAKE) --no-print-directory $(O)/connleak tools
	$(Q)tools/demo.sh $(O)/connleak $(O)/tools

bench: deps-test ## what it costs, beside tcplife and tcpstates: 3 minutes, needs root; FULL=1
	$(Q)$(MAKE) --no-print-directory $(O)/connleak tools
	$(Q)tools/bench.sh $(O)/connleak $(O)/tools $(if $(MARKDOWN),--markdown)

bench-detector: deps-test ## false alarms, recall and delay beside its rivals: HOURS=10000 RUNS=50 SEED=N MARKDOWN=1
	$(Q)$(MAKE) --no-print-directory $(O)/tools/bench_detector
	$(Q)$(O)/tools/bench_detector --hours $(or $(HOURS),10000) --runs $(or $(RUNS),50) \
		$(if $(SEED),--seed $(SEED)) $(if $(MARKDOWN),--markdown)

record-clients: deps-test ## record real clients again, OUT=FOLDER NAMES=...: 80 minutes, needs root
	$(Q)tools/deps.sh record
	$(Q)$(MAKE) --no-print-directory $(O)/connleak tools
	$(Q)CONNLEAK=$(O)/connleak tools/record_clients.sh $(or $(OUT),recordings) $(NAMES)

ledger: deps-test ## do the counts add up? 1,000,000 connections, needs root; CONNECTS=N SEED=N
	$(Q)$(MAKE) --no-print-directory $(O)/connleak tools
	$(Q)tools/ledger.sh $(O)/connleak $(O)/tools $(or $(CONNECTS),1000000) $(SEED)

format: ## clang-format everything
	$(Q)clang-format -i $(SOURCES)
format-check:
	$(Q)clang-format --dry-run --Werror $(SOURCES)

install: $(O)/connleak ## PREFIX=/usr/local, DESTDIR=
	install -D -m 755 $(O)/connleak $(DESTDIR)$(PREFIX)/sbin/connleak
	install -D -m 644 man/connleak.8 $(DESTDIR)$(PREFIX)/share/man/man8/connleak.8

clean: ## remove what was built
	rm -rf $(O) build-clang build-san

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'
	@echo "Variables: O=build PREFIX=/usr/local DESTDIR= V=1 SAN=address,undefined DEVELOPER=1"

-include $(shell find $(O) -name '*.d' 2>/dev/null)
