package flame

import (
	"bytes"
	"fmt"
	"html"
	"strings"

	"github.com/google/pprof/profile"
)

// Sizes, in pixels.
const (
	width     = 1200
	margin    = 10
	rowHeight = 17
	header    = 74
	letter    = 6.6 // the width of one, in monospace of 11 pixels
)

// folded is the part of the whole below which a frame is left out.
const folded = 0.003

// kinds say whose code a frame is: the first whose prefix fits. Colours are light enough for black letters.
var kinds = []struct {
	name, colour string
	prefixes     []string
}{
	{"gqlgen and what it generates", "#f4a3c0", []string{"github.com/99designs/gqlgen", "github.com/vektah/gqlparser", "latchkey/graph/generated"}},
	{"Latchkey", "#f7b267", []string{"latchkey/", "main."}},
	{"lib/pq, database/sql, sqlx", "#9ec9ec", []string{"github.com/lib/pq", "database/sql", "github.com/jmoiron/sqlx", "modernc.org/"}},
	{"crypto, JWT", "#c5b3e6", []string{"crypto/", "golang.org/x/crypto", "github.com/golang-jwt", "hash/"}},
	{"net/http", "#a5d6a7", []string{"net/http", "net/textproto", "mime"}},
	{"network, system calls", "#d3e29a", []string{"net.", "internal/poll", "syscall.", "internal/runtime/syscall", "os."}},
	{"Go's runtime", "#cfd3d8", []string{"runtime.", "runtime/", "internal/runtime", "gcWriteBarrier", "gogo", "aeshash", "mem", "internal/bytealg", "sync", "internal/sync", "context"}},
	{"other", "#eadfb8", []string{""}},
}

func colourOf(function string) string {
	for _, kind := range kinds {
		for _, prefix := range kind.prefixes {
			if strings.HasPrefix(function, prefix) {
				return kind.colour
			}
		}
	}
	return ""
}

// Draw returns an SVG of a processor profile. Callers stand above what they call; a frame is as wide as its share of the time.
// It has a background of its own, and a tooltip for each frame.
func Draw(p *profile.Profile, title string) []byte {
	root := tree(p)
	root.fold(max(int64(float64(root.value)*folded), 1))
	height := header + root.depth()*rowHeight + margin
	var svg bytes.Buffer
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="11" fill="#1c1c1c">`+"\n", width, height)
	fmt.Fprintf(&svg, `<rect width="%d" height="%d" rx="6" fill="#fbfaf7" stroke="#c9c5bb"/>`+"\n", width, height)
	fmt.Fprintf(&svg, `<text x="%d" y="24" font-size="15" font-weight="bold">%s</text>`+"\n", margin, html.EscapeString(title))
	fmt.Fprintf(&svg, `<text x="%d" y="42">%s of processor time; a frame is as wide as its share, below it is what it calls; under %.1f %% left out</text>`+"\n",
		margin, seconds(root.value), folded*100)
	x := float64(margin)
	for _, kind := range kinds {
		fmt.Fprintf(&svg, `<rect x="%.0f" y="50" width="12" height="12" fill="%s" stroke="#8a8a8a" stroke-width=".5"/><text x="%.0f" y="60">%s</text>`+"\n",
			x, kind.colour, x+16, kind.name)
		x += 34 + letter*float64(len(kind.name))
	}
	svg.WriteString(`<g stroke="#fbfaf7" stroke-width=".7">` + "\n")
	var texts bytes.Buffer
	row(&svg, &texts, root, root.value, margin, header)
	svg.WriteString("</g>\n")
	svg.Write(texts.Bytes())
	svg.WriteString("</svg>\n")
	return svg.Bytes()
}

// row draws a frame, and below it those that it calls.
func row(frames, texts *bytes.Buffer, n *node, whole int64, x float64, y int) {
	const scale = width - 2*margin
	span := float64(n.value) / float64(whole) * scale
	colour := colourOf(n.name)
	if y == header {
		colour = "#e4e1d8"
	}
	fmt.Fprintf(frames, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s %.1f %%</title></rect>`+"\n",
		x, y, span, rowHeight-1, colour, html.EscapeString(withoutTypes(n.name)), 100*float64(n.value)/float64(whole))
	if label := shorten(n.name, int((span-6)/letter)); label != "" {
		fmt.Fprintf(texts, `<text x="%.1f" y="%d">%s</text>`+"\n", x+3, y+12, html.EscapeString(label))
	}
	for _, child := range n.sorted() {
		row(frames, texts, child, whole, x, y+rowHeight)
		x += float64(child.value) / float64(whole) * scale
	}
}

// shorten returns as much of a function's name as there is room for, without the path of its package.
func shorten(name string, room int) string {
	name = withoutTypes(name)
	if room < len(name) {
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	switch {
	case room < 4:
		return ""
	case room < len(name):
		return name[:room-1] + "…"
	}
	return name
}

// withoutTypes returns a name without the type parameters in it, which nest.
func withoutTypes(name string) string {
	var short strings.Builder
	depth := 0
	for _, letter := range name {
		switch {
		case letter == '[':
			depth++
		case letter == ']':
			depth--
		case depth == 0:
			short.WriteRune(letter)
		}
	}
	return short.String()
}

func seconds(nanoseconds int64) string { return fmt.Sprintf("%.1f s", float64(nanoseconds)/1e9) }
