// Package chaos shows, by its tests, that the promises of docs/rotation.md hold while things fail. They
// start real server processes on one real database, let clients sign in, refresh, ask and revoke as
// people, tabs and thieves do, break something, and have package history judge what the clients saw.
//
//	go test ./internal/chaos                         the quick faults, as in `make test`
//	go test ./internal/chaos -v -soak -timeout 90m   all of them, as in `make soak`
//	go test ./internal/chaos -run 'TestFaults/servers_killed$/postgres' -seed 7
//
// Everything that the run decides follows from the seed: who does what and when, on which server, and
// what breaks when. How processes interleave does not.
//
// It needs Linux, whose means it kills, mounts and cleans up with.
//
// The files: build_test.go makes servers, broken ones too; server_test.go keeps processes running;
// database_test.go and patroni_test.go prepare what they share; client_test.go speaks to them;
// load_test.go is the people; run_test.go puts it together; faults_test.go breaks things; mutants_test.go
// breaks the server.
package chaos
