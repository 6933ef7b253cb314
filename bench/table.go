package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// thousands writes a number with commas; small ones get a decimal.
func thousands(number float64) string {
	if number < 100 {
		return strconv.FormatFloat(number, 'f', 1, 64)
	}
	text := strconv.FormatFloat(number, 'f', 0, 64)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// decimals writes a number, or a dash for one that was not measured.
func decimals(number float64, count int) string {
	if number == 0 {
		return "-"
	}
	return strconv.FormatFloat(number, 'f', count, 64)
}

func inMilliseconds(value float64) string {
	switch {
	case value == 0:
		return "-"
	case value >= 100:
		return decimals(value, 0) + " ms"
	}
	return decimals(value, 2) + " ms"
}

func megabytes(bytes int64) string {
	return strconv.FormatFloat(float64(bytes)/(1<<20), 'f', 1, 64) + " MB"
}

// bar is as long as a part of a whole, in eighths of a character.
func bar(part, whole float64, width int) string {
	if whole <= 0 || part <= 0 {
		return strings.Repeat(" ", width)
	}
	eighths := max(int(min(part/whole, 1)*float64(width)*8+0.5), 1)
	text := strings.Repeat("█", eighths/8)
	used := eighths / 8
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
		used++
	}
	return text + strings.Repeat(" ", width-used)
}

func quotient(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return decimals(a/b, 1)
}

// shown is a measurement under the name that it has in a table.
type shown struct {
	label string
	*measurement
}

// showOperations writes a table of what was asked, under a title.
func (r *report) showOperations(title string, rows []shown) {
	if len(rows) == 0 {
		return
	}
	var most float64
	wide := len(title)
	for _, m := range rows {
		most = max(most, m.Medians.PerSecond)
		wide = max(wide, len(m.label))
	}
	r.say("\n%-*s %10s %-20s %10s %10s %8s   %-26s %11s %9s\n", wide, "", "", "", "", "", "", "CPU s per 1,000 requests", "statements", "resident")
	r.say("%-*s %10s %-20s %10s %10s %8s %8s %9s %8s %11s %9s\n", wide, title, "requests/s", "", "median", "99th pct", "99th/med", "server", "database", "load", "per request", "servers")
	line := func(label string, f figures, rest ...string) {
		r.say("%-*s %10s %-20s %10s %10s %8s", wide, label, thousands(f.PerSecond), bar(f.PerSecond, most, 20),
			inMilliseconds(f.Median), inMilliseconds(f.P99), quotient(f.P99, f.Median))
		if len(rest) == 5 {
			r.say(" %8s %9s %8s %11s %9s", rest[0], rest[1], rest[2], rest[3], rest[4])
		}
		r.say("\n")
	}
	for _, m := range rows {
		f := m.Medians
		line(m.label, f, decimals(f.Server, 3), decimals(f.Database, 3), decimals(f.Load, 3), decimals(m.Statements, 2), megabytes(f.Resident))
		for _, kind := range slices.Sorted(maps.Keys(f.Kinds)) {
			line("  of it "+kind, f.Kinds[kind])
		}
	}
}

// showLimits writes a table of what the machine can do.
func (r *report) showLimits(rows []*measurement) {
	if len(rows) == 0 {
		return
	}
	const title = "limits of this machine"
	var most float64
	wide := len(title)
	for _, m := range rows {
		most = max(most, m.Medians.PerSecond)
		wide = max(wide, len(m.Name))
	}
	r.say("\n%-*s %10s\n", wide, title, "a second")
	for _, m := range rows {
		r.say("%-*s %10s %s\n", wide, m.Name, thousands(m.Medians.PerSecond), strings.TrimRight(bar(m.Medians.PerSecond, most, 20), " "))
	}
}

// showRatios writes a table of ratios, each beside its target.
func (r *report) showRatios() {
	if len(r.Ratios) == 0 {
		return
	}
	const title = "ratios and targets"
	wide := len(title)
	for _, one := range r.Ratios {
		wide = max(wide, len(one.Name))
	}
	r.say("\n%-*s %10s %-20s target\n", wide, title, "", "")
	for _, one := range r.Ratios {
		whole := 1.0
		if one.Unit != "%" {
			whole = max(one.Target, one.Value)
		}
		target := "-"
		if one.Target > 0 {
			target = "at least "
			if one.AtMost {
				target = "below "
			}
			target += inUnit(one.Target, one.Unit)
			if !one.Met {
				target += ": missed"
			}
		}
		r.say("%-*s %10s %-20s %s\n", wide, one.Name, inUnit(one.Value, one.Unit), bar(one.Value, whole, 20), target)
	}
}

func inUnit(value float64, unit string) string {
	switch unit {
	case "%":
		return decimals(100*value, 0) + " %"
	case "×":
		return decimals(value, 1) + "×"
	}
	return decimals(value, 1) + " " + unit
}
