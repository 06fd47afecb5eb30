# Two commands do everything: `make infer IMG=photo.jpg` and `make test`.
PYTHON ?= python3
VENV := .venv
DEV := .venv-dev
MODEL ?= cv_unet
IMG ?=
GPUS ?= t4 a100 a10 l4 rtx4090 rtx5090
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: infer named dev test lint engines bench weights clean

infer: named $(VENV)/.installed  ## IMG=photo.jpg [MODEL=cv_unet]: the picture done, on the CPU, with no torch
	@$(VENV)/bin/trtkit infer "$(IMG)" --model $(MODEL)

named:
	@test -n "$(IMG)" || { echo "make infer: IMG is missing; right would be: make infer IMG=photo.jpg"; exit 2; }

dev: $(DEV)/.installed  ## the environment with everything, for export, build, the benches and the tests

# A process per core, at most four: each takes a gigabyte or two. In each, torch keeps to one thread.
test: $(DEV)/.installed  ## every test this machine can run
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m pytest -n auto --maxprocesses 4

lint: $(DEV)/.installed  ## ruff and mypy
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

engines: $(DEV)/.installed  ## the CI matrix, locally: every model for every GPU, built without a GPU
	$(DEV)/bin/trtkit build $(foreach gpu,$(GPUS),--gpu $(gpu))
	$(DEV)/bin/trtkit verify artifacts

bench: $(DEV)/.installed  ## what can be measured here, side by side
	$(DEV)/bin/trtkit bench host

weights: $(DEV)/.installed  ## MODEL=cv_unet, dct_net or hrn: train the embedded weights again (cv_unet's and hrn's in minutes on a GPU)
	$(DEV)/bin/python -m training.$(MODEL).train

clean:
	rm -rf $(VENV) $(DEV) build *.egg-info

# Python compiles what is imported when it is first imported: a small part of what pip would compile.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --no-compile -c constraints.txt -e ".[cpu,hrn]"
	@touch $@

$(DEV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --no-compile -c constraints.txt -e ".[cpu,export,hrn,hub,rtx,serve,dev]"
	@touch $@
