# The two commands of the README. Both create .venv when it is missing.

# Some images set it: then each of the hundreds of processes of a test run would compile all that it imports anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test check bench

demo:
	@scripts/setup
	@.venv/bin/despina demo

test: check
	@scripts/setup-js
	@scripts/setup-postgres
	@scripts/setup-notebook
	@scripts/setup-chromium
	.venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder

check:
	@scripts/setup
	.venv/bin/ruff check
	.venv/bin/mypy
	PYTHONPATH=src .venv/bin/lint-imports --no-cache

# DATA=EXPORTS adds those that measure on the exports of shared/data/make_exports.py.
bench:
	@scripts/setup
	@for name in list console scrape postgres start kit process estimate train policy auth rgcn kge sampling; do .venv/bin/python bench/$$name.py || exit 1; done
	@if [ -n "$(DATA)" ]; then \
	  for name in exports jobs quality incremental inference; do .venv/bin/python bench/$$name.py --data "$(DATA)" || exit 1; done; fi
