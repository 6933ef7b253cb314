package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// report is all that was found. What is being done goes to standard error, what was found to the output.
type report struct {
	Machine      machine        `json:"machine"`
	Versions     versions       `json:"versions"`
	Settings     map[string]any `json:"settings"`
	Measurements []*measurement `json:"measurements"`
	Starts       []startFigures `json:"starts,omitempty"`
	Memory       []memorySample `json:"memory,omitempty"`
	Ratios       []ratio        `json:"ratios,omitempty"`

	output io.Writer
}

type machine struct {
	Processor string    `json:"processor"`
	Cores     int       `json:"cores"`
	Memory    int64     `json:"memory"` // bytes
	System    string    `json:"system"`
	Busy      string    `json:"busy"` // the load averages before anything was started
	At        time.Time `json:"at"`
}

type versions struct {
	Source     string `json:"source"` // the commit, where there is one
	Go         string `json:"go"`
	PostgreSQL string `json:"postgresql"`
}

// measurement is what all runs of one thing showed.
type measurement struct {
	Name        string    `json:"name"`
	Connections int       `json:"connections,omitempty"`
	Servers     int       `json:"servers,omitempty"`
	Sessions    int       `json:"sessions,omitempty"`
	Statements  float64   `json:"statements,omitempty"` // per request
	Runs        []figures `json:"runs"`
	Medians     figures   `json:"medians"`
}

func (m *measurement) add(f figures) {
	m.Runs = append(m.Runs, f)
	m.Medians = medians(m.Runs)
}

// ratio is a figure as a part of another one, and what it should be.
type ratio struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Target float64 `json:"target,omitempty"` // 0: none
	AtMost bool    `json:"atMost,omitempty"` // else at least
	Unit   string  `json:"unit,omitempty"`   // %, ×, ms, MB
	Met    bool    `json:"met"`
}

func newReport(s *settings, output io.Writer) *report {
	return &report{
		output: output,
		Settings: map[string]any{
			"plan": s.plan, "operations": s.operations, "users": s.users, "people": s.people, "duration": s.duration.String(), "warmUp": s.warmUp.String(),
			"runs": s.runs, "rate": s.rate, "requests": s.requests, "connections": s.connections, "servers": s.serverCount, "sweep": s.sweep, "env": s.env, "postgres": s.postgres,
		},
	}
}

// describe notes what is being measured, and on what.
func (r *report) describe(b *bench) error {
	r.Machine = machine{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, At: time.Now().UTC().Truncate(time.Second)}
	r.Machine.Processor, r.Machine.Memory = hardware()
	r.Machine.Busy = b.busy
	r.Versions = versions{Source: commit(b.source), Go: runtime.Version()}
	if err := b.database.QueryRowContext(b.ctx, `SHOW server_version`).Scan(&r.Versions.PostgreSQL); err != nil {
		return err
	}
	r.say("Latchkey %s, %s, PostgreSQL %s (durable); %d cores, %s, %s; server, database and load on one machine\n",
		r.Versions.Source, r.Versions.Go, r.Versions.PostgreSQL, r.Machine.Cores, r.Machine.Processor, megabytes(r.Machine.Memory))
	if r.Machine.Busy != "" {
		r.say("load averages before: %s\n", r.Machine.Busy)
	}
	return nil
}

// commit names the version of a source folder, and says whether it was changed since.
func commit(source string) string {
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir = source
		output, _ := cmd.Output()
		return string(bytes.TrimSpace(output))
	}
	name := git("rev-parse", "--short", "HEAD")
	switch {
	case name == "":
		return "of an unknown version"
	case git("status", "--porcelain", "--untracked-files=no") != "":
		return name + " with changes"
	}
	return name
}

func (r *report) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.output, format, args...)
}

// doing says what takes a while now.
func (r *report) doing(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// did shows the figures of one run, before all are in.
func (r *report) did(what string, run, runs int, f figures) {
	text := fmt.Sprintf("run %d of %d: %s: %s a second", run, runs, what, thousands(f.PerSecond))
	if f.P99 > 0 {
		text += fmt.Sprintf(", median %s, 99th percentile %s", inMilliseconds(f.Median), inMilliseconds(f.P99))
	}
	r.doing("%s", text)
}

// write writes the report as JSON to a file, if there is to be one.
func (r *report) write(file string) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// find returns the first measurement of a name, or nil.
func (r *report) find(name string) *measurement {
	for _, m := range r.Measurements {
		if m.Name == name {
			return m
		}
	}
	return nil
}
