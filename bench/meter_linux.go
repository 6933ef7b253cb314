package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// ticks are in a second of /proc: USER_HZ, which is 100 on all architectures that Go knows (proc(5)).
const ticks = 100

// processorOf returns the seconds of processor time of a process, and those of its children that ended.
func processorOf(pid int) (own, children float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // the name before may have spaces
	second := func(number int) float64 {
		value, _ := strconv.ParseFloat(string(fields[number-3]), 64)
		return value / ticks
	}
	return second(14) + second(15), second(16) + second(17)
}

// processorOfAll returns the seconds of a process and of all its children. One that ends moves from the second to the first.
func processorOfAll(pid int) float64 {
	own, ended := processorOf(pid)
	total := own + ended
	tasks, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(tasks)) {
		number, _ := strconv.Atoi(child)
		own, _ := processorOf(number)
		total += own
	}
	return total
}

func processorOfThis() float64 {
	own, _ := processorOf(os.Getpid())
	return own
}

// residentOf returns how many bytes of a process are in memory.
func residentOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// dieWithParent has a process end when this one does.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// hardware says what this machine is.
func hardware() (model string, memory int64) {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		memory = int64(info.Totalram) * int64(info.Unit)
	}
	return model, memory
}

// loadAverages says how many processes wanted a processor in the last one, five and fifteen minutes.
func loadAverages() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}
