# The targets need Go and make; e2e installs what else it needs by itself.

STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
PLATFORMS   = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
FUZZTIME    = 30s

export CGO_ENABLED ?= 0

.PHONY: build install man test demo e2e lint bench fuzz

build: ## bin/oauth-login
	go build -trimpath -ldflags='-s -w' -o bin/ ./cmd/oauth-login

install: ## into $(go env GOPATH)/bin
	go install -trimpath -ldflags='-s -w' ./cmd/oauth-login

DIR = man
man: ## manual pages, into DIR: make man DIR=$HOME/.local/share/man/man1
	@mkdir -p "$(DIR)"
	go test -count=1 -run '^TestManPages$$' ./cmd/oauth-login -args -man "$$(cd "$(DIR)" && pwd)"

test: ## everything that needs nothing but Go (and a C compiler for the race detector, where there is one)
	@if CGO_ENABLED=1 go build -race -o /dev/null ./internal/issuer 2>/dev/null; \
	then CGO_ENABLED=1 go test -race ./...; \
	else echo 'no C compiler: without the race detector'; go test ./...; fi

demo: ## sign in to a provider of its own
	@go run ./cmd/oauth-login demo

e2e: ## real provider, browser and keychain; installs them where they are missing
	cd e2e && ./setup.sh && go test -count=1 -timeout 10m ./...
	cd e2e/embed && go test -count=1 ./...
	go test -count=1 -run '^Test(ShellsComplete|ManPages)$$' ./cmd/oauth-login

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	@for platform in $(PLATFORMS); do \
		echo "vet $$platform" && GOOS=$${platform%/*} GOARCH=$${platform#*/} go vet ./... || exit 1; \
	done
	$(STATICCHECK) ./...
	cd e2e && go vet ./... && $(STATICCHECK) ./...
	cd e2e/bench && go vet ./... && $(STATICCHECK) ./...
	cd e2e/embed && go vet ./... && $(STATICCHECK) ./...
	go mod verify
	go mod tidy -diff

FIGURES = $(CURDIR)/bin/figures

bench: ## everything beside its limit, in the end in one table; docs/performance.md says what the figures mean
	cd e2e && ./setup.sh
	@mkdir -p bin && rm -f $(FIGURES)
	go test -run '^$$' -bench . -benchmem ./grant ./store
	cd e2e/bench && BENCH_FIGURES=$(FIGURES) go test -count=1 -v -bench . -benchmem ./...
	cd e2e && BENCH_FIGURES=$(FIGURES) go test -count=1 -v -run '(Speed|Memory)Of' .
	@printf '\n%-48s %10s %10s %6s\n' '' 'this' 'its limit' 'ratio' && cat $(FIGURES)

fuzz: ## each target for FUZZTIME
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target" && go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done
