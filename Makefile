# Two commands matter: `make run` and `make test`. Both set everything up on first use.

PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 3
BROWSERS ?= 2
SUBSCRIBERS ?= 100,1000
FORGE := bin/forge
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
PYTHON_SOURCES := backend sdk/python bots tests migrations scripts

.DEFAULT_GOAL := help
.PHONY: help run test test-web test-browser measure-web check demo sim crash drill-chain bench-core bench-journal bench-deposits bench-candles bench mutants format lint types imports openapi asyncapi \
	contracts-test contracts-ci contracts-gas contracts-gas-write contracts-coverage slither python-test core clean lock bench-feeds

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: core build/contracts/.ready web/dist/.ready ## Start the exchange and its web app on a local devnet (ARGS="--fresh" starts over)
	@exec $(BIN)/exchange devnet $(ARGS)

demo: core build/contracts/.ready ## Play the main job, wallet to wallet, against a devnet of its own
	@exec $(BIN)/python scripts/demo.py $(ARGS)

sim: core ## Simulate the engine with injected faults: SEED=7 or SEED=1..200, COMMANDS=300
	@$(BIN)/python -m tests.sim --seeds $(or $(SEED),1..200) --commands $(or $(COMMANDS),300) $(ARGS)

crash: core build/contracts/.ready ## Kill a running exchange with SIGKILL and compare: CYCLES=20, SEED=
	@exec $(BIN)/python -m scripts.crash --cycles $(or $(CYCLES),20) $(if $(SEED),--seed $(SEED)) $(ARGS)

drill-chain: core build/contracts/.ready ## Reorganize the chain, kill its payer at every step: REORGS=200 KILLS=20 SEED=
	@exec $(BIN)/python -m scripts.chain_drill --reorgs $(or $(REORGS),200) --kills $(or $(KILLS),20) \
		$(if $(SEED),--seed $(SEED)) $(ARGS)

bench-core: core ## Speed of the engine in memory, beside a peer (ARGS=--full for longer rounds)
	@exec $(BIN)/python -m scripts.bench.core $(ARGS)

bench-journal: core ## Durable commands a second through sequencer and journal, beside raw commits
	@exec $(BIN)/python -m scripts.bench.journal $(ARGS)

bench-deposits: core build/contracts/.ready ## Deposits credited a second, beside the node alone: DEPOSITS=100000 BLOCKS=50000
	@exec $(BIN)/python -m scripts.bench.deposits --deposits $(or $(DEPOSITS),100000) --blocks $(or $(BLOCKS),50000)

bench-feeds: core ## How old updates of the book are when read: SUBSCRIBERS=100,1000 ORDERS_PER_S=5000 SECONDS=10
	@exec $(BIN)/python -m scripts.bench.feeds --subscribers $(SUBSCRIBERS) \
		--orders-per-s $(or $(ORDERS_PER_S),5000) --seconds $(or $(SECONDS),10) $(ARGS)

bench-candles: core ## Trades a second into ClickHouse, and how fast 1,000 candles come out: TRADES=10000000
	@exec $(BIN)/python -m scripts.bench.candles --trades $(or $(TRADES),10000000)

bench: core build/contracts/.ready ## Durable signed orders/s over HTTP and WebSocket, beside SQL: SECONDS=10 ARGS="--sustained 600 --profile"
	@exec $(BIN)/python -m scripts.bench.load --seconds $(or $(SECONDS),10) --orders $(or $(ORDERS),100000) $(ARGS)

mutants: .venv/.ready ## Plant faults in ledger, matching and fees; the share that the tests find
	@exec $(BIN)/python scripts/mutants.py

test: contracts-test test-web python-test ## All tests but those in a browser

check: lint types imports test ## Format, lint, types, import layers, then all tests

contracts-test: build/contracts/.ready
	@echo "== contracts"
	@$(FORGE) fmt --check
	@$(FORGE) test

contracts-ci: build/contracts/.ready contracts-gas contracts-coverage ## The contracts as CI tests them: long, gas, coverage
	@echo "== contracts, 10,000 runs of each fuzz test"
	@$(FORGE) fmt --check
	@FOUNDRY_PROFILE=ci $(FORGE) test

contracts-gas: build/contracts/.ready
	@echo "== gas of the main paths, beside .gas-snapshot"
	@FORGE_SNAPSHOT_CHECK=true $(FORGE) test --isolate --match-contract GasTest

contracts-gas-write: build/contracts/.ready
	@FORGE_SNAPSHOT_EMIT=true $(FORGE) test --isolate --match-contract GasTest

# Compiled for itself, without the optimizer. It must not need luck: the fuzz tests get few runs.
contracts-coverage: build/contracts/.ready
	@echo "== coverage of contracts/src: every line and branch"
	@mkdir -p build/coverage
	@FOUNDRY_OUT=build/coverage/out FOUNDRY_CACHE_PATH=build/coverage/cache FOUNDRY_FUZZ_RUNS=16 \
		$(FORGE) coverage --no-match-contract 'Invariants|GasTest' --report lcov --report-file build/coverage/lcov.info \
		> build/coverage/log || { cat build/coverage/log; exit 1; }
	@$(PYTHON) scripts/contract_coverage.py build/coverage/lcov.info

