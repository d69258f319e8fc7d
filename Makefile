# make help lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BUILD   := build
PLUGINS := $(sort $(patsubst plugins/%/main.go,%,$(wildcard plugins/*/main.go)))
TOOL    := go tool -modfile=proto/tools/go.mod
# The race detector needs a C compiler.
RACE    := $(if $(shell command -v gcc cc 2>/dev/null),-race)
# A plugin in Python is tested with the grpcio that this virtual environment has.
PYTHON  := $(CURDIR)/$(BUILD)/python/bin/python3

# The packages of the plugin in JavaScript.
NODE    := $(CURDIR)/$(BUILD)/node

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the host and the bundled plugins into build/
	@mkdir -p $(BUILD)/plugins
	go build -o $(BUILD)/geomill ./host/cmd/geomill
	go build -o $(BUILD)/plugins/ $(addprefix ./plugins/,$(PLUGINS))

.PHONY: run
run: build ## serve the bundled plugins on http://localhost:5000
	@exec $(BUILD)/geomill serve --listen localhost:5000 --plugins $(BUILD)/plugins --data $(BUILD)/data

.PHONY: demo
demo: build ## buffer and overlay real countries, and see what comes back
	@go build -o $(BUILD)/demo-client ./examples/demo
	@examples/demo/run.sh $(BUILD)

.PHONY: test
test: python node ## run all tests
	GEOMILL_TEST_PYTHON=$(PYTHON) GEOMILL_TEST_NODE=$(NODE) go test $(RACE) -timeout 40m ./...
	cd examples/go-greeter && go test $(RACE) ./...
	@if [ -x $(PYTHON) ]; then \
	  for dir in sdk/python plugins/pygeoapi; do (cd $$dir && $(PYTHON) -m pytest -q && $(PYTHON) -m mypy); done; \
	  cd examples/python-sdk && $(PYTHON) -m pytest -q; \
	else echo "NOT TESTED: the Python SDK and its examples"; fi

.PHONY: python
python:
	@if command -v python3 >/dev/null && ! [ -e $(BUILD)/python/installed -a $(BUILD)/python/installed -nt sdk/python/pyproject.toml -a $(BUILD)/python/installed -nt plugins/pygeoapi/pyproject.toml ]; then \
	  { python3 -m venv $(BUILD)/python && \
	    $(BUILD)/python/bin/pip install -q --disable-pip-version-check -r examples/python-hello/requirements.txt -e 'sdk/python[test]' -e 'plugins/pygeoapi[test]' && touch $(BUILD)/python/installed; } \
	  || { rm -rf $(BUILD)/python; echo "the packages of the Python SDK cannot be had: it will not be tested"; }; fi

.PHONY: node
node:
	@if command -v npm >/dev/null && ! [ $(BUILD)/node/package.json -nt examples/node-hello/package.json ]; then \
	  mkdir -p $(BUILD)/node && cp examples/node-hello/package.json $(BUILD)/node/ && npm install --prefix $(BUILD)/node --silent --no-fund --no-audit \
	  || { rm -rf $(BUILD)/node; echo "the packages of the plugin in JavaScript cannot be had: it will not be tested"; }; fi

.PHONY: proof
proof: build $(BUILD)/proof/installed $(BUILD)/proof/pygeoapi/installed ## try the built server with tools that others made
	@.ci/proof/run
	@.ci/proof/sidebyside

$(BUILD)/proof/pygeoapi/installed: .ci/proof/pygeoapi.txt sdk/python/pyproject.toml plugins/pygeoapi/pyproject.toml
	@mkdir -p $(BUILD)/proof
	@[ -x $(BUILD)/proof/pygeoapi/bin/python ] || python3 -m venv $(BUILD)/proof/pygeoapi
	@$(BUILD)/proof/pygeoapi/bin/pip install -q --disable-pip-version-check -r .ci/proof/pygeoapi.txt -e sdk/python -e plugins/pygeoapi
	@touch $@

$(BUILD)/proof/installed: .ci/proof/requirements.txt .ci/proof/package.json
	@mkdir -p $(BUILD)/proof
	@[ -x $(BUILD)/proof/python/bin/python ] || python3 -m venv $(BUILD)/proof/python
	@$(BUILD)/proof/python/bin/pip install -q --disable-pip-version-check -r .ci/proof/requirements.txt
	@cp .ci/proof/package.json $(BUILD)/proof/ && npm install --prefix $(BUILD)/proof --silent --no-fund --no-audit
	@touch $@

.PHONY: fuzz
FUZZPKG  := ./...
FUZZTIME := 10s
fuzz: ## run each fuzz target of FUZZPKG (./...) for FUZZTIME (10s)
	@mkdir -p $(BUILD); go test -list '^Fuzz' $(FUZZPKG) | \
	  awk '/^Fuzz/ { names = names " " $$1 } /^ok/ { n = split(names, all); for (i = 1; i <= n; i++) print $$2, all[i]; names = "" }' | \
	  while read -r package name; do \
	    echo "== $$package $$name"; \
	    fuzz() { go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s -parallel 2 $$package; }; \
	    fuzz | tee $(BUILD)/fuzz.log || { \
	      grep -q '^    context deadline exceeded' $(BUILD)/fuzz.log && ! grep -q 'Failing input' $(BUILD)/fuzz.log || exit 1; \
	      echo "its time was up while Go gave a worker an input, which is no fault of the target: once more"; fuzz; }; \
	  done

.PHONY: check
check: ## format, vet, static analysis, tidy modules, generated code
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...
	go mod tidy -diff
	cd examples/go-greeter && go vet ./... && go mod tidy -diff
	cd proto && $(subst proto/,,$(TOOL)) buf lint
	@$(MAKE) --no-print-directory proto
	@git diff --exit-code --stat -- '*.pb.go' || { echo "run make proto and commit what it generates"; exit 1; }
	@echo "check: all passed"

.PHONY: proto
proto: ## generate Go from proto/*.proto
	cd proto && $(subst proto/,,$(TOOL)) buf generate

.PHONY: bench
bench: ## the figures, each beside its yardstick
	go test -run '^$$' -bench . -benchtime 2s ./host/internal/... ./sdk/...
	go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./host

.PHONY: chaos
chaos: ## kill and load the built server for longer than the tests do (about half an hour)
	GEOMILL_CHAOS_ROUNDS=200 GEOMILL_SOAK=10m GEOMILL_RELOADS=100 go test -count 1 -timeout 60m -v \
	  -run 'TestKillsLoseNoJobAndRunNoneTwice|TestLoadLeavesNothingBehind|TestReplacementsUnderLoadLoseNothing' ./host

.PHONY: clean
clean: ## remove build/
	rm -rf $(BUILD)
