package db

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// cancelSlack is how long after a statement's deadline its socket still waits, for the server's answer
	// to the cancellation that lib/pq then asks for.
	cancelSlack = 250 * time.Millisecond
	// ackTimeout is how long sent data may stay unacknowledged before the kernel gives a connection up.
	ackTimeout = 15 * time.Second
	// maxFrame is more than any message that we ask for has, in bytes.
	maxFrame = 1 << 20
)

// socket is a connection to the server that remembers whether it ever failed.
type socket struct {
	net.Conn
	broken atomic.Bool
	plain  bool // what is read are the frames of PostgreSQL's protocol, not TLS
	frame  frame
}

func (s *socket) failed() bool { return s.broken.Load() }

// fail has the connection not be used again, nor waited for.
func (s *socket) fail() {
	s.broken.Store(true)
	_ = s.Close() // nothing is left to say on it
}

// obey ends all reads and writes soon after the deadline of a statement's context, until the next
// statement. Without a deadline nothing ends them.
func (s *socket) obey(ctx context.Context) {
	deadline, ok := ctx.Deadline()
	if ok {
		deadline = deadline.Add(cancelSlack)
	}
	_ = s.SetDeadline(deadline) // fails on a closed socket only, as the statement then will
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err == nil && s.plain {
		if err = s.frame.follow(p[:n]); err != nil {
			n = 0 // or lib/pq would see the length before the error
		}
	}
	if err != nil {
		s.broken.Store(true)
	}
	return n, err
}

// Write implements net.Conn.
func (s *socket) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if err != nil {
		s.broken.Store(true)
	}
	return n, err
}

// frame is the message that is being read (PostgreSQL's manual, "Message Formats"). Where an answer broke
// off, see watchedConn, its length may be anything, and lib/pq would allocate up to 2 GiB for it.
type frame struct {
	head [5]byte // its type and, in four bytes that it counts as well, its length
	read int     // of the head
	left int     // of what follows
}

// follow takes note of bytes that were read. It returns errBrokenOff at a length that is none of ours.
func (f *frame) follow(read []byte) error {
	for len(read) > 0 {
		if f.read < len(f.head) {
			n := copy(f.head[f.read:], read)
			f.read, read = f.read+n, read[n:]
			if f.read < len(f.head) {
				return nil
			}
			length := binary.BigEndian.Uint32(f.head[1:])
			if length < 4 || length > maxFrame {
				return errBrokenOff
			}
			f.left = int(length) - 4
		}
		n := min(f.left, len(read))
		f.left, read = f.left-n, read[n:]
		if f.left == 0 {
			f.read = 0
		}
	}
	return nil
}

// socketDialer dials for one connection: first to one or several hosts, and later, where lib/pq cancels a
// statement, for a moment beside it.
type socketDialer struct {
	plain  bool // without TLS
	mu     sync.Mutex
	latest *socket
}

// DialContext implements pq.DialerContext.
func (d *socketDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         limitUnacknowledged,
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	dialed := &socket{Conn: conn, plain: d.plain}
	d.mu.Lock()
	d.latest = dialed
	d.mu.Unlock()
	return dialed, nil
}

// Dial implements pq.Dialer.
func (d *socketDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer.
func (d *socketDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// last returns the socket dialed last: while connecting, the one of the host that took the connection.
func (d *socketDialer) last() *socket {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.latest
}
