# The two commands of the README. Both create .venv when it is missing.
.PHONY: demo test check bench

demo:
	@scripts/setup
	@.venv/bin/despina demo

test: check
	@scripts/setup-js
	.venv/bin/pytest

check:
	@scripts/setup
	.venv/bin/ruff check
	.venv/bin/mypy
	PYTHONPATH=src .venv/bin/lint-imports --no-cache

bench:
	@scripts/setup
	@for script in bench/*.py; do .venv/bin/python "$$script" || exit 1; done
