package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// granting returns arguments by which a server that works in dir lets its plugins
// read one more directory and change another, which is made.
func granting(t testing.TB, dir, read, write string) []string {
	t.Helper()
	file := filepath.Join(dir, "granting.yaml")
	text := fmt.Sprintf("plugin-config:\n  \"*\": {read: [%q], write: [%q]}\n", read, write)
	if err := os.MkdirAll(write, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config", file}
}
