# Halo: make, make test, make lint; make help tells the rest.
#
# SANITIZE=1 and DEBUG=1 build beside the ordinary build, not over it. Every
# setting may be given on the command line or in the environment.

# --- Settings ------------------------------------------------------------------

LUA ?= lua5.4
LUA_VERSION := 5.4
LUAROCKS ?= luarocks
PKG_CONFIG ?= pkg-config
CLANG ?= clang
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
LUACHECK ?= luacheck
NODE ?= node
CFLAGS ?= -O2 -g
CPPFLAGS ?=
LDFLAGS ?=
WERROR ?= -Werror
PREFIX ?= /usr/local
DESTDIR ?=
TEST_SECONDS ?= 300
FUZZ_SECONDS ?= 30
HOSTS ?= halo lua
SPEC ?=

INST_BINDIR ?= $(PREFIX)/bin
INST_LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)

ifdef SANITIZE
  BUILD ?= build/sanitize
  override CFLAGS += -O1 -fno-omit-frame-pointer \
    -fsanitize=address,undefined -fno-sanitize-recover=undefined
  override LDFLAGS += -fsanitize=address,undefined
else ifdef DEBUG
  BUILD ?= build/debug
  override CFLAGS += -O0 -g3 -DHALO_DEBUG
else
  BUILD ?= build
endif

# --- The libraries ---------------------------------------------------------------
# What the distribution has: Lua (5.4), libuv, llhttp. Debian ships llhttp as
# sources, which are compiled where they lie.

pkg = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)

LUA_PC := $(firstword $(foreach p,lua5.4 lua-5.4 lua54 lua,\
  $(if $(call pkg,--modversion $(p)),$(p))))
LUA_INCDIR ?= $(firstword $(call pkg,--variable=includedir $(LUA_PC))/lua5.4 \
  $(call pkg,--variable=includedir $(LUA_PC)))
LUA_CFLAGS ?= $(or $(call pkg,--cflags $(LUA_PC)),-I$(LUA_INCDIR))
LUA_LIBDIR ?= $(call pkg,--variable=libdir $(LUA_PC))
LUA_STATIC := $(firstword $(wildcard $(LUA_LIBDIR)/liblua5.4.a \
  $(LUA_LIBDIR)/liblua-5.4.a $(LUA_LIBDIR)/liblua54.a \
  $(LUA_LIBDIR)/lua5.4/liblua.a $(LUA_LIBDIR)/liblua.a))
LUA_LIBS ?= $(or $(LUA_STATIC),$(call pkg,--libs $(LUA_PC))) -lm -ldl

UV_CFLAGS ?= $(call pkg,--cflags libuv)
UV_LIBS ?= $(or $(call pkg,--libs libuv),-luv)
UV_LIBDIR := $(call pkg,--variable=libdir libuv)
UV_STATIC := $(firstword $(wildcard $(UV_LIBDIR)/libuv_a.a \
  $(UV_LIBDIR)/libuv.a))
UV_STATIC_LIBS ?= $(if $(UV_STATIC),$(UV_STATIC) -lpthread -ldl,$(UV_LIBS))

