# The two commands of the README are `make demo` and `make test`; each is all that a new clone needs.

SWIFT ?= swift
# Debian's packages: BLAS and LAPACK for training, gnuplot for the report's pictures.
PACKAGES = libopenblas-dev liblapacke-dev pkg-config gnuplot-nox
# For the tests too: a browser that opens the report, and what drives it; what the Python package is tested with; MPI.
TEST_PACKAGES = chromium chromium-driver python3-selenium python3-numpy python3-pytest libopenmpi-dev openmpi-bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# Tests are built apart: testing enabled changes what the optimiser may do.
TEST_FLAGS = -c release -Xswiftc -enable-testing --scratch-path .build-test --traits MPI

# The command carries Swift's libraries with it: it runs where there are none, and starts 10 ms sooner. LLD, as other linkers warn of
# what Foundation calls.
ifeq ($(shell uname -s),Linux)
STATIC_FLAGS = --static-swift-stdlib -Xswiftc -use-ld=lld
endif

# The libraries that have pages: those of the two products.
DOCUMENTED = Ranks Statistics Safetensors ExitRules ExitHeads ExitPolicy FeatureCache Evaluation RiskControl ThresholdOptimizer Calibration

SWIFT_FILES = Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources

.PHONY: demo test python-test lint docs bench levels build packages format clean

demo: build
	$(SWIFT) run -c release --skip-build beem run recipes/movie-reviews/recipe.yaml --output runs/movie-reviews

build: packages
	$(SWIFT) build -c release --product beem $(STATIC_FLAGS)

test: PACKAGES += $(TEST_PACKAGES)
test: packages
	$(SWIFT) test $(TEST_FLAGS)
# What depends on kernels once more with those that every processor has.
	BEEM_KERNELS=portable $(SWIFT) test --skip-build $(TEST_FLAGS) --filter 'LinearAlgebraTests|BackpropTests|RanksCommandTests'
	$(MAKE) python-test BEEM='$(CURDIR)/.build-test/release/beem'

# The Python package, held against the command: that of BEEM, or one that was built here; and the scripts of the recipes, each
# folder by itself, since their modules have short names. With the first Python that has NumPy and pytest, that of the path or
# Debian's.
python-test:
	@for python in python3 /usr/bin/python3; do \
	  if $$python -c 'import numpy, pytest' 2>/dev/null; then \
	    for tests in python/tests recipes/extract recipes/glue recipes/captioning; do \
	      env PYTHONPATH=python/src $(if $(BEEM),BEEM='$(BEEM)') $$python -m pytest -q $$tests || exit; \
	    done; \
	    exit 0; \
	  fi; \
	done; \
	echo "No Python with NumPy and pytest: install python3-numpy and python3-pytest." >&2; exit 1

# FULL names a folder with the features before compression, as recipes/extract makes them; they are measured too.
# TORCH=1 installs PyTorch beside the other peers, some gigabytes, and measures its L-BFGS too.
# MPI names a `beem` that was built with --traits MPI: jobs of two ranks are killed and timed.
# EXITS names a folder with three tables of exit outputs from elsewhere; frontiers and decisions on them are held against NumPy.
bench: build
	python3 -m venv .build-bench/venv
	.build-bench/venv/bin/python -m pip install --quiet numpy scikit-learn $(if $(TORCH),torch)
	.build-bench/venv/bin/python Benchmarks/training.py $(if $(FULL),--full $(FULL)) recipes/movie-reviews/recipe.yaml recipes/trec-questions/recipe.yaml
	.build-bench/venv/bin/python Benchmarks/vocabulary.py
	.build-bench/venv/bin/python Benchmarks/memory.py recipes/movie-reviews/recipe.yaml --large 3
	.build-bench/venv/bin/python Benchmarks/interrupt.py --epochs 200 recipes/trec-questions/recipe.yaml
	$(if $(MPI),.build-bench/venv/bin/python Benchmarks/interrupt.py --beem $(MPI) --ranks 2 --moments 10 --epochs 60 recipes/trec-questions/recipe.yaml)
	$(if $(MPI),.build-bench/venv/bin/python Benchmarks/ranks.py --beem $(MPI))
	$(SWIFT) build -c release --package-path Benchmarks --scratch-path .build-bench/swift
	.build-bench/swift/release/pass-speed
	.build-bench/swift/release/certify-speed
	.build-bench/swift/release/runtime-speed
	.build-bench/venv/bin/python Benchmarks/frontier.py --frontier-speed .build-bench/swift/release/frontier-speed \
	  recipes/movie-reviews/recipe.yaml checkpoints/movie-reviews/heads.safetensors
	for recipe in movie-reviews trec-questions; do \
	  .build-bench/venv/bin/python Benchmarks/recorded_outputs.py recipes/$$recipe/recipe.yaml \
	    checkpoints/$$recipe/heads.safetensors .build-bench/$$recipe-outputs.safetensors || exit; \
	done
	.build-bench/venv/bin/python Benchmarks/report.py recipes/movie-reviews/recipe.yaml \
	  .build-bench/movie-reviews-outputs.safetensors
	.build-bench/swift/release/optimality-gap .build-bench/movie-reviews-outputs.safetensors \
	  .build-bench/trec-questions-outputs.safetensors
	$(if $(EXITS),.build-bench/venv/bin/python Benchmarks/exit_outputs.py --beem .build/release/beem $(EXITS))

# Error rates of the whole procedure on 10,000 draws whose truth is known; about an hour on two cores.
levels: build
	python3 Benchmarks/levels.py --output Benchmarks/levels.json \
	  recipes/movie-reviews/recipe.yaml checkpoints/movie-reviews/heads.safetensors \
	  recipes/trec-questions/recipe.yaml checkpoints/trec-questions/heads.safetensors

lint:
	$(SWIFT) format lint --strict --parallel --recursive $(SWIFT_FILES)

# Pages from comments and articles, as a website in .build-docs; a link that leads nowhere is an error. Built with the tests'
# flags and beside them: after `make test` nothing is compiled again.
docs: packages
	$(SWIFT) package $(TEST_FLAGS) --allow-writing-to-directory .build-docs generate-documentation --warnings-as-errors \
	  $(DOCUMENTED:%=--target %) --enable-experimental-combined-documentation --output-path .build-docs

format:
	$(SWIFT) format --in-place --parallel --recursive $(SWIFT_FILES)

packages:
	@missing=""; for package in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "Installing$$missing" && $(SUDO) apt-get update -qq && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

clean:
	rm -rf .build .build-test .build-bench .build-docs runs
