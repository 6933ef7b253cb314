// Package flame draws a profile of processor time as a flame graph: an SVG that stands by itself, without a script.
package flame

import (
	"cmp"
	"slices"

	"github.com/google/pprof/profile"
)

// node is a function where it was called from, with the time that was spent in it and below.
type node struct {
	name     string
	value    int64
	children map[string]*node
}

func (n *node) child(name string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	if n.children[name] == nil {
		n.children[name] = &node{name: name}
	}
	return n.children[name]
}

// sorted returns the children by their names, so that two graphs can be compared.
func (n *node) sorted() []*node {
	children := make([]*node, 0, len(n.children))
	for _, child := range n.children {
		children = append(children, child)
	}
	slices.SortFunc(children, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
	return children
}

// tree returns the root over all stacks of a profile: its last value is the one that counts, in a processor profile the time.
func tree(p *profile.Profile) *node {
	root := &node{name: "all"}
	stacks := make([][]string, len(p.Sample))
	for i, sample := range p.Sample {
		stacks[i] = stackOf(sample)
	}
	complete(stacks)
	for i, sample := range p.Sample {
		value := sample.Value[len(sample.Value)-1]
		root.value += value
		at := root
		for _, name := range stacks[i] {
			at = at.child(name)
			at.value += value
		}
	}
	return root
}

// stackOf returns the functions of a sample, the outermost first.
func stackOf(sample *profile.Sample) []string {
	var stack []string
	for _, location := range slices.Backward(sample.Location) { // the caller comes last
		for _, line := range slices.Backward(location.Line) { // and what it inlined first
			if line.Function != nil {
				stack = append(stack, line.Function.Name)
			}
		}
	}
	return stack
}

// cutAt is the depth at which Go cuts the outer end of a stack off (runtime's maxCPUProfStack), less some that a location can
// lack.
const cutAt = 64 - 4

// complete gives stacks that were cut off the callers back that others have, in which the same functions call each other.
func complete(stacks [][]string) {
	const alike = 3
	begin := map[string]bool{}              // functions in which whole stacks begin
	callers := map[[alike]string][]string{} // of such functions, one calling the other
	for _, stack := range stacks {
		if len(stack) > 0 && len(stack) < cutAt {
			begin[stack[0]] = true
		}
	}
	cut := func(stack []string) bool { return len(stack) >= cutAt && !begin[stack[0]] }
	for _, stack := range stacks {
		for i := 0; i+alike <= len(stack) && !cut(stack); i++ {
			key := [alike]string(stack[i:])
			if known, ok := callers[key]; !ok || len(known) > i {
				callers[key] = stack[:i]
			}
		}
	}
	for i, stack := range stacks {
		if cut(stack) {
			stacks[i] = append(slices.Clone(callers[[alike]string(stack)]), stack...)
		}
	}
}

// fold removes what took less than a part of the whole: too narrow to be seen.
func (n *node) fold(least int64) {
	for name, child := range n.children {
		if child.value < least {
			delete(n.children, name)
		} else {
			child.fold(least)
		}
	}
}

func (n *node) depth() int {
	deepest := 0
	for _, child := range n.children {
		deepest = max(deepest, child.depth())
	}
	return deepest + 1
}
