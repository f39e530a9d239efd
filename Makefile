# Everything a newcomer needs: `make demo` and `make test`. Both create the environment first,
# from the locked versions of requirements.lock.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check --quiet

.PHONY: demo test test-newest lock lint types contracts packages unit scenarios zoo chaos fuzz bench clean

$(VENV)/.installed: pyproject.toml requirements.lock
	@$(PYTHON) .ci/python_version.py
	@echo "Creating $(VENV) and installing into it; this takes about a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) install --require-hashes --no-deps --requirement requirements.lock
	@$(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# Renews requirements.lock: the newest versions that pyproject.toml allows, for every supported
# Python, with hashes. Commit it when `make test` passes.
lock: $(VENV)/.installed
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
		--generate-hashes --no-header --no-annotate --no-emit-index-url \
		--output-file requirements.lock pyproject.toml
	@git --no-pager diff --stat -- requirements.lock

# The suite on the newest versions that pyproject.toml allows; says which package broke what.
test-newest: $(VENV)/.installed
	$(BIN)/python .ci/test_newest.py

demo: $(VENV)/.installed
	$(BIN)/k8sactors compare scenarios/failover-tour.yaml

test: lint types contracts packages unit scenarios

# Real etcd tools for the tests of the gateway, a load generator for the comparison with it, and
# Debian's kubectl, which is unpacked next to others: where they cannot be had, those tests say why
# they are skipped.
packages: $(VENV)/.installed
	@if command -v etcdctl >/dev/null && command -v etcd >/dev/null \
		&& command -v h2load >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing etcd-client, etcd-server and nghttp2-client for the tests"; \
		(timeout 120 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 240 apt-get \
			install -y -qq --no-install-recommends \
			etcd-client etcd-server nghttp2-client) >/dev/null 2>&1 \
			|| echo "not installed: the tests that need them are skipped"; \
	else echo "no etcdctl here: the tests that need it are skipped"; fi
	@if [ -x $(VENV)/kubernetes-client/usr/bin/kubectl ]; then :; \
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
		echo "fetching kubernetes-client for the tests"; \
		mkdir -p $(VENV)/kubernetes-client && cd $(VENV)/kubernetes-client \
		&& (timeout 240 apt-get download -qq kubernetes-client \
			&& dpkg-deb --extract kubernetes-client_*.deb . \
			&& rm kubernetes-client_*.deb) >/dev/null 2>&1 \
			|| echo "not fetched: the tests that need it are skipped"; \
	else echo "no kubectl of Debian here: the tests that need it are skipped"; fi

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed
	$(BIN)/mypy

contracts: $(VENV)/.installed
	$(BIN)/lint-imports

unit: $(VENV)/.installed
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term:skip-covered -q

scenarios: $(VENV)/.installed
	$(BIN)/k8sactors validate scenarios/*.yaml

zoo: $(VENV)/.installed
	$(BIN)/k8sactors zoo

chaos: $(VENV)/.installed
	$(BIN)/k8sactors chaos scenarios/chaos-stacked.yaml --seeds 1..100 --jobs 2
	$(BIN)/k8sactors chaos scenarios/chaos-external.yaml --seeds 1..100 --jobs 2

# Arbitrary requests of the served OpenAPI: refused as documented, or served. Repeated by its seed.
fuzz: $(VENV)/.installed
	$(BIN)/python -m tests.fuzz.campaign --requests 20000 --seed 1

bench: $(VENV)/.installed
	$(BIN)/python -m benches.store put range txn mixed --clients 1 --clients 100 --clients 1000
	$(BIN)/python -m benches.store watch watch-own-ranges --clients 1000
	$(BIN)/python -m benches.store_memory
	$(BIN)/python -m benches.store_catch_up
	@if command -v etcd >/dev/null && command -v h2load >/dev/null; then \
		$(BIN)/python -m benches.store_vs_etcd --wire; \
	else echo "no comparison with a real etcd: etcd or h2load is not installed"; fi
	$(BIN)/python -m benches.scheduling --nodes 5000 --init-pods 1000 --pods 10000
	$(BIN)/python -m benches.simulation --nodes 100 --virtual-seconds 600

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage
