# SPDX-License-Identifier: Apache-2.0
# The front door. Each target is one line of CMake or script.
BUILD  ?= build/release
JOBS   ?= $(shell nproc)
# Asked when a recipe runs, for setup.sh may have installed it just before.
CONFIG = $$(command -v ccache >/dev/null && echo -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
# ccache takes paths relative to this folder, so that an object compiled in one clone serves another clone.
export CCACHE_BASEDIR   := $(CURDIR)
export CCACHE_NOHASHDIR := 1
# What `make run` leaves out in a new folder; `make build` adds it.
PARTS  := FERRY_TESTS FERRY_BENCH FERRY_DPDK
DEMO   := rtpferryd rtpferryctl rtpferry-demo

.PHONY: setup build run test bench sweep fuzz soak format lint ci-full rules mutants clean asan deb test-deb tarball image

setup:            ## install the Debian packages that are missing
	@tools/setup.sh build test

build:            ## release build in build/release/bin
	@tools/setup.sh build
	@cmake --preset release $(CONFIG) $(PARTS:%=-D%=ON) $(CMAKE_ARGS) > /dev/null
	@cmake --build $(BUILD) -j $(JOBS)

run:              ## start the daemon on loopback and place a demonstration call (STAY=1 leaves it running)
	@tools/setup.sh run
	@cmake --preset release $(CONFIG) $(if $(wildcard $(BUILD)/CMakeCache.txt),,$(PARTS:%=-D%=OFF)) $(CMAKE_ARGS) > /dev/null
	@cmake --build $(BUILD) -j $(JOBS) --target $(DEMO)
	@tools/demo/run.sh $(BUILD)/bin $(STAY)

test:             ## build, then every test that this machine can run
	@tools/setup.sh build test
	@$(MAKE) --no-print-directory build
	@ctest --test-dir $(BUILD) --parallel $(JOBS) --output-on-failure $(CTEST_ARGS)

asan:             ## unit tests and, for seconds, every fuzz target with address and undefined-behaviour sanitizers
	@tools/setup.sh build fuzz
	@cmake --preset asan $(CONFIG) > /dev/null && cmake --build build/asan -j $(JOBS) --target unit_tests fuzz_targets
	@ctest --test-dir build/asan --parallel $(JOBS) -L unit --output-on-failure $(CTEST_ARGS)
	@tests/fuzz/run.sh build/asan/bin $(or $(SECONDS),20)

bench: build      ## set-up rate, forwarding rate, CPU, latency and memory beside rtpengine
	@tools/setup.sh bench
	@python3 bench/setup_rate.py --build $(BUILD)/bin --json $(BUILD)/setup_rate.json
	@$(BUILD)/bin/connected_send
	@$(BUILD)/bin/srtp_cost
	@$(BUILD)/bin/isolation_cost
	@python3 bench/media_rate.py --build $(BUILD)/bin --json $(BUILD)/media_rate.json
	@python3 bench/webrtc_rate.py --build $(BUILD)/bin --json $(BUILD)/webrtc_rate.json
	@python3 bench/dpdk_rate.py --build $(BUILD)/bin
	@python3 bench/recording_rate.py --build $(BUILD)/bin
	@python3 bench/flight_rate.py --build $(BUILD)/bin
	@python3 bench/transcode_rate.py --build $(BUILD)/bin

sweep: build      ## loss and jitter against delay, gaps and likeness of speech, in virtual time: the table of docs/audio.md
	@FERRY_TABLE=1 $(BUILD)/bin/transcode_test --gtest_brief=1 --gtest_filter='Jitter.Delay*'

fuzz:             ## every parser, and sequences of requests on one relay, SECONDS each (default 30)
	@tools/setup.sh build fuzz
	@cmake --preset fuzz $(CONFIG) > /dev/null && cmake --build build/fuzz -j $(JOBS) --target fuzz_targets && tests/fuzz/run.sh build/fuzz/bin $(or $(SECONDS),30)

soak: build       ## random calls over and over, leaks counted; all cases of the field, on sockets and in the kernel; all attacks of the hostile suite; all rows of the WebRTC table; deeper states of the latch; many random sequences of requests; many calls over bad links; 10,000 parties on one port; faxes of ten pages
	@tools/setup.sh build test
	@python3 tests/e2e/field/run.py --build $(BUILD)/bin
	@python3 tests/e2e/field/run.py --build $(BUILD)/bin --kernel
	@python3 tests/e2e/hostile.py --build $(BUILD)/bin
	@python3 tests/e2e/webrtc.py --build $(BUILD)/bin --all || [ $$? = 77 ]
	@python3 tests/e2e/leaks.py --build $(BUILD)/bin
	@FERRY_LATCH_DEPTH=8 $(BUILD)/bin/latch_states_test
	@FERRY_SEQUENCES=2000 $(BUILD)/bin/session_sequences_test
	@FERRY_MINUTES=20 FERRY_DIGITS=1000 $(BUILD)/bin/transcode_test
	@FERRY_SEEDS=10000 $(BUILD)/bin/latch_property_test
	@FERRY_SEEDS=10000 $(BUILD)/bin/offload_property_test
	@FERRY_SEEDS=10000 $(BUILD)/bin/ice_dtls_property_test
	@FERRY_SEEDS=10000 $(BUILD)/bin/end_to_end_property_test
	@FERRY_CALLS=20000 $(BUILD)/bin/explain_property_test
	@FERRY_PARTIES=10000 $(BUILD)/bin/one_port_crowd_test
	@FERRY_PAGES=10 $(BUILD)/bin/fax_test

format:           ## clang-format in place
	@tools/format.sh fix

lint:             ## format, include arrows, citations, headers that compile alone
	@tools/format.sh check
	@python3 tools/check_includes.py
	@python3 tools/citations.py
	@python3 tools/licences.py --check
	@python3 tools/rules.py --check
	@cmake --preset release $(CONFIG) > /dev/null && cmake --build $(BUILD) -j $(JOBS) --target check_headers

rules:            ## rules of docs/rules.md and the tests that name them
	@python3 tools/rules.py

mutants: build    ## take each rule of tests/mutants out of the code and see its test fail (RULE=LAT-5 for one)
	@python3 tools/mutants.py --build $(BUILD)/bin $(if $(RULE),--only $(RULE))

deb:              ## Debian packages and their source package in build/deb
	@tools/setup.sh build package
	@packaging/make_deb.sh $(JOBS)

test-deb:         ## the packages of `make deb` in a bare Debian root: a call, an upgrade, purge; the tarball in an empty root (REPRODUCE=1 builds them once more and compares)
	@tools/setup.sh test package
	@python3 tests/packaging/deb.py $(if $(REPRODUCE),--reproduce)
	@python3 tests/packaging/tarball.py

tarball: deb      ## programs with all their libraries for other distributions, in build/deb
	@packaging/make_tarball.sh

image: deb        ## container image of the package (BASE=IMAGE), by podman, buildah or docker
	@packaging/make_image.sh

ci-full:          ## both compilers, thread sanitizer, clang-tidy, fuzzing
	@tools/ci_full.sh

clean:
	@rm -rf build
