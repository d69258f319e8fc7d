package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// script is what the commands of one script share.
type script struct {
	client *http.Client
	host   *exec.Cmd
	log    bytes.Buffer // of the host; read once it has ended
	ended  chan struct{}
	err    error // how it ended

	follower *follower
}

type scriptKey struct{}

func scriptOf(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

// serve starts geomill on a free port with the plugins in ./plugins, sets URL
// and HOSTPID, and prints what the host prints. Arguments are further flags.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	_ = os.Mkdir(ts.MkAbs("plugins"), 0o755)
	startHost(ts, append([]string{"serve", "--listen", "127.0.0.1:0",
		"--plugins", ts.MkAbs("plugins"), "--data", ts.MkAbs("data"), "--plugin-env", ts.Getenv("MARK")}, args...)...)
}

// dev is serve by geomill dev: dev DIR.
func dev(ts *testscript.TestScript, neg bool, args []string) {
	startHost(ts, append([]string{"dev", "--listen", "127.0.0.1:0"}, args...)...)
}

// startHost runs geomill until it says that it serves.
func startHost(ts *testscript.TestScript, args ...string) {
	s := scriptOf(ts)
	s.host = exec.Command(filepath.Join(built, "geomill"), args...)
	s.log.Reset()
	s.host.Stderr, s.host.Dir, s.ended = &s.log, ts.MkAbs("."), make(chan struct{})
	out, err := s.host.StdoutPipe()
	ts.Check(err)
	ts.Check(s.host.Start())
	ts.Setenv("HOSTPID", fmt.Sprint(s.host.Process.Pid))
	ts.Defer(func() {
		_ = s.host.Process.Kill()
		<-s.ended
		ts.Logf("[host log]\n%s", s.log.String())
	})
	watchdog := time.AfterFunc(patience, func() { _ = s.host.Process.Kill() })
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		_, _ = io.WriteString(ts.Stdout(), line)
		if url, ok := strings.CutPrefix(line, "listening on "); ok {
			ts.Setenv("URL", strings.TrimSpace(url))
		}
		if err != nil || strings.HasPrefix(line, "try:") || strings.HasPrefix(line, "no processes yet") {
			break
		}
	}
	watchdog.Stop()
	go func() { s.err = s.host.Wait(); close(s.ended) }()
}

// endserver sends TERM, INT or KILL and waits for the end of the host, which
// must be a success unless it was killed.
func endServer(ts *testscript.TestScript, neg bool, args []string) {
	s := scriptOf(ts)
	sig := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}[args[0]]
	ts.Check(s.host.Process.Signal(sig))
	select {
	case <-s.ended:
		if sig != syscall.SIGKILL && s.err != nil {
			ts.Fatalf("the host ended with %v", s.err)
		}
	case <-time.After(patience):
		ts.Fatalf("the host did not end")
	}
}

// bundled copies bundled plugins into ./plugins.
func bundled(ts *testscript.TestScript, neg bool, args []string) {
	_ = os.Mkdir(ts.MkAbs("plugins"), 0o755)
	for _, name := range args {
		ts.Check(install(filepath.Join(built, "plugins", name), filepath.Join(ts.MkAbs("plugins"), name)))
	}
}

// install puts an executable in place the way an operator should: written
// beside it and renamed.
func install(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".tmp")
	// A program that is open for writing does not start, and a fork for another
	// script keeps it open for a moment.
	syscall.ForkLock.RLock()
	err = os.WriteFile(tmp, content, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		return err
	}
	return os.Rename(tmp, to)
}

// request is the command http: http [-H 'Name: value']... [-d BODY | -f FILE] METHOD PATH-OR-URL.
// It prints the status, the header and the body, and sets LOCATION to the path of
// that header. With !, the
// status must be 400 or above, else below.
func request(ts *testscript.TestScript, neg bool, args []string) {
	res, body, err := do(ts, args)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "HTTP %d\n", res.StatusCode)
	for name, values := range res.Header {
		fmt.Fprintf(ts.Stdout(), "%s: %s\n", name, strings.Join(values, ", "))
	}
	fmt.Fprintf(ts.Stdout(), "\n%s\n", body)
	if l := res.Header.Get("Location"); l != "" {
		path, ok := strings.CutPrefix(l, ts.Getenv("URL"))
		if !ok {
			ts.Fatalf("Location %s is not below %s", l, ts.Getenv("URL"))
		}
		ts.Setenv("LOCATION", path) // good for the next host of the script too
	}
	if (res.StatusCode >= 400) != neg {
		ts.Fatalf("status %d: %s", res.StatusCode, body)
	}
}

func do(ts *testscript.TestScript, args []string) (*http.Response, []byte, error) {
	header := http.Header{"Accept": {"*/*"}} // as curl does
	var body io.Reader
	for len(args) > 2 {
		switch args[0] {
		case "-H":
			name, value, _ := strings.Cut(args[1], ": ")
			header.Set(name, value)
		case "-d":
			body = strings.NewReader(args[1])
			header.Set("Content-Type", "application/json")
		case "-f":
			f, err := os.Open(ts.MkAbs(args[1]))
			if err != nil {
				return nil, nil, err
			}
			defer f.Close()
			body = f
			header.Set("Content-Type", "application/json")
		default:
			return nil, nil, fmt.Errorf("http: unknown flag %s", args[0])
		}
		args = args[2:]
	}
	url := args[1]
	if strings.HasPrefix(url, "/") {
		url = ts.Getenv("URL") + url
	}
	req, err := http.NewRequest(args[0], url, body)
	if err != nil {
		return nil, nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := scriptOf(ts).client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return res, content, err
}

// poll asks PATH-OR-URL until the answer contains TEXT: poll TEXT PATH-OR-URL.
func poll(ts *testscript.TestScript, neg bool, args []string) {
	var body []byte
	ts.Check(until(func() error {
		var err error
		if _, body, err = do(ts, []string{"GET", args[1]}); err != nil {
			return err
		}
		if bytes.Contains(body, []byte(args[0])) == neg {
			return fmt.Errorf("%q in %s is %v", args[0], body, neg)
		}
		return nil
	}))
	_, _ = ts.Stdout().Write(body)
}

// nothingleft waits until no process with the script's mark is left: no plugin,
// and nothing that one started.
func nothingLeft(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(until(func() error {
		if pids := marked(ts.Getenv("MARK")); len(pids) > 0 {
			return fmt.Errorf("still running: %v", pids)
		}
		return nil
	}))
}

// marked returns the processes that have mark in their environment.
func marked(mark string) []string {
	var pids []string
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err == nil && slices.Contains(strings.Split(string(env), "\x00"), mark) {
			pids = append(pids, strings.Split(f, "/")[2])
		}
	}
	return pids
}

// until tries f until it succeeds, for the time of patience.
func until(f func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-end:
			return errors.Join(errors.New("it took too long"), err)
		case <-tick.C:
		}
	}
}