LLHTTP_SRCDIR ?= /usr/share/llhttp
LLHTTP_INCDIR ?= /usr/share/include/llhttp
ifneq ($(wildcard $(LLHTTP_SRCDIR)/llhttp.c),)
  LLHTTP_SOURCES := $(wildcard $(LLHTTP_SRCDIR)/*.c)
  LLHTTP_CFLAGS ?= -isystem $(LLHTTP_INCDIR) -DLLHTTP_STRICT_MODE=1
  LLHTTP_LIBS ?=
else
  LLHTTP_CFLAGS ?= $(call pkg,--cflags libllhttp)
  LLHTTP_LIBS ?= $(or $(call pkg,--libs libllhttp),-lllhttp)
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
  -Wpointer-arith -Wwrite-strings -Wvla -Wundef $(WERROR)
HALO_CPPFLAGS := -Isrc -D_GNU_SOURCE \
  $(patsubst -I%,-isystem %,$(LUA_CFLAGS) $(filter-out -I/usr/include,$(UV_CFLAGS))) \
  $(LLHTTP_CFLAGS)
HALO_CFLAGS := -std=gnu11 -fPIC -fvisibility=hidden $(WARNINGS)

# --- What there is -----------------------------------------------------------------
# A new room under src/ or module under lua/ is found by itself.

SOURCES := $(filter-out src/command/%,$(wildcard src/*.c src/*/*.c))
COMMAND_SOURCES := $(wildcard src/command/*.c)
MODULES := $(sort $(wildcard lua/halo/*.lua lua/halo/*/*.lua))
COMMAND_MODULES := $(wildcard src/command/*.lua)
FUZZERS := $(wildcard fuzz/*.c)

OBJECTS := $(SOURCES:%.c=$(BUILD)/obj/%.o) \
  $(LLHTTP_SOURCES:$(LLHTTP_SRCDIR)/%.c=$(BUILD)/obj/llhttp/%.o)
COMMAND_OBJECTS := $(COMMAND_SOURCES:%.c=$(BUILD)/obj/%.o) \
  $(BUILD)/obj/modules.o

HALO := $(BUILD)/halo
CORE := $(BUILD)/lib/halo/core.so

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
# V=1 shows the commands themselves.
ifdef V
  say =
else
  say = @printf '  %-6s %s\n' $(1) '$(2)';
endif

.PHONY: all deps run test lint lint-c lint-format lint-lua \
  format bench fuzz install rock clean help print-halo FORCE

all: $(HALO) $(CORE) ## build the halo command and the rock's core.so

# --- Compiling ------------------------------------------------------------------------

# Its text changes with the flags, and then everything is compiled anew.
FLAGS = $(CC) $(HALO_CPPFLAGS) $(CPPFLAGS) $(HALO_CFLAGS) $(CFLAGS) $(LDFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@

$(BUILD)/obj/src/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(HALO_CPPFLAGS) $(CPPFLAGS) $(HALO_CFLAGS) $(CFLAGS) -MMD -MP \
	  -c -o $@ $<

$(BUILD)/obj/llhttp/%.o: $(LLHTTP_SRCDIR)/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(LLHTTP_CFLAGS) $(CPPFLAGS) -std=gnu11 -fPIC -fvisibility=hidden \
	  $(CFLAGS) -w -c -o $@ $<

$(CORE): $(OBJECTS)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ $(UV_LIBS) $(LLHTTP_LIBS)

# The command carries the Lua modules precompiled by the very Lua it is
# linked with, and shows C modules that Lua's API and nothing else.
$(BUILD)/tools/embed: tools/embed.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(HALO_CPPFLAGS) $(HALO_CFLAGS) -O1 -o $@ $< $(LUA_LIBS)

$(BUILD)/modules: FORCE
	@mkdir -p $(@D)
	@echo '$(MODULES) $(COMMAND_MODULES)' | cmp -s - $@ || \
	  echo '$(MODULES) $(COMMAND_MODULES)' >$@

$(BUILD)/modules.c: $(BUILD)/tools/embed $(BUILD)/modules $(MODULES) \
    $(COMMAND_MODULES)
	$(call say,EMBED,$@)$(BUILD)/tools/embed $@ $(MODULES) $(COMMAND_MODULES)

$(BUILD)/obj/modules.o: $(BUILD)/modules.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(HALO_CPPFLAGS) $(HALO_CFLAGS) -O0 -c -o $@ $<

ifeq ($(shell uname -s),Darwin)
  EXPORT :=
else
  EXPORT := -Wl,--dynamic-list=tools/exports.list
endif
$(HALO): $(OBJECTS) $(COMMAND_OBJECTS) tools/exports.list
	$(call say,LINK,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(EXPORT) -o $@ $(filter %.o,$^) $(LUA_LIBS) \
	  $(UV_STATIC_LIBS) $(LLHTTP_LIBS)

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d)

# --- Using it -----------------------------------------------------------------------------

deps: ## install what building and testing need (system packages)
	@tools/deps

run: all ## serve examples/http_hello.lua on port 8080 until Ctrl-C
	@$(HALO) examples/http_hello.lua 8080

print-halo: ## print the path of the built command
	@echo $(abspath $(HALO))

SPEC_ENV = BUILD=$(abspath $(BUILD)) LUA=$(LUA) SECONDS_MAX=$(TEST_SECONDS) \
  SANITIZE=$(SANITIZE)
test: all ## run the specs, on the command and on stock Lua
	@bad=0; for host in $(HOSTS); do \
	  $(SPEC_ENV) tools/spec $$host $(SPEC) || bad=1; \
	done; exit $$bad

bench: all ## compare with Node side by side
	bench/run

# --- Keeping it clean -------------------------------------------------------------------------

C_FILES := $(sort $(wildcard src/*.[ch] src/*/*.[ch] tools/*.c fuzz/*.c \
  bench/load/*.[ch]))
LUA_FILES := $(sort $(wildcard lua/halo/*.lua lua/halo/*/*.lua spec/*.lua \
  spec/*/*.lua examples/*.lua bench/*.lua src/command/*.lua rocks/*.rockspec))

lint: lint-format lint-lua lint-c ## warnings as errors, clang-tidy, luacheck, format

TIDY := $(patsubst %.c,$(BUILD)/lint/%.tidy,$(filter src/%.c,$(C_FILES)))
lint-c: $(TIDY)

$(BUILD)/lint/%.tidy: %.c .clang-tidy $(wildcard src/*/*.h)
	@mkdir -p $(@D)
	$(call say,TIDY,$<)$(CLANG_TIDY) --quiet $< -- $(HALO_CPPFLAGS) $(HALO_CFLAGS) \
	  >$@.out 2>&1 || { cat $@.out; exit 1; }
	@touch $@

