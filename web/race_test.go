//go:build race

package web_test

// slower is how many times what Go code may take is what it may take without the race detector.
const slower = 5
