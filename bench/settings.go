package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are what a developer chose.
type settings struct {
	plan       string
	operations []string

	users    int // of the database
	people   int // users who are signed in before anything is measured
	duration time.Duration
	warmUp   time.Duration
	runs     int
	rate     float64
	requests int

	connections int
	serverCount int
	sweep       []int // sizes, servers or connections, by plan

	limits bool
	starts int

	source   string
	env      []string // of the servers
	postgres []string // settings
	json     string
	out      string
}

const help = `Measures Latchkey on this machine, beside what the machine itself can do.

It builds the product, runs it on a PostgreSQL of its own that is durable and filled, and asks it over HTTP as the clients
of frontends do. Every answer is checked; one that is wrong fails the run.

  go run ./bench                                  everything, in about ten minutes
  go run ./bench -operations me,refresh -users 10000 -duration 2s -limits=false
                                                  a first look, in half a minute
  go run ./bench -source ../before                the same of another version's source

Plans:
  all           start, memory, limits, operations and their ratios
  growth        me and refresh while one database grows to each of -sweep sessions
  servers       me and refresh with each of -sweep servers on one database
  connections   me and refresh over each of -sweep connections
  mix           the mix once, for -duration: how the server's memory develops
  profile       where the server's processor time goes, as flame graphs: me.svg and refresh.svg in -out

Operations:
  me            query Me { me { id email } }, over many sessions
  refresh       chains of refreshToken, over many sessions
  revoke        revokeSession of another session of the same user
  login         login; the limits of attempts are off
  mix           ` + mixInWords + `
  beside        me at 64 connections, alone and while logins keep all cores busy

Flags:
`

var (
	allOperations = []string{"me", "refresh", "revoke", "login", "mix", "beside"}
	plans         = map[string]func(*bench) error{
		"all": planAll, "growth": planGrowth, "servers": planServers, "connections": planConnections, "mix": planMix, "profile": planProfile,
	}
)

// parse reads the command line. Where that asks for help it writes it, and returns flag.ErrHelp.
func parse(args []string, output io.Writer) (*settings, error) {
	s := &settings{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main says what is wrong
	flags.Usage = func() {}
	flags.StringVar(&s.plan, "plan", "all", "which `plan` to follow")
	operations := flags.String("operations", "", "which `operations` to measure, with commas between; without it all, in other plans than all me and refresh")
	flags.IntVar(&s.users, "users", 1_000_000, "how `many` users the database has; each has two sessions")
	flags.IntVar(&s.people, "people", 0, "how `many` of them are signed in before, which takes the time of a hash each; 0: one of 40, from 64 to 1024")
	flags.DurationVar(&s.duration, "duration", 8*time.Second, "how `long` one run of one thing lasts")
	flags.DurationVar(&s.warmUp, "warm-up", time.Second, "how `long` it lasts before that, uncounted")
	flags.IntVar(&s.runs, "runs", 3, "how `many` runs there are of everything; medians count")
	flags.Float64Var(&s.rate, "rate", 0, "how `many` requests fall due a second, whatever becomes of the ones before; 0: a connection sends the next one after an answer")
	flags.IntVar(&s.requests, "requests", 0, "how `many` requests a run has at the most; 0: as many as its time allows")
	flags.IntVar(&s.connections, "connections", 0, "how `many` connections; 0: 16, and 64 in the plan mix")
	flags.IntVar(&s.serverCount, "servers", 1, "how `many` servers share the database, from 1 to 4")
	sweep := flags.String("sweep", "", "the `numbers` that the plans growth, servers and connections go through, with commas between")
	flags.BoolVar(&s.limits, "limits", true, "measure what the machine can do at best, too")
	flags.IntVar(&s.starts, "starts", 7, "how `many` starts are timed; 0: none")
	flags.StringVar(&s.source, "source", "", "the `folder` of the source to build; this repository without it")
	flags.Func("env", "a further `NAME=VALUE` for the servers; may be repeated", appendTo(&s.env))
	flags.Func("postgres", "a further `setting` of PostgreSQL, such as shared_buffers=1GB; may be repeated", appendTo(&s.postgres))
	flags.StringVar(&s.json, "json", "", "the `file` to write all figures to")
	flags.StringVar(&s.out, "out", ".", "the `folder` for flame graphs and profiles")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(output, help)
		flags.SetOutput(output)
		flags.PrintDefaults()
	}
	if err == nil {
		err = s.complete(flags.Args(), *operations, *sweep)
	}
	return s, err
}

