# `make demo` shows the whole loop on real text; `make test` says whether this checkout is sound.

PREFIX ?= /usr/local
RELEASE = .build/static/alinfik-$(shell sed -n 's/.*alinfikVersion = "\(.*\)"/\1/p' Sources/Formats/Version.swift)-linux-$(shell uname -m)

.PHONY: help setup build release install try-release demo test check-peers test-integrations bench-label bench-growth bench-train bench-score bench-select format format-check clean

SWIFT_SOURCES := Sources Tests Benchmarks Package.swift

help: ## what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the build needs (Debian packages); quiet when nothing is missing
	@scripts/setup.sh

build: setup ## build the `alinfik` command: .build/release/alinfik
	swift build -c release --product alinfik

release: setup ## an archive with a command that needs only the C library, man pages, completions: .build/static/alinfik-*.tar.gz
	@scripts/release.sh

install: ## put what `make release` made under PREFIX (/usr/local); DESTDIR goes before it
	@test -d $(RELEASE) || { echo "install: $(RELEASE) is missing: run make release first" >&2; exit 66; }
	mkdir -p "$(DESTDIR)$(PREFIX)"
	cp -R --no-preserve=ownership $(RELEASE)/. "$(DESTDIR)$(PREFIX)"

try-release: build release ## score with the archive in a bare Debian (debootstrap; as root), beside the build here
	@scripts/try-release.sh

demo: build ## label, train, score and compare on real text (downloads 130 MB once; FORCE=1 starts over)
	@scripts/demo.sh $(if $(FORCE),--force)

test: setup ## build and run all tests; needs no model, no Python packages
	swift build -c release --build-tests
	swift test -c release --skip-build

check-peers: build ## hold results against PyTorch, transformers, sentence-transformers and h5py
	@scripts/check-peers.sh

test-integrations: build ## test the Python package with pyarrow, Ray, Spark, datatrove, onnxruntime (ARGS: for pytest)
	@scripts/test-integrations.sh $(ARGS)

bench-label: setup ## our labels beside LogIX, Bergson and plain PyTorch; continues where it stopped (ARGS=--quick: a look)
	swift build -c release --product Benchmarks
	@python3 Benchmarks/label.py $(ARGS)

bench-growth: setup ## the cost of a sample against tokens and parameters, and docs/images/growth.svg (ARGS=--quick: a look)
	swift build -c release --product Benchmarks
	@python3 Benchmarks/growth.py $(ARGS)

bench-score: build ## scoring beside tokenizers, PyTorch, onnxruntime, sentence-transformers: ARGS="[tokenizers] [encoder] [stream|mixed|memory --valuator V --texts F]"
	swift build -c release --product Benchmarks
	@python3 Benchmarks/score.py $(ARGS)

bench-train: build ## fine-tuning a text encoder beside PyTorch: ARGS="LABELS.h5 ENCODER"
	@python3 Benchmarks/train.py $(ARGS)

bench-select: build ## time and memory of `select` for so many made-up scored rows: ARGS="1M 10M" (--help: where they lie, --keep)
	@python3 Benchmarks/selection.py $(ARGS)

format: ## rewrite the sources in the house style
	swift format --in-place --recursive $(SWIFT_SOURCES)

format-check: ## fail where the style is not kept
	swift format lint --strict --recursive $(SWIFT_SOURCES)

clean: ## remove build products; downloads (.cache) and results (runs) stay
	rm -rf .build
