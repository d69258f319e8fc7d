package store

import (
	"os"
	"path/filepath"
	"testing"
)

// TestTakenFileStaysForAnotherAttempt: the file of an output may be an input of
// the job, and the host may die before the record is written.
func TestTakenFileStaysForAnotherAttempt(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "input"), filepath.Join(dir, "output")
	if err := os.WriteFile(from, []byte("value"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := takeFile(from, to); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{from, to} {
		if text, err := os.ReadFile(name); err != nil || string(text) != "value" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
