# Everything a newcomer needs: `make demo` and `make test`. Both create the environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types contracts packages unit scenarios zoo chaos bench clean

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Creating $(VENV) and installing into it; this takes about a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/k8sactors compare scenarios/failover-tour.yaml

test: lint types contracts packages unit scenarios

# Real etcd tools for the tests of the gateway, and a load generator for the comparison with it:
# installed where that is possible, else those tests say why they are skipped.
packages:
	@if command -v etcdctl >/dev/null && command -v etcd >/dev/null \
		&& command -v h2load >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing etcd-client, etcd-server and nghttp2-client for the tests"; \
		(timeout 120 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 240 apt-get \
			install -y -qq --no-install-recommends \
			etcd-client etcd-server nghttp2-client) >/dev/null 2>&1 \
			|| echo "not installed: the tests that need them are skipped"; \
	else echo "no etcdctl here: the tests that need it are skipped"; fi

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
