package job

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestDirectoriesOfJobsStayWhileTheyAreHeld(t *testing.T) {
	t.Parallel()
	s := &Service{Config: Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}}
	dir := filepath.Join(s.Dir, "1", "in")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		_, err := os.Stat(dir)
		return err == nil
	}
	first, second := s.HoldDirs(), s.HoldDirs()
	first()
	first() // counts once
	if s.removeDir("1"); !there() {
		t.Fatal("a directory is removed that somebody holds")
	}
	second()
	if s.removeDir("1"); there() {
		t.Error("a directory stays that nobody holds")
	}
}
