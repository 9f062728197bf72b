# guiju: `make serve` and `make test` do all the set-up they need, on a machine that has python3 (3.11+, with venv) and make.
# Everything lands in .tools (the installer) and .venv (the locked packages); remove both to start afresh.
.DEFAULT_GOAL := help
.PHONY: help install serve test lint check bench docs soak browser readers node clean

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
RUN := .venv/bin/python
SOURCES := src tests bench
export UV_PYTHON_DOWNLOADS := never
# Byte code is made with the installation and not by the first start; where Python may not write it, every start would compile all sources anew.
export UV_COMPILE_BYTECODE := 1
COMPILE = $(RUN) -m compileall -q -j 0 src/guiju
export UV_PROJECT_ENVIRONMENT := .venv

help:  ## Show the verbs
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

.tools/.uv-$(UV_VERSION):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "guiju needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Nothing was installed. Name a newer one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module. Nothing was installed. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# The service alone; a development set-up that is already there stays.
.venv/.service: uv.lock pyproject.toml | .tools/.uv-$(UV_VERSION)
	$(UV) sync --python $(PYTHON) --frozen --quiet --no-dev --extra demo --extra sm2 --extra media --extra documents --inexact
	@$(COMPILE)
	@touch $@

.venv/.development: uv.lock pyproject.toml | .tools/.uv-$(UV_VERSION)
	$(UV) sync --python $(PYTHON) --frozen --quiet
	@$(COMPILE)
	@touch $@ .venv/.service

install: .venv/.development  ## Set up everything for development

serve: .venv/.service  ## Run the service (ARGS="--port 9000 …")
	@exec .venv/bin/guiju serve $(ARGS)

# Tests, and what was changed since the installation, are compiled by the first who reads them, also where the environment (an image for
# containers, say) forbids it: hundreds of processes start.
test: export PYTHONDONTWRITEBYTECODE :=
test: .venv/.development browser readers node  ## Run every test
	$(RUN) -m pytest $(ARGS)

lint: .venv/.development  ## Style of code, messages and generated pages
	.venv/bin/ruff check $(SOURCES)
	.venv/bin/ruff format --check $(SOURCES)
	$(RUN) -m guiju.handbook --check

check: .venv/.development  ## Strict types
	.venv/bin/mypy

bench: .venv/.development  ## Measure, side by side with a bare proxy; writes bench/out/*.json
	$(RUN) -m bench $(ARGS)

soak: .venv/.development  ## Kill and starve the service at length (20 minutes); writes bench/out/soak.json
	$(RUN) -m bench.soak $(ARGS)

docs: .venv/.development  ## Write the pages made from the code, build the site into site/
	$(RUN) -m guiju.handbook
	.venv/bin/mkdocs build --strict

# These are optional for the tests, which say loudly what they had to skip and why.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium for the browser tests"; \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-noto-cjk) >/dev/null || \
	  echo "Chromium could not be installed: the browser tests will be skipped"; \
	else echo "No Chromium here, and no right to install it: the browser tests will be skipped"; fi

# exiftool, ffmpeg, mediainfo, pdfinfo and LibreOffice look at what labelling wrote.
readers:
	@command -v exiftool >/dev/null && command -v ffprobe >/dev/null && command -v mediainfo >/dev/null && command -v pdfinfo >/dev/null && command -v qpdf >/dev/null && \
	command -v soffice >/dev/null && perl -MArchive::Zip -e1 2>/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing exiftool, ffmpeg, mediainfo, poppler, qpdf and LibreOffice for the tests of labels"; \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends libimage-exiftool-perl libarchive-zip-perl ffmpeg mediainfo poppler-utils qpdf) >/dev/null || \
	  echo "They could not be installed: the tests with independent readers will be skipped"; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends libreoffice-writer-nogui libreoffice-calc-nogui >/dev/null || \
	  echo "LibreOffice could not be installed: its tests will be skipped"; \
	else echo "Not every independent reader is here (exiftool with Archive::Zip, ffmpeg, mediainfo, pdfinfo, soffice), and there is no right to install them: their tests will be skipped"; fi

node: tests/node/node_modules/.ready

tests/node/node_modules/.ready: $(wildcard tests/node/package-lock.json)
	@if command -v npm >/dev/null && [ -f tests/node/package-lock.json ]; then \
	  (cd tests/node && npm ci --silent --ignore-scripts --no-audit --no-fund && touch node_modules/.ready) || echo "npm could not install the Node SDK: its test will be skipped"; \
	else echo "No npm here: the test of the Node SDK will be skipped"; fi

clean:  ## Remove what was installed and built
	rm -rf .tools .venv site tests/node/node_modules
