# make setup | demo | test | lint | bench | lock
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv

.PHONY: setup demo test lint bench lock clean

setup: .venv/.ready

.venv/.ready: requirements.lock build-constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	$(UV) pip install --quiet --python $(BIN)/python --build-constraints build-constraints.txt -r requirements.lock
	@touch $@

# Glyphs of one font in the styles of others: train, test, and where to look. SOURCE=a.ttf TARGET="b.ttf c.ttf" for yours.
FONTS = $(if $(SOURCE),--source_font $(SOURCE)) $(if $(TARGET),--target_font $(TARGET))
demo: setup
	$(BIN)/python train.py --config docs/demo.yaml --name demo --overwrite $(FONTS)
	$(BIN)/python test.py --name demo --batch_size 16

test: setup lint
	$(BIN)/python -m pytest -q -n 2

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks.step --models cut,dcl,simdcl --sizes 64,128 --rounds 3 --floor
	$(BIN)/python -m benchmarks.step --models zi2zi --sizes 256 --variants fp32,bf16 --rounds 3
	$(BIN)/python -m benchmarks.inference --models dcl,cut --batches 1 --rounds 3
	$(BIN)/python -m benchmarks.data --workers 0,2

lock: setup
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --fork-strategy fewest --no-annotate --no-header -o requirements.lock --upgrade

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
