//go:build !linux

package main

import "os/exec"

// What only Linux tells, in this way.

func processorOf(int) (own, children float64) { return 0, 0 }
func processorOfAll(int) float64              { return 0 }
func processorOfThis() float64                { return 0 }
func residentOf(int) int64                    { return 0 }
func dieWithParent(*exec.Cmd)                 {}
func hardware() (string, int64)               { return "", 0 }
func loadAverages() string                    { return "" }
