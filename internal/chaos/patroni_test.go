//go:build linux

package chaos_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patroni is a cluster of two PostgreSQL servers, of which Patroni lets one lead, by a lock in etcd.
type patroni struct {
	folder      string
	binaries    string // folder of PostgreSQL's
	synchronous bool
	etcd        string // address
	nodes       [2]*patroniNode
}

type patroniNode struct {
	name, folder string
	port         int
	api          string // address
	pool         *sql.DB
	over         <-chan struct{} // of Patroni's process, closed when it has ended
}

// patroniDeadline is what a cluster is given for anything that it has to do.
const patroniDeadline = time.Minute

// patroniSettings are as short as Patroni allows: loop_wait + 2*retry_timeout <= ttl, and ttl >= 20.
const patroniSettings = `scope: latchkey
name: %[1]s
etcd3: {host: '%[2]s'}
restapi: {listen: '%[3]s', connect_address: '%[3]s'}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    synchronous_mode: %[4]t
    postgresql:
      use_pg_rewind: true
      parameters: {max_connections: 200}
  initdb: [{encoding: UTF8}, {auth: trust}, no-sync]
postgresql:
  listen: 127.0.0.1:%[5]d
  connect_address: 127.0.0.1:%[5]d
  bin_dir: %[6]s
  data_dir: %[7]s/data
  pgpass: %[7]s/pgpass
  authentication: {superuser: {username: latchkey}, replication: {username: replicator}}
  pg_hba: [local all all trust, host all all 127.0.0.1/32 trust, host replication all 127.0.0.1/32 trust]
  parameters: {unix_socket_directories: %[7]s, wal_retrieve_retry_interval: 500ms}
  remove_data_directory_on_diverged_timelines: true
  remove_data_directory_on_rewind_failure: true
`

// patroniLeash waits for the end of its input, which comes however this process ends, and then ends all
// that works in the cluster's folder. Patroni's PostgreSQL outlives Patroni, so Pdeathsig is not enough.
const patroniLeash = `read -r _
while found=$(find /proc -maxdepth 2 -path '/proc/[0-9]*/cwd' -lname "$0/*" -printf '%h\n' 2>/dev/null); [ "$found" ]; do
	for process in $found; do kill -KILL "${process#/proc/}" 2>/dev/null; done
	sleep 0.05
done
rm -rf "$0"`

// newPatroni starts a cluster for one test, and returns when it could do without its leader.
func newPatroni(t *testing.T, synchronous bool) *patroni {
	t.Helper()
	servers, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	_, noPatroni := exec.LookPath("patroni")
	_, noEtcd := exec.LookPath("etcd")
	if len(servers) == 0 || noPatroni != nil || noEtcd != nil {
		const missing = "Patroni, etcd or PostgreSQL is not installed here " +
			"(Debian: apt-get install --no-install-recommends patroni etcd-server postgresql, none of which need run)"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	folder, err := os.MkdirTemp("/tmp", "latchkey-patroni-") // not TMPDIR, which can be too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	p := &patroni{folder: folder, binaries: filepath.Dir(slices.Max(servers)), synchronous: synchronous}
	p.holdLeash(t)
	ports := freePorts(t, 6)
	p.startEtcd(t, ports[0], ports[1])
	for i := range p.nodes {
		node := &patroniNode{name: fmt.Sprintf("node%d", i), port: ports[2+i], api: fmt.Sprintf("127.0.0.1:%d", ports[4+i])}
		node.folder = filepath.Join(folder, node.name)
		// lib/pq would wait for a paused server to log it in, whatever the context allows.
		node.pool = connect(t, fmt.Sprintf("postgres://latchkey@127.0.0.1:%d/postgres?sslmode=disable&connect_timeout=1", node.port))
		node.pool.SetMaxIdleConns(-1) // a connection from before a fault would say nothing of what is now
		p.nodes[i] = node
		settings := fmt.Sprintf(patroniSettings, node.name, p.etcd, node.api, synchronous, node.port, p.binaries, node.folder)
		if err := os.Mkdir(node.folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(node.folder, "patroni.yml"), []byte(settings), 0o644); err != nil {
			t.Fatal(err)
		}
		p.startNode(t, i)
		p.awaitLeader(t, -1) // so that the first node is the one that leads
	}
	p.awaitSynchronous(t)
	return p
}

// holdLeash ends all of the cluster's processes with the test, and removes its folder.
func (p *patroni) holdLeash(t *testing.T) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", patroniLeash, p.folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C ends this process, not the leash's holder
	leash, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, node := range p.nodes {
				if node != nil {
					text, _ := os.ReadFile(filepath.Join(node.folder, "log"))
					t.Logf("%s:\n%s", node.name, text[max(0, len(text)-4000):])
				}
			}
		}
		_ = leash.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// freePorts are all held at once, or one could be given out twice.
