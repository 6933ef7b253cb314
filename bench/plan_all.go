package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"latchkey/bench/fill"
	"latchkey/bench/load"
)

// besideConnections are those of me in the operation beside; besideLogins is how many log in meanwhile, per core: more than a
// server hashes at once.
const (
	besideConnections = 64
	besideLogins      = 4
)

// The names of measurements that ratios are made of.
const (
	besideAlone  = "me, 64 connections, alone"
	besideLoaded = "me, 64 connections, beside logins"
	besideLogin  = "login, meanwhile"
)

// part is something that is measured once in each round.
type part struct {
	into *measurement
	do   func() (figures, error)
}

// planAll measures everything in rounds, so that what the machine happens to do at one time falls upon everything alike.
func planAll(b *bench) error {
	if err := b.prepare(); err != nil {
		return err
	}
	if err := b.measureAllStarts(); err != nil {
		return err
	}
	if err := b.runParts(b.allParts()); err != nil {
		return err
	}
	if err := b.countAll(); err != nil {
		return err
	}
	b.report.showAll()
	b.report.rate()
	b.report.showRatios()
	return nil
}

// measurement returns a new one of the report.
func (b *bench) measurement(name string, connections int) *measurement {
	m := &measurement{Name: name, Connections: connections, Servers: len(b.servers), Sessions: fill.SessionsPerUser * b.users}
	b.report.Measurements = append(b.report.Measurements, m)
	return m
}

func (b *bench) runParts(parts []part) error {
	if err := b.execute(`CHECKPOINT`); err != nil {
		return err
	}
	for run := range b.runs {
		for _, one := range parts {
			f, err := one.do()
			if err != nil {
				return err
			}
			one.into.add(f)
			b.report.did(one.into.Name, run+1, b.runs, f)
		}
	}
	return nil
}

// allParts are the operations that were chosen, each after its limits.
func (b *bench) allParts() []part {
	var parts []part
	limit := func(name string, do func() (figures, error)) {
		if b.limits {
			parts = append(parts, part{b.measurement(name, 0), do})
		}
	}
	rows := b.rows(b.people)
	for _, name := range b.operations {
		switch name {
		case "me":
			limit(limitHello, func() (figures, error) { return b.measureHTTP("hello", b.connections) })
			limit(limitGQLGen, func() (figures, error) { return b.measureHTTP("gqlgen", b.connections) })
			limit(limitAnswer, b.pgbenchNothing)
			limit(limitRead, func() (figures, error) { return b.pgbenchRead(rows) })
		case "refresh":
			limit(limitRotate, func() (figures, error) { return b.pgbenchRotate(rows) })
		case "revoke":
			limit(limitRevoke, b.pgbenchRevoke)
		case "login":
			limit(limitArgon2, b.measureArgon2)
		case "beside":
			alone := b.measurement(besideAlone, besideConnections)
			loaded := b.measurement(besideLoaded, besideConnections)
			login := b.measurement(besideLogin, besideLogins*runtime.NumCPU())
			parts = append(parts,
				part{alone, func() (figures, error) { return b.measureOperation("me", besideConnections) }},
				part{loaded, func() (figures, error) { return b.measureBeside(login) }})
			continue
		}
		parts = append(parts, part{b.measurement(name, b.connections), func() (figures, error) { return b.measureOperation(name, b.connections) }})
	}
	return parts
}

// measureBeside measures me while as many people log in as the server can hash passwords for, and more.
func (b *bench) measureBeside(login *measurement) (figures, error) {
	clients, err := b.clients("login", besideLogins*runtime.NumCPU(), b.duration)
	if err != nil {
		return figures{}, err
	}
	defer closeAll(clients)
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	logins := make(chan *load.Result, 1)
	go func() {
		logins <- load.Run(ctx, clients, load.Options{WarmUp: b.warmUp, Duration: b.warmUp + b.duration + time.Minute})
	}()
	f, err := b.measureOperation("me", besideConnections)
	f.Server, f.Database, f.Load = 0, 0, 0 // most of it is the logins'
	stop()
	result := <-logins
	if err == nil {
		err = failure(result)
	}
	login.add(figuresOf(result.All(), result.Elapsed))
	return f, err
}

// countAll counts the statements of the operations that were measured.
func (b *bench) countAll() error {
	b.report.doing("counting statements")
	for _, name := range b.operations {
		m := b.report.find(name)
		if m == nil {
			continue // beside is me
		}
		var err error
		if m.Statements, err = b.statementsPerRequest(name, b.connections); err != nil {
			return err
		}
	}
	return nil
}

// showAll writes the tables of limits and of operations.
func (r *report) showAll() {
	var limits []*measurement
	var operations []shown
	for _, m := range r.Measurements {
		if m.Connections == 0 {
			limits = append(limits, m)
			continue
		}
		label := m.Name
		if slices.Contains(allOperations, m.Name) {
			label = fmt.Sprintf("%s, %d connections", m.Name, m.Connections)
		}
		operations = append(operations, shown{label, m})
	}
	r.showLimits(limits)
	r.showOperations("operations", operations)
}