func appendTo(list *[]string) func(string) error {
	return func(value string) error {
		if !strings.Contains(value, "=") {
			return errors.New("it lacks a =")
		}
		*list = append(*list, value)
		return nil
	}
}

// complete checks what was given, and sets what was not and follows from the rest.
func (s *settings) complete(rest []string, operations, sweep string) error {
	if len(rest) > 0 {
		return fmt.Errorf("%q is no flag", rest[0])
	}
	if plans[s.plan] == nil {
		return fmt.Errorf("-plan: there is none of the name %q", s.plan)
	}
	s.operations = allOperations
	if s.plan != "all" {
		s.operations = []string{"me", "refresh"}
	}
	if operations != "" {
		s.operations = strings.Split(operations, ",")
	}
	for _, name := range s.operations {
		if !slices.Contains(allOperations, name) {
			return fmt.Errorf("-operations: there is none of the name %q", name)
		}
		if name == "beside" && s.plan != "all" {
			return errors.New("-operations: beside belongs to the plan all")
		}
	}
	if sweep == "" {
		sweep = map[string]string{"growth": "10000,100000,1000000,2000000", "servers": "1,2,4", "connections": "4,16,64,256"}[s.plan]
	}
	if sweep != "" {
		for text := range strings.SplitSeq(sweep, ",") {
			number, err := strconv.Atoi(text)
			if err != nil || number < 1 {
				return fmt.Errorf("-sweep: %q is no number", text)
			}
			s.sweep = append(s.sweep, number)
		}
	}
	most := s.serverCount
	if s.plan == "servers" {
		most = slices.Max(s.sweep)
	}
	switch {
	case s.plan == "growth" && !slices.IsSorted(s.sweep):
		return errors.New("-sweep: a database only grows")
	case most < 1 || most > 4:
		return errors.New("-servers: from 1 to 4")
	case s.users < 100 || s.plan == "growth" && s.sweep[0] < 200:
		return errors.New("-users: no fewer than 100")
	case s.duration <= 0 || s.warmUp < 0 || s.runs < 1 || s.starts < 0 || s.connections < 0 || s.requests < 0 || s.rate < 0:
		return errors.New("-duration, -warm-up, -runs, -starts, -connections, -requests, -rate: too little")
	}
	if s.plan == "growth" {
		s.users = s.sweep[0] / 2
	}
	if s.connections == 0 {
		s.connections = 16
		if s.plan == "mix" {
			s.connections = 64
		}
	}
	if s.people == 0 {
		s.people = min(max(s.users/40, 64), 1024)
	}
	// Each connection walks sessions of its own.
	s.people = min(max(s.people, s.mostConnections()), s.users-1)
	if s.people < s.mostConnections() {
		return fmt.Errorf("-users: no fewer than %d, for as many connections", s.mostConnections()+1)
	}
	if s.source == "" {
		module, err := exec.Command("go", "env", "GOMOD").Output()
		if err != nil {
			return fmt.Errorf("-source: which module this folder is in: %w", err)
		}
		s.source = filepath.Dir(strings.TrimSpace(string(module)))
	}
	return nil
}

// mostConnections is how many there are at once in a plan, of one kind.
func (s *settings) mostConnections() int {
	most := s.connections
	if s.plan == "connections" {
		most = slices.Max(s.sweep)
	}
	if slices.Contains(s.operations, "beside") {
		most = max(most, besideConnections)
	}
	return most
}
