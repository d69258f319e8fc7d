package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if !actAs(os.Getenv(roleKey)) {
		goleak.VerifyTestMain(m)
	}
}

// patience bounds every wait; only a hang is longer.
const patience = time.Minute

// serve runs a server on a directory until stop is called.
func serve(t *testing.T, dir string, backup func(context.Context, io.Writer) error) (stop func()) {
	t.Helper()
	return serveWith(t, Config{Dir: dir, Backup: backup, Logger: slog.New(slog.DiscardHandler)})
}

func serveWith(t *testing.T, c Config) (stop func()) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the server does not end")
		}
	}
	t.Cleanup(stop)
	return stop
}

func hello(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, "hello")
	return err
}

func TestTheOwnerGetsABackup(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"a short path":                      t.TempDir(),
		"a path too long for a Unix socket": filepath.Join(t.TempDir(), strings.Repeat("long", 40)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			stop := serve(t, dir, hello)
			info, err := os.Lstat(filepath.Join(dir, socketName))
			if err != nil || info.Mode() != os.ModeSocket|0o600 {
				t.Errorf("the socket: %v, %v", info.Mode(), err)
			}
			var b bytes.Buffer
			if err := Backup(t.Context(), dir, &b); err != nil || b.String() != "hello" {
				t.Errorf("got %q, %v", b.String(), err)
			}
			stop()
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
			if err := Backup(t.Context(), dir, &b); !errors.Is(err, ErrNotRunning) {
				t.Errorf("without a server: %v", err)
			}
		})
	}
}

func TestTheSocketOfAKilledServerIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil { // its file stays
		t.Fatal(err)
	}
	if err := Backup(t.Context(), dir, io.Discard); !errors.Is(err, ErrNotRunning) {
		t.Errorf("on what a killed server left: %v", err)
	}
	serve(t, dir, hello)
	if err := Backup(t.Context(), dir, io.Discard); err != nil {
		t.Error(err)
	}
}

func TestAFileInPlaceOfTheSocketIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, socketName)
	if err := os.WriteFile(name, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("got %v", err)
	}
	if content, err := os.ReadFile(name); err != nil || string(content) != "mine" {
		t.Errorf("the file has %q, %v", content, err)
	}
}

func TestTheClientIsToldWhyABackupFailed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve(t, dir, func(_ context.Context, w io.Writer) error {
		_, err := w.Write(bytes.Repeat([]byte("x"), 1<<20))
		return errors.Join(err, errors.New("no luck\nat all"))
	})
	if err := Backup(t.Context(), dir, io.Discard); err == nil || err.Error() != "no luck; at all" {
		t.Errorf("got %v", err)
	}
}

func TestAStopCutsOffABackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begun := make(chan struct{})
	stop := serve(t, dir, func(ctx context.Context, w io.Writer) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	})
	ended := make(chan error, 1)
	go func() { ended <- Backup(context.Background(), dir, io.Discard) }()
	<-begun
	stop()
	select {
	case err := <-ended:
		if err == nil || err.Error() != "the server is being stopped" {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Error("the client waits on")
	}
}

func TestAClientThatLeavesEndsItsBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ended := make(chan struct{})
	serve(t, dir, func(ctx context.Context, w io.Writer) error {
		defer close(ended)
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return err
			}
		}
	})
	if err := Backup(t.Context(), dir, failing{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the server writes on")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestOtherUsersAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	me := os.Geteuid()
	if _, err := checkPeer(conn.(*net.UnixConn), me); err != nil {
		t.Errorf("the same user: %v", err)
	}
	if _, err := checkPeer(conn.(*net.UnixConn), me+1); err == nil {
		t.Error("another user is let in")
	}
}
