# make demo · make test · make test-core · make torture: each makes its environment first where that is needed.
PYTHON ?= python3
CORE_TORCH = 2.13.0
# Two processes of one thread each: what tests train is too small for more, and two threads that wait for each other on a busy machine take ten times as long.
PYTEST = -m pytest --numprocesses 2 --dist loadfile
test test-core: export OMP_NUM_THREADS = 1
.PHONY: demo test test-core lint clean torture

demo: .venv/ready
	.venv/bin/python examples/demo.py

test: lint
	.venv/bin/python $(PYTEST)
	$(MAKE) test-core

lint: .venv/ready
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

# The core must work with an older torch, a CPU build, and no extras at all.
test-core: .venv-core/ready
	.venv-core/bin/python $(PYTEST) -m "not extras"

torture: .venv/ready
	.venv/bin/python -m benchmarks.torture

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,all]'
	touch $@

.venv-core/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-core
	sed '/^torch==/d' constraints.txt > .venv-core/constraints.txt
	.venv-core/bin/python -m pip install --quiet --constraint .venv-core/constraints.txt torch==$(CORE_TORCH) --editable . pytest pytest-timeout pytest-xdist hypothesis
	touch $@

clean:
	rm -rf .venv .venv-core .mypy_cache .pytest_cache .ruff_cache
