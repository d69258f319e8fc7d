package plugin

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"geomill/sdk/wire"
)

func TestWhatAPluginCallsItselfFitsALine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		info wire.Info
		want string // empty: it is right
	}{
		{wire.Info{Name: "raster-1.x_y", Version: "1.0.0-rc.1+b", SDK: "go/0.1.0", InstanceID: "0a"}, ""},
		{wire.Info{Name: "raster"}, ""},
		{wire.Info{}, "no name"},
		{wire.Info{Name: "../raster"}, `name "../raster"`},
		{wire.Info{Name: "Raster"}, `name "Raster"`},
		{wire.Info{Name: "raster\n"}, `name "raster\n"`},
		{wire.Info{Name: strings.Repeat("a", 129)}, "128 at most"},
		{wire.Info{Name: "raster", Version: "1\nlevel=INFO"}, `version "1\nlevel=INFO"`},
		{wire.Info{Name: "raster", Version: "1\x1b[2J"}, "version"},
		{wire.Info{Name: "raster", SDK: strings.Repeat("a", 129)}, "SDK"},
		{wire.Info{Name: "raster", InstanceID: "\xff"}, "instance id"},
	} {
		err := named(c.info)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %v, want %q", c.info, err, c.want)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("the error is %d bytes long", len(err.Error()))
		}
	}
}

func TestAFileThatMayNotBeReadSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		&fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}: "chmod a+rX",
		&fs.PathError{Op: "open", Path: "/x", Err: syscall.EIO}:    "input/output error",
	} {
		if got := reasonOf(err); !strings.Contains(got, want) || strings.Contains(got, "open /x") {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

func TestErrorsOfSeveralPluginsAreALine(t *testing.T) {
	t.Parallel()
	if err := oneLine(make([]error, 3)); err != nil {
		t.Error(err)
	}
	a, b := errors.New("a"), errors.New("b")
	if err := oneLine([]error{nil, a, nil, b}); err.Error() != "a; b" || !errors.Is(err, a) || !errors.Is(err, b) {
		t.Error(err)
	}
}

// TestADirectoryThatIsGoneIsSaid removes the plugins directory: what serves goes
// on, and the operator is told that changes are not seen.
func TestADirectoryThatIsGoneIsSaid(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	away := b.dir + ".away"
	if err := os.Rename(b.dir, away); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trouble", func() bool { return strings.Contains(b.status("chaos").Reason, "read plugins directory") })
	if _, err := b.run(t.Context(), "echo"); err != nil {
		t.Errorf("a job meanwhile: %v", err)
	}
	if err := os.Rename(away, b.dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the trouble", func() bool { return b.status("chaos").Reason == "" })
}

func TestNothingIsLoggedOfAnUnpinThatTookNothingBack(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	gone, err := b.host.Unpin("nobody", "")
	if err != nil || len(gone) > 0 || b.logs.record("plugin unpinned") != nil {
		t.Errorf("%v, %v", gone, err)
	}
}
