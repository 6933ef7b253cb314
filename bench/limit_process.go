package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
)

// What the machine can do at best is measured in processes of their own, as the server is one: this program, started again
// with arguments that -help does not mention. They have Go's settings as they come, as those had that the targets were set
// by; the server chooses its own (internal/tuning).
const hiddenArgument = "limit"

// hidden returns what such a process is for, and whether this is one.
func hidden(args []string) (func(), bool) {
	if len(args) != 2 || args[0] != hiddenArgument {
		return nil, false
	}
	do, ok := map[string]func(){
		"hello":  func() { answer(http.HandlerFunc(hello)) },
		"gqlgen": func() { answer(bareGQLGen()) },
		"argon2": hashUntilTold,
	}[args[1]]
	return do, ok
}

// answer serves HTTP, says where, and ends with the process that asked for it.
func answer(handler http.Handler) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is closed
		os.Exit(0)
	}()
	fmt.Fprintln(os.Stderr, http.Serve(listener, handler))
	os.Exit(1)
}

// limitProcess is one of these.
type limitProcess struct {
	cmd    *exec.Cmd
	leash  io.Closer // it ends when this is closed, as the kernel does if this process dies
	output io.Reader
}

func startLimit(name string) (*limitProcess, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &limitProcess{cmd: exec.Command(program, hiddenArgument, name)}
	p.cmd.Stderr = os.Stderr
	if p.leash, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.output, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return p, p.cmd.Start()
}

func (p *limitProcess) end() {
	_ = p.leash.Close()
	_ = p.cmd.Wait()
}
