// Bom completes a program's bill of materials: `bom SECONDS PROGRAM`, in the root of the program's source,
// reads one in CycloneDX from standard input and writes it with the licences of all components and SECONDS
// as its time. The tool that made it guesses at licences, and wrongly at those of golang.org/x.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"latchkey/internal/release"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bom:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("usage: bom SECONDS PROGRAM <BILL >BILL")
	}
	seconds, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	modules, err := release.Modules(args[1])
	if err != nil {
		return err
	}
	licences := map[string]string{}
	for _, module := range modules {
		licences[module.Path] = module.Licence
	}
	var bill map[string]any
	if err := json.NewDecoder(in).Decode(&bill); err != nil {
		return err
	}
	if err := complete(bill, licences, time.Unix(seconds, 0).UTC()); err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(bill)
}

// ours is the licence of the program itself, which is in LICENSE.
const ours = "Apache-2.0"

func complete(bill map[string]any, licences map[string]string, date time.Time) error {
	metadata, _ := bill["metadata"].(map[string]any)
	program, _ := metadata["component"].(map[string]any)
	components, _ := bill["components"].([]any)
	if program == nil || components == nil {
		return errors.New("a bill of materials without a program, or without components")
	}
	metadata["timestamp"] = date.Format(time.RFC3339)
	setLicence(program, ours)
	for _, c := range components {
		component, _ := c.(map[string]any)
		name, _ := component["name"].(string)
		if licences[name] == "" {
			return fmt.Errorf("%q is in the bill of materials, and not in the program", name)
		}
		setLicence(component, licences[name])
	}
	return nil
}

func setLicence(component map[string]any, licence string) {
	if strings.Contains(licence, " ") {
		component["licenses"] = []any{map[string]any{"expression": licence}}
		return
	}
	component["licenses"] = []any{map[string]any{"license": map[string]any{"id": licence}}}
}