# Compiled for itself too: the analyser begins with cleaning up.
slither: node_modules/.ready .venv-slither/.ready ## Static analysis of the contracts: fails on a finding without an answer
	@PATH="$(CURDIR)/bin:$(CURDIR)/node_modules/.bin:$$PATH" FOUNDRY_OUT=build/slither/out FOUNDRY_CACHE_PATH=build/slither/cache \
		.venv-slither/bin/slither . --config-file contracts/slither.config.json

test-web: .venv/.ready web/node_modules/.ready ## The web app's types, and the tests of its parts
	@echo "== web app"
	@cd web && node_modules/.bin/tsc --noEmit && node_modules/.bin/vitest run --testTimeout 60000

test-browser: core build/contracts/.ready web/dist/.ready ## The built web app in a real browser, against a devnet of its own (needs Chromium)
	@test -n "$(CHROMIUM)" || { echo "$(NO_CHROMIUM)"; exit 1; }
	@echo "== web app in $(CHROMIUM)"
	@CHROMIUM="$(CHROMIUM)" $(BIN)/pytest -n $(BROWSERS) --dist loadfile -q tests/browser $(ARGS)

measure-web: core build/contracts/.ready web/dist/.ready ## How large and how fast the built web app is (needs Chromium)
	@test -n "$(CHROMIUM)" || { echo "$(NO_CHROMIUM)"; exit 1; }
	@CHROMIUM="$(CHROMIUM)" $(BIN)/python -m scripts.measure_web $(ARGS)

NO_CHROMIUM := Chromium is needed: apt-get install chromium (Debian), brew install --cask chromium (macOS), or CHROMIUM=/path/to/it

python-test: core build/contracts/.ready
	@echo "== backend"
	@$(BIN)/pytest -n $(JOBS) -q --ignore=tests/browser
	@echo "== the core once more, interpreted"
	@EXCHANGE_CORE=python $(BIN)/pytest -n $(JOBS) -q tests/core tests/golden

format: .venv/.ready node_modules/.ready ## Format everything
	@$(BIN)/ruff format $(PYTHON_SOURCES)
	@$(BIN)/ruff check --fix $(PYTHON_SOURCES)
	@$(FORGE) fmt

lint: .venv/.ready
	@$(BIN)/ruff format --check $(PYTHON_SOURCES)
	@$(BIN)/ruff check $(PYTHON_SOURCES)

types: .venv/.ready
	@$(BIN)/mypy

imports: .venv/.ready
	@$(BIN)/lint-imports

openapi: .venv/.ready node_modules/.ready ## Write docs/api/openapi.json and the TypeScript types of it again after a change of the API
	@$(BIN)/python -m exchange.edge.openapi_file
	@node_modules/.bin/openapi-typescript docs/api/openapi.json --output sdk/typescript/exchange.d.ts

asyncapi: .venv/.ready ## Write docs/api/asyncapi.json again after a change of the streams' messages
	@$(BIN)/python -m exchange.edge.ws.asyncapi_file

lock: ## Resolve the Python dependencies again (needs uv)
	uv pip compile pyproject.toml --extra dev --generate-hashes --no-emit-index-url --universal \
		--python-version 3.11 --no-header -o requirements.lock
	echo slither-analyzer | uv pip compile - --generate-hashes --no-emit-index-url --universal \
		--python-version 3.11 --no-header --no-annotate -o requirements-slither.lock

clean: ## Remove everything that was built; keeps .data
	rm -rf .venv .venv-slither node_modules web/node_modules web/dist build backend/exchange/core/compiled backend/exchange/core/compiled.*

# ---- set-up ----------------------------------------------------------------------------------------

.venv/.ready: requirements.lock pyproject.toml sdk/python/pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, this is $$($(PYTHON) --version): set PYTHON=/path/to/python3"; exit 1; }
	@echo "== set-up 1/4: Python packages into .venv (about two minutes the first time)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e sdk/python
	@touch $@

core: .venv/.ready # always asked: only what is there, not when it was made, tells whether it fits
	@$(BIN)/python scripts/compile_core.py

.venv-slither/.ready: requirements-slither.lock
	@$(PYTHON) -m venv .venv-slither
	@.venv-slither/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-slither.lock
	@touch $@

node_modules/.ready: package.json package-lock.json
	@command -v npm >/dev/null || { echo "Node.js 20 or newer with npm is needed: https://nodejs.org"; exit 1; }
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || \
		{ echo "Node.js 20 or newer is needed, this is $$(node --version)"; exit 1; }
	@echo "== set-up 2/4: contract toolchain into node_modules"
	@npm ci --ignore-scripts --loglevel=error
	@touch $@

build/contracts/.ready: node_modules/.ready foundry.toml bin/solc $(shell find contracts -name '*.sol')
	@echo "== set-up 3/4: contracts"
	@$(FORGE) build --quiet
	@touch $@

# The page is built by Vite, which takes Node 20.19, or 22.12 and newer.
web/node_modules/.ready: web/package.json web/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js 20.19 or newer with npm is needed: https://nodejs.org"; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)' || \
		{ echo "Node.js 20.19, or 22.12 or newer, is needed, this is $$(node --version)"; exit 1; }
	@echo "== set-up 4/4: web app"
	@cd web && npm ci --ignore-scripts --loglevel=error
	@touch $@

web/dist/.ready: web/node_modules/.ready web/index.html web/vite.config.ts web/tsconfig.json sdk/typescript/exchange.d.ts $(shell find web/src web/public -type f ! -name '*.test.ts*')
	@cd web && node_modules/.bin/vite build --logLevel warn
	@touch $@
