# make setup | demo | test-fast | test | test-all | lint | bench | lock | resolve-extras
PYTHON ?= python3
# The extras of pyproject.toml to install and to test, separated by spaces. Empty: core and the tools of the tests.
EXTRAS ?= dev
BIN := .venv/bin
UV := $(BIN)/uv
READY := .venv/.ready-$(subst $() ,-,$(or $(strip $(EXTRAS)),core))
COMPILE := $(UV) pip compile pyproject.toml --universal --python-version 3.11 --fork-strategy fewest
PYTEST := $(BIN)/python -m pytest -q -n 3
AND_CHOSEN := $(if $(strip $(EXTRAS)),,and not extra)

.PHONY: setup demo test-fast test test-all everything lint bench lock resolve-extras clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml build-constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	$(UV) pip install --quiet --python $(BIN)/python --build-constraints build-constraints.txt \
	  --constraints requirements.lock -r pyproject.toml $(addprefix --extra ,test $(EXTRAS))
	@touch $@

# Glyphs of one font in the styles of others: train, test, and where to look. SOURCE=a.ttf TARGET="b.ttf c.ttf" for yours.
FONTS = $(if $(SOURCE),--source_font $(SOURCE)) $(if $(TARGET),--target_font $(TARGET))
demo: setup
	$(BIN)/python train.py --config docs/demo.yaml --name demo --overwrite $(FONTS)
	$(BIN)/python test.py --name demo --batch_size 16

# Without the tests that are marked slow, without those that are marked exhaustive, and all of them.
test-fast: setup
	$(PYTEST) -m "not slow and not exhaustive $(AND_CHOSEN)"

test: setup lint
	$(PYTEST) -m "not exhaustive $(AND_CHOSEN)"

# With fontcheck, ray, cloud and hf, unless core alone was asked for. Slurm is tested where its daemons are (see CONTRIBUTING.md).
test-all:
	$(MAKE) --no-print-directory EXTRAS="$(if $(strip $(EXTRAS)),$(sort $(EXTRAS) fontcheck ray cloud hf))" everything

everything: setup lint resolve-extras
	DIPTYCH_TESTS_FORK=0 $(PYTEST) $(if $(AND_CHOSEN),-m "not extra")

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks.step --models cut,dcl,simdcl --sizes 64,128 --rounds 3 --floor
	$(BIN)/python -m benchmarks.step --models zi2zi --sizes 256 --variants fp32,bf16 --rounds 3
	$(BIN)/python -m benchmarks.inference --models dcl,cut --batches 1 --rounds 3
	$(BIN)/python -m benchmarks.data --workers 0,2

# Core and dev are locked together.
lock: setup
	$(COMPILE) --extra dev --no-annotate --no-header -o requirements.lock --upgrade

# Every extra has versions that go with the locked ones.
extras = $(shell $(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies'])")
resolve-extras: setup
	@set -e; for extra in $(extras); do \
	  $(COMPILE) --extra $$extra --constraints requirements.lock --quiet >/dev/null; echo "$$extra: resolved with core"; done

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