func freePorts(t *testing.T, count int) (ports []int) {
	t.Helper()
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// start starts a program in a folder, which is how its processes are found again, as the user postgres
// where we are root: PostgreSQL refuses root.
func (p *patroni) start(t *testing.T, folder, program string, args ...string) (over <-chan struct{}) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(folder, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(program, args...)
	cmd.Dir = folder
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"} // PATRONI_ and ETCD_ would be settings
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		account, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		for _, path := range []string{p.folder, folder} {
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if over, err = startAndLock(cmd); err != nil {
		t.Fatal(err)
	}
	return over
}

func (p *patroni) startEtcd(t *testing.T, clients, peers int) {
	t.Helper()
	folder := filepath.Join(p.folder, "etcd")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	p.etcd = fmt.Sprintf("127.0.0.1:%d", clients)
	client, peer := "http://"+p.etcd, fmt.Sprintf("http://127.0.0.1:%d", peers)
	p.start(t, folder, "etcd", "--name=etcd", "--data-dir=data", "--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=etcd="+peer)
	p.await(t, "answer of etcd's", func(ctx context.Context) error {
		_, err := p.written(ctx, "leader")
		return err
	})
}

// startNode starts a node, or starts it again after its end.
func (p *patroni) startNode(t *testing.T, i int) {
	t.Helper()
	node := p.nodes[i]
	// Where nothing reaps orphans, as in many containers, the process that this names seems to live on.
	_ = os.Remove(filepath.Join(node.folder, "data", "postmaster.pid"))
	node.over = p.start(t, node.folder, "patroni", "patroni.yml")
}

// url names both nodes, as libpq and the servers take it, and asks for the one that can be written to. To
// lib/pq by itself such a URL means something else: use the nodes' pools.
func (p *patroni) url() string {
	return fmt.Sprintf("postgres://latchkey@127.0.0.1:%d,127.0.0.1:%d/postgres?sslmode=disable&target_session_attrs=read-write",
		p.nodes[0].port, p.nodes[1].port)
}

// written returns what the cluster has in etcd by a name, "" if nothing. Unlike Patroni itself, etcd can
// be asked while nodes are down or paused.
func (p *patroni) written(ctx context.Context, name string) (string, error) {
	key, err := json.Marshal(map[string][]byte{"key": []byte("/service/latchkey/" + name)})
	if err != nil {
		return "", err
	}
	body, err := post(ctx, "http://"+p.etcd+"/v3/kv/range", key)
	if err != nil {
		return "", err
	}
	var found struct {
		Values []struct {
			Value []byte `json:"value"`
		} `json:"kvs"`
	}
	if err := json.Unmarshal(body, &found); err != nil || len(found.Values) == 0 {
		return "", err
	}
	return string(found.Values[0].Value), nil
}

func post(ctx context.Context, address string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", address, response.Status, answer)
	}
	return answer, err
}

// leads returns the node that holds the lock and can be written to. A node can be one without the other:
// one that was paused does not know at once that it has lost the lock.
func (p *patroni) leads(ctx context.Context) (int, error) {
	name, err := p.written(ctx, "leader")
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(p.nodes[:], func(node *patroniNode) bool { return node != nil && node.name == name })
	if i < 0 {
		return 0, fmt.Errorf("the lock is held by %q", name)
	}
	var recovers bool
	if err := p.nodes[i].pool.QueryRowContext(ctx, "SELECT pg_is_in_recovery()").Scan(&recovers); err != nil {
		return 0, err
	}
	if recovers {
		return 0, fmt.Errorf("%s is still being promoted", name)
	}
	return i, nil
}

// await asks until there is no error. Each time it allows one second, for a paused server never answers.
func (p *patroni) await(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := ask(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Since(began) > patroniDeadline {
			t.Fatalf("no %s within %v: %v", what, patroniDeadline, err)
		}
	}
}

// leader returns the node that leads, when one does.
func (p *patroni) leader(t *testing.T) int {
	t.Helper()
	return p.awaitLeader(t, -1)
}

// awaitLeader waits until a node leads, other than one, and returns it.
func (p *patroni) awaitLeader(t *testing.T, not int) (leader int) {
	t.Helper()
	p.await(t, "leader", func(ctx context.Context) (err error) {
		if leader, err = p.leads(ctx); err == nil && leader == not {
			err = fmt.Errorf("%s leads", p.nodes[not].name)
		}
		return err
	})
	return leader
}

// awaitSynchronous waits until the other node can take over: it has all that the leader has confirmed, or,
// in an asynchronous cluster, receives it.
func (p *patroni) awaitSynchronous(t *testing.T) {
	t.Helper()
	p.await(t, "standby", func(ctx context.Context) error {
		leader, err := p.leads(ctx)
		if err != nil {
			return err
		}
		standby := p.nodes[1-leader].name
		var state string
		err = p.nodes[leader].pool.QueryRowContext(ctx,
			"SELECT sync_state FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'", standby).Scan(&state)
		if err != nil || !p.synchronous {
			return err
		}
		// Patroni promotes only whom it has written down, which it does a little after PostgreSQL knows.
		text, err := p.written(ctx, "sync")
		if err != nil {
			return err
		}
		var written struct {
			Leader  string `json:"leader"`
			Standby string `json:"sync_standby"`
		}
		if err := json.Unmarshal([]byte(text), &written); err != nil {
			return err
		}
		if state != "sync" || written.Leader != p.nodes[leader].name || written.Standby != standby {
			return fmt.Errorf("%s is %q, and %s is written down", standby, state, text)
		}
		return nil
	})
}

// processes returns those of a node: Patroni's, PostgreSQL's and what either has called. PostgreSQL is not
// Patroni's child and overwrites its environment, but all work in the node's folder.
func (p *patroni) processes(i int) (found []int) {
	folders, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range folders {
		folder, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(folder+"/", p.nodes[i].folder+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// stop stops all processes of a node where they are, also those that start meanwhile.
func (p *patroni) stop(i int) {
	stopped := map[int]bool{}
	for before := -1; before != len(stopped); {
		before = len(stopped)
		for _, pid := range p.processes(i) {
			if !stopped[pid] {
				_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended by itself
				stopped[pid] = true
			}
		}
	}
}

// killLeader ends all of the leader's processes by SIGKILL, and returns which node that was.
func (p *patroni) killLeader(t *testing.T) int {
	t.Helper()
	i := p.leader(t)
	p.stop(i) // or those that are still there would see that others have gone
	p.killNode(t, i)
	return i
}

// killNode ends all processes of a node by SIGKILL, paused ones too.
func (p *patroni) killNode(t *testing.T, i int) {
	t.Helper()
	p.await(t, "end of the node", func(context.Context) error {
		left := p.processes(i)
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(left) > 0 {
			return fmt.Errorf("processes %v", left)
		}
		return nil
	})
	<-p.nodes[i].over
}

// pauseLeader stops all of the leader's processes where they are, and returns which node that was.
func (p *patroni) pauseLeader(t *testing.T) int {
	t.Helper()
	i := p.leader(t)
	p.stop(i)
	return i
}

// continueNode ends pauseLeader.
func (p *patroni) continueNode(t *testing.T, i int) {
	t.Helper()
	for _, pid := range p.processes(i) {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}
}

// switchover has the other node lead, as an operator does, and returns it when it does.
func (p *patroni) switchover(t *testing.T) int {
	t.Helper()
	from := p.leader(t)
	order, err := json.Marshal(map[string]string{"leader": p.nodes[from].name, "candidate": p.nodes[1-from].name})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patroniDeadline)
	defer cancel()
	if _, err := post(ctx, "http://"+p.nodes[from].api+"/switchover", order); err != nil {
		t.Fatal(err)
	}
	return p.awaitLeader(t, from)
}

func TestPatroniFailsOver(t *testing.T) {
	if !*soakFlag {
		t.Skip("takes a minute: -soak")
	}
	began := time.Now()
	took := func(what string) {
		t.Helper()
		t.Logf("%s: %.1f s", what, time.Since(began).Seconds())
		began = time.Now()
	}
	p := newPatroni(t, true)
	took("start")
	execute(t, p.nodes[p.leader(t)].pool, "CREATE TABLE kept AS SELECT 42 AS id")
	began = time.Now()
	dead := p.killLeader(t)
	leader := p.awaitLeader(t, dead)
	took("failover")
	var id int
	if err := p.nodes[leader].pool.QueryRow("SELECT id FROM kept").Scan(&id); err != nil || id != 42 {
		t.Fatalf("after the failover the row is %d, %v", id, err)
	}
	p.startNode(t, dead)
	p.awaitSynchronous(t)
	took("rejoining")
	if p.leader(t) == dead {
		t.Errorf("node %d leads again", dead)
	}
}

func TestPatroniPausesAndSwitchesOver(t *testing.T) {
	if !*soakFlag {
		t.Skip("takes a minute: -soak")
	}
	for name, synchronous := range map[string]bool{"synchronous": true, "asynchronous": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPatroni(t, synchronous)
			execute(t, p.nodes[p.leader(t)].pool, "CREATE TABLE kept AS SELECT 42 AS id")
			began := time.Now()
			took := func(what string) {
				t.Helper()
				t.Logf("%s: %.1f s", what, time.Since(began).Seconds())
				began = time.Now()
			}
			p.switchover(t)
			took("switchover")
			p.awaitSynchronous(t)
			took("following after the switchover")
			paused := p.pauseLeader(t)
			p.awaitLeader(t, paused)
			took("failover from a paused leader")
			p.continueNode(t, paused)
			p.awaitSynchronous(t)
			took("rejoining")
			var id int
			if err := p.nodes[p.leader(t)].pool.QueryRow("SELECT id FROM kept").Scan(&id); err != nil || id != 42 {
				t.Fatalf("the row is %d, %v", id, err)
			}
		})
	}
}
