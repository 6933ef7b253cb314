//go:build race

package web_test

// slower is how many times as long Go code may take with the race detector.
const slower = 5
