package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	"google.golang.org/grpc"
)

// The descriptors that a plugin finds open beside the standard ones, as with a
// host, which executes the very file that it has looked at.
const (
	lifelineFD   = 3
	executableFD = 4
)

// lineBytes is the longest first line that is looked at.
const lineBytes = 8 << 10

// instance is one process of the plugin. Its owner ends it with kill.
type instance struct {
	cmd      *exec.Cmd
	mark     string // in the environment of all that it starts
	sockets  string // directory of its socket
	socket   string // once it is known
	limits   limits
	lifeline *os.File
	conn     *grpc.ClientConn
	streams  *openStreams // of go-plugin's own services
	session  *session     // the current one, or nil
	info     *processv1.GetInfoResponse

	first   chan string // the first line of standard output, then closed
	printed atomic.Int64
	errors  tail
	silent  chan struct{} // closed when standard error has ended

	exited  chan struct{} // closed when the process is gone; cmd.ProcessState is valid then
	readers sync.WaitGroup
	pipes   []*os.File // our ends of the standard streams
}

// limits is what an instance is started and configured with.
type limits struct {
	versions string // of the protocol, as offered
	jobs     int    // at once
	inline   int    // bytes of a value in the session
	detached bool   // it is to go on without its host
}

// launch starts a process of the plugin the way that a host does.
func (p *probe) launch(l limits) (*instance, error) {
	p.started++
	number := strconv.Itoa(p.started)
	in := &instance{
		mark: filepath.Join(p.dir, number), sockets: filepath.Join(p.dir, number), limits: l,
		first: make(chan string, 1), exited: make(chan struct{}), silent: make(chan struct{}),
	}
	home := filepath.Join(p.dir, "home"+number)
	if err := errors.Join(os.Mkdir(in.sockets, 0o700), os.Mkdir(home, 0o700)); err != nil {
		return nil, err
	}
	file, err := os.Open(p.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	tether, err := wire.LifelineFD+"="+strconv.Itoa(lifelineFD), error(nil)
	if l.detached {
		tether, err = p.detach(p.started)
	}
	if err != nil {
		return nil, err
	}
	in.cmd = &exec.Cmd{
		Path: "/proc/self/fd/" + strconv.Itoa(executableFD),
		Args: []string{p.Path},
		Env: append(p.environment(home),
			wire.CookieKey+"="+wire.CookieValue,
			"PLUGIN_PROTOCOL_VERSIONS="+l.versions,
			"PLUGIN_UNIX_SOCKET_DIR="+in.sockets,
			tether,
			wire.InstanceMark+"="+in.mark),
		Dir:         home,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if err := in.start(file); err != nil {
		return nil, p.explainExec(err)
	}
	return in, nil
}

// environment is what a plugin finds in every case.
func (p *probe) environment(home string) []string {
	return append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + home, "TMPDIR=" + home}, p.Env...)
}

// start makes the pipes and the process.
func (in *instance) start(file *os.File) error {
	var ours, theirs []*os.File
	closeAll := func(files []*os.File) {
		for _, f := range files {
			f.Close()
		}
	}
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(append(ours, theirs...))
			return err
		}
		ours, theirs = append(ours, r), append(theirs, w)
	}
	// Of the lifeline the plugin has the end that is read.
	in.lifeline, ours[2], theirs[2] = theirs[2], theirs[2], ours[2]
	in.cmd.Stdout, in.cmd.Stderr = theirs[0], theirs[1]
	in.cmd.ExtraFiles = []*os.File{theirs[2], file}
	err := in.cmd.Start()
	closeAll(theirs)
	if err != nil {
		closeAll(ours)
		return err
	}
	in.pipes = ours[:2]
	in.readers.Go(in.readStdout)
	in.readers.Go(func() {
		defer close(in.silent)
		_, _ = io.Copy(&in.errors, in.pipes[1])
	})
	go func() {
		_ = in.cmd.Wait()
		close(in.exited)
	}()
	return nil
}

// readStdout hands over the first line and counts the rest.
func (in *instance) readStdout() {
	defer close(in.first)
	r := bufio.NewReaderSize(in.pipes[0], lineBytes)
	line, err := r.ReadSlice('\n')
	in.first <- string(line)
	if errors.Is(err, io.EOF) {
		return
	}
	b := make([]byte, 32<<10)
	for {
		n, err := r.Read(b)
		in.printed.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// explainExec says why the system does not execute the plugin, and what to do.
func (p *probe) explainExec(err error) error {
	if reason, _ := p.file.Exec(err); reason != "" {
		return errors.New(reason)
	}
	return err
}

// gone waits for the end of the process.
func (in *instance) gone(ctx context.Context, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-in.exited:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return in.ended()
}

func (in *instance) ended() bool {
	select {
	case <-in.exited:
		return true
	default:
		return false
	}
}

// status says how the process ended, such as "exit status 2".
func (in *instance) status() string {
	if !in.ended() {
		return "still running"
	}
	return in.cmd.ProcessState.String()
}

// lastWords returns the end of what the plugin wrote to standard error, ready to
// be appended to a reason.
func (in *instance) lastWords() string {
	if in.ended() {
		select {
		case <-in.silent:
		case <-time.After(leftover): // a descendant holds it open
		}
	}
	if lines := in.errors.last(3); len(lines) > 0 {
		return "; it last wrote: " + strings.Join(lines, " | ")
	}
	return ""
}

// objection is what a plugin that cannot be served says about itself before it
// ends; empty if it ended for another reason.
func (in *instance) objection() string {
	if !in.ended() || in.cmd.ProcessState.ExitCode() != wire.ExitUnfit {
		return ""
	}
	var said []string
	for line := range strings.Lines(in.errors.whole()) {
		if line = strings.TrimSpace(line); line != "" {
			said = append(said, line)
		}
	}
	return strings.Join(said, "; ")
}

// family returns the processes that the instance has started, itself left out.
func (in *instance) family() []int {
	var pids []int
	for _, pid := range marked(wire.InstanceMark + "=" + in.mark) {
		if pid != in.cmd.Process.Pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// leftover is how long a process that was killed may take to be gone.
const leftover = 200 * time.Millisecond

// left returns how many processes of the instance stay, beyond some that may.
func (p *probe) left(in *instance, allowed int) int {
	for end := time.Now().Add(p.within(leftover)); ; time.Sleep(5 * time.Millisecond) {
		n := len(in.family()) - allowed
		if n <= 0 || time.Now().After(end) {
			return max(n, 0)
		}
	}
}

// kill ends the process and what it has started, and returns when all is gone.
func (in *instance) kill() {
	if in.session != nil {
		in.session.close()
	}
	if in.streams != nil {
		in.streams.close()
	}
	if in.conn != nil {
		_ = in.conn.Close()
	}
	if !in.ended() {
		_ = syscall.Kill(-in.cmd.Process.Pid, syscall.SIGKILL)
		<-in.exited
	}
	for _, pid := range in.family() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	in.lifeline.Close()
	for _, f := range in.pipes { // a descendant that got away may hold the other end
		f.Close()
	}
	in.readers.Wait()
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4 << 10

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(b), nil
}

// whole returns all that was kept.
func (t *tail) whole() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// last returns up to n lines.
func (t *tail) last(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for line := range strings.Lines(string(t.text)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, fmt.Sprintf("%.200s", line))
		}
	}
	return lines[max(0, len(lines)-n):]
}
