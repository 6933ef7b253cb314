// Loads the configuration of the environment as the server does, and says what is wrong with it. It is built
// within the product's module, which this one does not need otherwise.
package main

import (
	"fmt"
	"os"

	"latchkey/config"
)

func main() {
	if _, err := config.Load(os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
