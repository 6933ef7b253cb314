package flame_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"latchkey/bench/flame"
)

// profileOf returns a profile of stacks, each from the outermost function to the innermost, and how long each took.
func profileOf(stacks map[string]int64) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}}
	for stack, value := range stacks {
		sample := &profile.Sample{Value: []int64{1, value}}
		for name := range strings.SplitSeq(stack, " ") {
			location := &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}}
			sample.Location = append([]*profile.Location{location}, sample.Location...)
		}
		p.Sample = append(p.Sample, sample)
	}
	return p
}

func TestAGraphIsAnImageWithAllThatTookTime(t *testing.T) {
	svg := flame.Draw(profileOf(map[string]int64{
		"main.main latchkey/auth.(*Service).Authenticate crypto/ecdsa.Verify":            600e6,
		"main.main latchkey/db.batches[go.shape.[16]uint8].run database/sql.(*DB).Query": 399e6,
		"main.main runtime.mallocgc": 1e6,
	}), "a <title>")
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	text := string(svg)
	for _, wanted := range []string{"a &lt;title&gt;", "crypto/ecdsa.Verify 60.0 %", "database/sql.(*DB).Query 39.9 %", ">main.main<", "1.0 s of processor time"} {
		if !strings.Contains(text, wanted) {
			t.Errorf("%s is missing", wanted)
		}
	}
	if strings.Contains(text, "mallocgc") {
		t.Error("a frame of 0.1 % was drawn")
	}
}

func TestAGraphOfADeepProfileStaysSmall(t *testing.T) {
	stacks := map[string]int64{}
	for i := range 5000 {
		var stack []string
		for depth := range 60 {
			stack = append(stack, fmt.Sprintf("example.com/some/long/path/of/a/package.Function%d", i>>max(0, 12-depth)))
		}
		stacks[strings.Join(stack, " ")] = 1e6
	}
	if svg := flame.Draw(profileOf(stacks), "deep"); len(svg) > 300<<10 {
		t.Errorf("%d bytes", len(svg))
	}
}

func TestAStackThatWasCutOffStandsBelowItsCallers(t *testing.T) {
	var deep []string
	for depth := range 70 {
		deep = append(deep, fmt.Sprintf("x.F%d", depth))
	}
	svg := string(flame.Draw(profileOf(map[string]int64{
		strings.Join(deep[:50], " "): 500e6, // whole
		strings.Join(deep[6:], " "):  500e6, // cut off
	}), "cut"))
	if !strings.Contains(svg, "<title>x.F0 100.0 %</title>") || !strings.Contains(svg, "<title>x.F6 100.0 %</title>") || !strings.Contains(svg, "<title>x.F69 50.0 %</title>") {
		t.Error(svg)
	}
}
