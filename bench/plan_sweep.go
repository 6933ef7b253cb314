package main

import (
	"fmt"
	"strings"

	"latchkey/bench/fill"
)

// step measures the chosen operations, and what else there is to, under one of several conditions.
func (b *bench) step(connections int, more ...part) error {
	var parts []part
	for _, name := range b.operations {
		parts = append(parts, part{b.measurement(name, connections), func() (figures, error) { return b.measureOperation(name, connections) }})
	}
	return b.runParts(append(parts, more...))
}

// planGrowth has one database grow. Those who are signed in are as many all the time, so pgbench also asks for sessions from
// all over the table, as PostgreSQL would be asked if all of them were in use.
func planGrowth(b *bench) error {
	for i, sessions := range b.sweep {
		users := sessions / fill.SessionsPerUser
		if i == 0 {
			if err := b.prepare(); err != nil {
				return err
			}
		} else if users > b.users {
			if err := b.grow(b.users+1, users); err != nil {
				return err
			}
			b.users = users
		}
		var limits []part
		if b.limits {
			rows := b.rows(sessions)
			limits = []part{
				{b.measurement(limitRead+", any session", 0), func() (figures, error) { return b.pgbenchRead(rows) }},
				{b.measurement(limitRotate+", any session", 0), func() (figures, error) { return b.pgbenchRotate(rows) }},
			}
		}
		if err := b.step(b.connections, limits...); err != nil {
			return err
		}
	}
	b.report.showSweep("sessions", func(m *measurement) int { return m.Sessions })
	return nil
}

// planServers has more and more servers share the database.
func planServers(b *bench) error {
	if err := b.prepare(); err != nil {
		return err
	}
	for _, count := range b.sweep {
		if err := b.startServers(count); err != nil {
			return err
		}
		if err := b.step(b.connections); err != nil {
			return err
		}
	}
	b.report.showSweep("servers", func(m *measurement) int { return m.Servers })
	return nil
}

// planConnections asks over more and more connections.
func planConnections(b *bench) error {
	if err := b.prepare(); err != nil {
		return err
	}
	for _, count := range b.sweep {
		if err := b.step(count); err != nil {
			return err
		}
	}
	b.report.showSweep("connections", func(m *measurement) int { return m.Connections })
	return nil
}

// showSweep writes a table for each thing that was measured, and adds how it changed from the first condition to the last.
func (r *report) showSweep(unit string, by func(*measurement) int) {
	var names []string
	rows := map[string][]shown{}
	for _, m := range r.Measurements {
		if rows[m.Name] == nil {
			names = append(names, m.Name)
		}
		under := by(m)
		label := strings.TrimSuffix(thousands(float64(under)), ".0") + " " + unit
		if under == 1 {
			label = strings.TrimSuffix(label, "s")
		}
		rows[m.Name] = append(rows[m.Name], shown{label, m})
	}
	for _, name := range names {
		r.showOperations(name, rows[name])
		first, last := rows[name][0], rows[name][len(rows[name])-1]
		if first.Medians.PerSecond > 0 && first.measurement != last.measurement {
			r.add(ratio{Name: fmt.Sprintf("%s: %s / %s", name, last.label, first.label), Value: last.Medians.PerSecond / first.Medians.PerSecond, Unit: "%"})
		}
	}
	r.showRatios()
}
