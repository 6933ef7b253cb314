STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help run test check
help: ## list what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 8

run: ## start the server
	go run .

test: ## run the tests, on SQLite and on PostgreSQL, which is installed if that can be done
	@scripts/postgres.sh
	go test ./...

check: ## all that must hold before a commit lands: format, vet, staticcheck, races, generated files
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted by gofmt: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	go mod tidy -diff
	@before=$$(mktemp -d) && cp -R graph "$$before" && go generate ./... && diff -r "$$before/graph" graph \
		&& rm -r "$$before" || { echo "go generate ./... changed graph/: commit what it wrote"; exit 1; }
	@scripts/postgres.sh
	CGO_ENABLED=1 go test -race ./...
