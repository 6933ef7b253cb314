package dbtest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Proxy stands between a client and PostgreSQL, understands the frames of their protocol (PostgreSQL's
// manual, "Message Formats"), counts statements, and fails as networks do: exactly when it is told to.
type Proxy struct {
	url      string
	target   string
	listener net.Listener

	mu         sync.Mutex
	changed    *sync.Cond
	frozen     bool
	held       int // frames that wait for Thaw
	refusing   bool
	statements []string
	roundTrips int
	lose, cut  string
	hold       *Hold // of an answer that is still to come
	breakOff   string
	breakAt    int // how many bytes of the answer come through before
	brokenOff  int // answers so far
	loseEvery  int // 0: none
	loseOf     string
	changes    int // statements that change something, since the start
	conns      map[net.Conn]struct{}
}

// NewProxy starts a proxy to the server of a database, until the test ends.
func NewProxy(t testing.TB, databaseURL string) *Proxy {
	t.Helper()
	parsed, err := url.Parse(databaseURL)
	if err != nil || parsed.Port() == "" {
		t.Fatal("the proxy needs a database URL with a port")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: parsed.Host, listener: listener, conns: map[net.Conn]struct{}{}}
	p.changed = sync.NewCond(&p.mu)
	parsed.Host = listener.Addr().String()
	options := parsed.Query()
	options.Set("sslmode", "disable") // the proxy reads along
	parsed.RawQuery = options.Encode()
	p.url = parsed.String()
	go p.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		p.Thaw()
		p.Refuse()
	})
	return p
}

// URL returns the URL of the database through the proxy.
func (p *Proxy) URL() string { return p.url }

// Statements returns the text of every statement that was executed since Reset.
func (p *Proxy) Statements() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.statements...)
}

// RoundTrips returns how often, since Reset, a client has waited for an answer.
func (p *Proxy) RoundTrips() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.roundTrips
}

// Reset forgets the statements and round trips so far.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statements, p.roundTrips = nil, 0
}

// LoseAnswer drops the connection instead of passing on the answer to the next statement that contains a
// text. The server has executed, and outside a transaction committed, the statement by then.
func (p *Proxy) LoseAnswer(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = text
}

// Hold is an answer that is held back.
type Hold struct {
	text     string
	held     chan struct{}
	released chan struct{}
}

// HoldAnswer holds back the answer to the next statement that contains a text, until Release. Other connections go on.
func (p *Proxy) HoldAnswer(text string) *Hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = &Hold{text: text, held: make(chan struct{}), released: make(chan struct{})}
	return p.hold
}

// Await returns once the server has answered.
func (h *Hold) Await() { <-h.held }

// Release lets the answer through.
func (h *Hold) Release() { close(h.released) }

// LoseAnswers does what LoseAnswer does to every n-th statement that contains a text, and changes something or commits,
// until it is called with zero.
func (p *Proxy) LoseAnswers(every int, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loseEvery, p.loseOf = every, text
}

// CutAfterError passes on the ErrorResponse to the next statement that contains a text and then drops the
// connection, before the server says that it is ready.
func (p *Proxy) CutAfterError(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = text
}

// BreakOff drops the server's connection in the middle of its answer to the next statement that contains a
// text, after a number of bytes, and goes on as PgBouncer does: with a fatal error of its own, where the
// answer was, and the end of the connection.
func (p *Proxy) BreakOff(text string, after int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breakOff, p.breakAt = text, after
}

// BrokenOff returns how many answers broke off since the start: none where the answer was shorter.
func (p *Proxy) BrokenOff() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.brokenOff
}

// Freeze holds everything back, in both directions, with all connections open, until Thaw.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = true
}

// AwaitHeld returns once something is held back since Freeze.
func (p *Proxy) AwaitHeld() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held == 0 {
		p.changed.Wait()
	}
}

// Thaw ends Freeze.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = false
	p.changed.Broadcast()
}

// Refuse drops all connections and takes no new one until Accept.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = true
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// Accept ends Refuse.
func (p *Proxy) Accept() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = false
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	refusing := p.refusing
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	closeBoth := func() {
		_ = client.Close()
		_ = server.Close()
		p.mu.Lock()
		delete(p.conns, client)
		delete(p.conns, server)
		p.mu.Unlock()
	}
	if refusing {
		closeBoth()
		return
	}
	link := &link{proxy: p, prepared: map[string]string{}, left: -1}
	go func() {
		defer closeBoth()
		_ = link.forward(client, server)
	}()
	defer closeBoth()
	_ = link.answer(server, client)
}

