//go:build race

package web_test

// raced is whether this test was built with the race detector, which makes everything cost several times more.
const raced = true