lint-format:
	$(CLANG_FORMAT) --dry-run --Werror $(C_FILES)

lint-lua:
	$(LUACHECK) --quiet --no-color $(LUA_FILES)

format: ## lay out the C sources
	$(CLANG_FORMAT) -i $(C_FILES)

fuzz: $(FUZZERS:fuzz/%.c=$(BUILD)/fuzz/%) ## run each fuzzer for FUZZ_SECONDS
	@for f in $^; do \
	  mkdir -p $$f.corpus fuzz/corpus/$${f##*/} && \
	  $$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
	    -artifact_prefix=$$f. $$f.corpus fuzz/corpus/$${f##*/} || exit 1; \
	done

FUZZ_FLAGS := -O1 -g -fsanitize=fuzzer,address,undefined \
  -fno-sanitize-recover=undefined
$(BUILD)/fuzz/%: fuzz/%.c $(SOURCES) $(wildcard src/*/*.h)
	@mkdir -p $(@D)
	$(CLANG) $(HALO_CPPFLAGS) $(LLHTTP_CFLAGS) -std=gnu11 -w $(FUZZ_FLAGS) \
	  -o $@ $< $(SOURCES) $(LLHTTP_SOURCES) $(LUA_LIBS) $(UV_STATIC_LIBS) \
	  $(LLHTTP_LIBS)

# --- Installing ----------------------------------------------------------------------------------

install: all ## install command, modules and core.so under PREFIX
	install -d $(DESTDIR)$(INST_BINDIR) $(DESTDIR)$(INST_LIBDIR)/halo
	install -m 755 $(HALO) $(DESTDIR)$(INST_BINDIR)/halo
	install -m 755 $(CORE) $(DESTDIR)$(INST_LIBDIR)/halo/core.so
	for f in $(MODULES:lua/%=%); do \
	  install -d $(DESTDIR)$(INST_LUADIR)/$$(dirname $$f) && \
	  install -m 644 lua/$$f $(DESTDIR)$(INST_LUADIR)/$$f || exit 1; \
	done

ROCKS = $(LUAROCKS) --lua-version=$(LUA_VERSION) --tree=$(abspath build/tree)
rock: ## build the rock into build/tree and pack it into build/
	$(ROCKS) make rocks/halo-scm-1.rockspec
	cd build && $(ROCKS) pack halo scm-1

clean: ## remove what was built
	rm -rf build

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' \
	  Makefile
	@echo '  with SANITIZE=1 (ASan, UBSan) or DEBUG=1; SPEC=spec/x_spec.lua HOSTS=lua picks tests'