// link is one connection through the proxy.
type link struct {
	proxy    *Proxy
	prepared map[string]string // statement name to text; only forward uses it

	mu        sync.Mutex
	lose, cut bool // what to do to the answer that comes next
	hold      *Hold
	left      int // how many bytes of it come through; negative: all
}

// forward passes on what the client says, and takes note of the statements.
func (l *link) forward(client io.Reader, server io.Writer) error {
	in := bufio.NewReader(client)
	startup, err := readBody(in) // the one message without a type
	if err != nil {
		return err
	}
	l.proxy.waitForThaw()
	if _, err := server.Write(startup); err != nil {
		return err
	}
	bound := ""
	for {
		kind, frame, err := readFrame(in)
		if err != nil {
			return err
		}
		body := frame[5:]
		switch kind {
		case 'P':
			name, rest := cString(body)
			l.prepared[name], _ = cString(rest)
		case 'B':
			_, rest := cString(body)
			name, _ := cString(rest)
			bound = l.prepared[name]
		case 'E':
			l.execute(bound)
		case 'Q':
			text, _ := cString(body)
			l.execute(text)
			l.wait()
		case 'S':
			l.wait()
		}
		l.proxy.waitForThaw()
		if _, err := server.Write(frame); err != nil {
			return err
		}
	}
}

// wait counts a message after which the client waits: Query or Sync.
func (l *link) wait() {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.proxy.roundTrips++
}

func (l *link) execute(text string) {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statements = append(p.statements, text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.lose != "" && strings.Contains(text, p.lose) {
		p.lose, l.lose = "", true
	}
	if p.cut != "" && strings.Contains(text, p.cut) {
		p.cut, l.cut = "", true
	}
	if p.hold != nil && strings.Contains(text, p.hold.text) {
		p.hold, l.hold = nil, p.hold
	}
	if p.breakOff != "" && strings.Contains(text, p.breakOff) {
		p.breakOff, l.left = "", p.breakAt
	}
	for _, verb := range []string{"INSERT", "UPDATE", "COMMIT", "WITH"} {
		if p.loseEvery > 0 && strings.HasPrefix(strings.TrimSpace(text), verb) && strings.Contains(text, p.loseOf) {
			p.changes++
			if p.changes%p.loseEvery == 0 {
				l.lose = true
			}
		}
	}
}

var errDropped = errors.New("dropped")

// fatal is what PgBouncer says where it has lost its server.
var fatal = []byte("E\x00\x00\x00)SFATAL\x00C08P01\x00Mserver conn crashed?\x00\x00")

// answer passes on what the server says.
func (l *link) answer(server io.Reader, client io.Writer) error {
	in := bufio.NewReader(server)
	for {
		kind, frame, err := readFrame(in)
		if err != nil {
			return err
		}
		l.proxy.waitForThaw()
		l.mu.Lock()
		lose, cut, left, hold := l.lose, l.cut, l.left, l.hold
		l.hold = nil
		switch {
		case kind == 'Z':
			l.left = -1
		case left >= 0:
			l.left = max(0, left-len(frame))
		}
		l.mu.Unlock()
		if hold != nil {
			close(hold.held)
			<-hold.released
		}
		if lose {
			if kind == 'Z' { // ready: the statement is done
				return errDropped
			}
			continue
		}
		if left >= 0 && left < len(frame) {
			l.proxy.mu.Lock()
			l.proxy.brokenOff++
			l.proxy.mu.Unlock()
			_, err := client.Write(append(frame[:left:left], fatal...))
			return errors.Join(errDropped, err)
		}
		if _, err := client.Write(frame); err != nil {
			return err
		}
		if cut && kind == 'E' {
			return errDropped
		}
	}
}

func (p *Proxy) waitForThaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held++
	p.changed.Broadcast()
	for p.frozen {
		p.changed.Wait()
	}
	p.held--
}

// readBody reads a length and as many bytes as it says, itself included.
func readBody(in io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size < 4 || size > 1<<24 {
		return nil, errors.New("not a frame of PostgreSQL's protocol")
	}
	frame := append(length[:], make([]byte, size-4)...)
	_, err := io.ReadFull(in, frame[4:])
	return frame, err
}

func readFrame(in *bufio.Reader) (kind byte, frame []byte, err error) {
	kind, err = in.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	body, err := readBody(in)
	return kind, append([]byte{kind}, body...), err
}

func cString(body []byte) (text string, rest []byte) {
	before, after, _ := bytes.Cut(body, []byte{0})
	return string(before), after
}
