STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
BENCHED = ./db ./graph ./web
FUZZTIME = 5s

# What takes the race detector longest, code of others but for a file: a hash is one goroutine, and SQLite, in Go, a minute to compile.
# Only packages without generic functions: the linker may take theirs for all, those of sync.Map too, and then sees races in everything.
NO_RACE = -gcflags=latchkey/internal/argon2=-race=false -gcflags=modernc.org/sqlite/lib=-race=false
race = $(if $(RACE),-race $(NO_RACE))

# What takes longest begins first, or it comes last and has the machine to itself.
LONGEST = ./web ./auth ./db
# What needs the machine to itself, or waits most of the time.
APART = -e /chaos$$ -e /verify$$ -e /clients$$ -e /examples$$

# Where scripts/node.sh puts a Node.js that is new enough, if the system's is not.
export PATH := $(CURDIR)/.tools/node_modules/node/bin:$(PATH)

.PHONY: help run tools test check fuzz bench benchstat soak explorer passwords release
help: ## list what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 8

run: ## start the server
	go run .

tools: ## install what the tests and the checks need and the system has not, if that can be done
	@scripts/databases.sh
	@scripts/node.sh
	@scripts/promtool.sh

test: tools ## run the tests, on SQLite and PostgreSQL and in a browser; RACE=1 looks for races, for which it needs a C compiler
	go test $(race) -vet=off -p 3 $(LONGEST) $$(go list ./... | grep -v $(APART))
	go test -p 1 -parallel 4 ./clients ./examples # which wait most of the time, for tokens to expire
	go test $(race) ./verify # by itself, as the next: they need the machine, but for what gives way
	go test -parallel 3 ./internal/chaos

check: tools ## what else must hold before a commit lands: format, vet, staticcheck, generated files, modules
	@unformatted=$$(git ls-files '*.go' | xargs gofmt -l); test -z "$$unformatted" || { echo "not formatted by gofmt: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	go mod tidy -diff
	@# In a copy: files that are written anew must not be compiled at the same time.
	@copy=$$(mktemp -d) && git ls-files -zco --exclude-standard | tar --null -T - -cf - | tar -xf - -C "$$copy" && (cd "$$copy" && go generate ./...) \
		&& diff -r graph "$$copy/graph" && diff -r internal/argon2 "$$copy/internal/argon2" && rm -r "$$copy" \
		|| { echo "go generate ./... changes files: run it, and commit what it wrote"; exit 1; }
	node_modules/.bin/eslint --config web/conformance/eslint.config.mjs schema.graphqls
	cd deploy/check && go vet ./... && go test -vet=off ./... # a module of its own: what it needs, the server does not
	cd examples/go && go vet ./... # another one; its tests are among those of examples

fuzz: ## fuzz what strangers send, each for FUZZTIME
	@grep -rho --include='*_test.go' '^func Fuzz[A-Za-z]*' auth web | sort | while read -r _ name; do \
		folder=$$(dirname "$$(grep -rl --include='*_test.go' "^func $$name(" auth web)"); \
		echo "$$name"; go test -timeout 10m -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) "./$$folder" || exit 1; \
	done

explorer: ## fetch the explorer's parts anew, at the versions of web/explorer/package.json
	scripts/explorer.sh

release: ## build what is published of a version, in dist/ or DIST; VERSION=… names it
	scripts/release.sh

passwords: ## fetch the list of common passwords anew, at the version of auth/passwords/package.json
	scripts/passwords.sh

bench: ## measure the server beside what this machine can do, and a large database: a quarter of an hour; BENCH='-plan growth' measures something else, BENCH=-help says what
	@scripts/databases.sh
	go run ./bench $(BENCH)
	$(if $(BENCH),,go test ./bench/scale -run '^$$' -bench . -benchtime 1x -timeout 40m)

benchstat: ## compare the benchmarks of packages with those of another version's source, in the folder BEFORE
	@test -n "$(BEFORE)" || { echo "BEFORE=… names the folder"; exit 1; }
	@results=$$(mktemp -d) && for version in before after; do \
		folder=.; [ $$version = after ] || folder="$(BEFORE)"; \
		(cd "$$folder" && go test -run '^$$' -bench . -benchmem -count 10 $(BENCHED)) >"$$results/$$version" || exit 1; \
	done && go run $(BENCHSTAT) "$$results/before" "$$results/after" && rm -r "$$results"

soak: ## break everything for as long as it takes, about two hours of which one watches memory, and print a table; SEED=n repeats one
	@scripts/databases.sh soak
	@scripts/node.sh
	$(MAKE) --no-print-directory fuzz FUZZTIME=1m
	go run ./bench -plan mix -duration 65m -rate 500 -users 100000
	go test ./examples -v -run TestTheExamplesKeep -soak -parallel 3 -timeout 30m
	go test ./web -v -run TestTheTimeOfAnAnswer -soak -timeout 20m
	go test ./internal/chaos -v -soak -parallel 2 -timeout 90m $(if $(SEED),-seed $(SEED))
