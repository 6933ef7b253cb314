package cli

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"latchkey/doctor"
)

// ShowFindings writes what the doctor found. Its error says that something is bad.
func ShowFindings(out io.Writer, findings []doctor.Finding) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	bad := 0
	for _, finding := range findings {
		if finding.Level == doctor.Bad {
			bad++
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", finding.Level, finding.About, finding.Says)
		if finding.Do != "" {
			_, _ = fmt.Fprintf(table, "\t\t→ %s\n", finding.Do)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if bad > 0 {
		return errors.New("something is bad, see above")
	}
	return nil
}
