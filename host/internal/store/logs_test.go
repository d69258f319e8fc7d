package store

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
)

func TestLogs(t *testing.T) {
	t.Parallel()
	jobtest.Logs(t, func(t testing.TB) job.Logs { return openNew(t).Logs() })
}

func readLog(t testing.TB, l *Logs, id string) string {
	t.Helper()
	r, err := l.Open(ctx(t), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestALineThatACrashCutGoesWithTheNextOne(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100<<10)
	for _, c := range []struct{ left, want string }{
		{"one\ntw", "one\nnew\n"},
		{"one\n", "one\nnew\n"},
		{"on", "new\n"},
		{"one\n" + long, "one\nnew\n"},
		{long, "new\n"},
		{long + "\n" + long, long + "\nnew\n"},
	} {
		l := openNew(t).Logs()
		id := jobtest.NewJob("p").ID
		if err := l.Append(ctx(t), id, []byte(c.left)); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(ctx(t), id, []byte("new\n")); err != nil {
			t.Fatal(err)
		}
		if got := readLog(t, l, id); got != c.want {
			t.Errorf("after %.20q the log is %.40q (%d bytes)", c.left, got, len(got))
		}
	}
}

func TestLogsStayOffAFullDisk(t *testing.T) {
	t.Parallel()
	free := uint64(1 << 30)
	l := open(t, Config{Dir: t.TempDir(), freeSpace: func(string) (uint64, error) { return free, nil }}).Logs()
	id := jobtest.NewJob("p").ID
	if err := l.Append(ctx(t), id, []byte("one\n")); err != nil {
		t.Fatal(err)
	}
	free = DefaultMinFree - 1
	if err := l.Append(ctx(t), id, []byte("two\n")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Append on a full disk: %v", err)
	}
	if got := readLog(t, l, id); got != "one\n" {
		t.Errorf("log is %q", got)
	}
}

func TestLogsOfWhatIsNoJobAreRefused(t *testing.T) {
	t.Parallel()
	l := openNew(t).Logs()
	for _, id := range []string{"", "../../x", "x/y", "00000000-0000-0000-0000-00000000000A"} {
		if err := l.Append(ctx(t), id, []byte("one\n")); !errors.Is(err, job.ErrNoSuchJob) {
			t.Errorf("Append for %q: %v", id, err)
		}
	}
	if left, err := os.ReadDir(l.dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestALogIsNotALink(t *testing.T) {
	t.Parallel()
	l := openNew(t).Logs()
	id := jobtest.NewJob("p").ID
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	name, err := l.path(id)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o700)
	}
	if err == nil {
		err = os.Symlink(other, name)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(ctx(t), id, []byte("one\n")); err == nil {
		t.Error("Append followed a link")
	}
}
