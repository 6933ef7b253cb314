// Bench measures Latchkey beside the limits of the machine that it runs on. See its -help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if limit, ok := hidden(os.Args[1:]); ok {
		limit()
		return
	}
	ctx, unhook := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	unhook()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run does what the command line says, and ends all that it started.
func run(ctx context.Context, args []string) error {
	settings, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, settings, os.Stdout)
	if err != nil {
		return err
	}
	defer b.close()
	err = plans[settings.plan](b)
	return errors.Join(err, b.report.write(settings.json))
}
